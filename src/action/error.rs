//! What stops an operation.

use std::path::Path;

use crate::cluster::apply::ObjectRef;
use crate::{cluster, image, items};
use workqueue_core::names::QueueName;
use {helm_template as chart, workqueue_amqp as broker, workqueue_worker as worker};

/// Any error of an operation. Each variant leads to one hint and one exit code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster said no, or nothing.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// The broker said no, or nothing.
    #[error(transparent)]
    Broker(#[from] broker::Error),
    /// The chart or its values are wrong.
    #[error(transparent)]
    Chart(#[from] chart::Error),
    /// The chart has no such preset.
    #[error("the chart has no preset {name:?}; it has: {}", list(known))]
    NoPreset {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The input is no item.
    #[error(transparent)]
    Item(#[from] items::Error),
    /// The image cannot be built, or does not get to the nodes.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// A file of the user's cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file or directory.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The directory to write to is not empty.
    #[error("directory {0} is not empty")]
    NotEmpty(String),
    /// The user's program cannot be started.
    #[error("cannot start {program}")]
    Program {
        /// The program.
        program: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A script without a first line that names its interpreter.
    #[error("{0} does not start with #!")]
    NoFirstLine(String),
    /// Nothing names the image that the worker comes from.
    #[error("no image is named that workqueue-worker could be brought from")]
    NoWorkerImage,
    /// The rendered chart lacks an object that the operation is about.
    #[error("the chart renders no {0}")]
    Incomplete(&'static str),
    /// A run already takes items from the queue.
    #[error("run {run:?} is still working on queue {queue}")]
    QueueBusy {
        /// The run.
        run: String,
        /// The queue.
        queue: QueueName,
    },
    /// More pods than the user allowed would be needed.
    #[error("queue {queue} holds {items} items; at one pod an item that is more than {limit} pods")]
    TooManyPods {
        /// The queue.
        queue: QueueName,
        /// Items in it.
        items: u32,
        /// The limit.
        limit: u32,
    },
    /// Pods of the run cannot start.
    #[error("the workers cannot start: {reason}")]
    WorkersStuck {
        /// The pod and its state.
        reason: String,
    },
    /// There is no such run.
    #[error("{}", no_run(.0.as_deref()))]
    NoRun(Option<String>),
    /// The run is over.
    #[error("run {0:?} has ended")]
    RunEnded(String),
    /// The run is paused.
    #[error("run {0:?} is paused")]
    RunPaused(String),
    /// There is no earlier enqueue to go on with.
    #[error("nothing to resume: {0}")]
    NotResumable(String),
    /// The queue was gone when the broker was reached again.
    #[error(
        "queue {queue} is gone, and with it {confirmed} items that the broker had confirmed; \
         enqueue once more, without --resume, to send all of them"
    )]
    QueueLost {
        /// The queue.
        queue: QueueName,
        /// Items confirmed before.
        confirmed: u64,
    },
    /// The claims would go together with their StatefulSet.
    #[error(
        "{0} takes its claims along when it is deleted, as broker.persistence.whenDeleted says: nothing was deleted"
    )]
    ClaimsGo(ObjectRef),
    /// The chart was given another name than that by which its objects are found.
    #[error("nameOverride is {0:?}, but all commands find a release's objects by the chart's own name")]
    Renamed(String),
    /// A script cannot be brought to the pods.
    #[error("{path}: {reason}")]
    Script {
        /// Its path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The deadline passed.
    #[error("{what} within {seconds} s")]
    Deadline {
        /// What had not happened.
        what: String,
        /// The time it was given.
        seconds: u64,
    },
}

impl From<worker::Error<items::Error>> for Error {
    fn from(error: worker::Error<items::Error>) -> Self {
        match error {
            worker::Error::Queue(error) => Self::Item(error),
            worker::Error::Program { program, source } => Self::Program { program, source },
        }
    }
}

/// A file or directory that cannot be written.
pub(super) fn cannot_write(path: &Path, source: std::io::Error) -> Error {
    Error::Write { path: path.display().to_string(), source }
}

fn no_run(run: Option<&str>) -> String {
    match run {
        Some(run) => format!("there is no run {run:?}"),
        None => "there is no run".to_owned(),
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
