//! What stops an operation.

use std::path::Path;

use crate::cluster::object_ref::ObjectRef;
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
    /// The PVCs would be deleted together with their StatefulSet.
    #[error(
        "{0} deletes its PVCs when it is deleted, as broker.persistence.whenDeleted says: nothing was deleted"
    )]
    PvcsDeleted(ObjectRef),
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

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Cluster(error) => error.hint(),
            Self::Broker(error) => broker_hint(error),
            Self::Item(error) => Some(error.hint()),
            Self::Image(error) => error.hint(),
            Self::Chart(_) | Self::NoPreset { .. } | Self::Read { .. } | Self::Write { .. } => None,
            Self::NotEmpty(_) => {
                Some("--force writes over the files of the same names, and leaves the others".to_owned())
            }
            Self::Program { .. } => Some(
                "name a program on PATH, or a file with its path (./work.sh), that is executable".to_owned(),
            ),
            Self::NoFirstLine(_) => {
                Some("its first line names its interpreter, as in #!/usr/bin/env python3".to_owned())
            }
            Self::Incomplete(_) => {
                Some("the chart's values switch it off: see `kubectl workqueue render`".to_owned())
            }
            Self::NoWorkerImage => Some(
                "name one with --worker-image, or for all runs with `up --set worker.inject.image=REF`; \
                 `kubectl workqueue build --worker-only --image REF --push` makes it"
                    .to_owned(),
            ),
            Self::QueueBusy { run, .. } => Some(format!(
                "wait for it with `kubectl workqueue attach {run}`, or name another queue with --queue"
            )),
            Self::TooManyPods { .. } => {
                Some("allow more with --max-pods, or put several units of work into one item".to_owned())
            }
            Self::WorkersStuck { .. } => Some(
                "the Job was deleted, and what is not done is still in the queue: fix the image and run again"
                    .to_owned(),
            ),
            Self::NoRun(_) => Some("`kubectl workqueue status` lists the runs".to_owned()),
            Self::RunEnded(_) => {
                Some("`kubectl workqueue run` starts another over what is in the queue".to_owned())
            }
            Self::RunPaused(run) => Some(format!("`kubectl workqueue resume {run}` first")),
            Self::NotResumable(_) => Some("without --resume it starts with the first item".to_owned()),
            Self::QueueLost { .. } => Some(
                "this broker keeps its data only in its pod (a preset or a value says so): enqueue everything again"
                    .to_owned(),
            ),
            Self::PvcsDeleted(_) => Some(
                "`kubectl workqueue up --set broker.persistence.whenDeleted=Retain` first; or leave --keep-data out"
                    .to_owned(),
            ),
            Self::Renamed(_) => Some("leave it out, and name the --release; helm install can use it".to_owned()),
            Self::Script { .. } => Some("rename it, or build an image with it: see run --build".to_owned()),
            Self::Deadline { .. } => Some("give it more time with --timeout (0 for no limit)".to_owned()),
        }
    }
}

fn broker_hint(error: &broker::Error) -> Option<String> {
    use broker::Error as E;
    Some(match error {
        E::LoginRefused => {
            "the broker takes its password from the Secret whenever it starts: if the Secret has changed since, \
             restart the broker's pods"
                .to_owned()
        }
        E::NoQueue(_) => "`kubectl workqueue enqueue` makes it".to_owned(),
        E::LoginTimeout | E::Connection(_) | E::Unreachable { .. } => "the broker may have been restarted: try again".to_owned(),
        E::Address(_) | E::Refused { .. } => return None,
    })
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
pub(crate) fn cannot_write(path: &Path, source: std::io::Error) -> Error {
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
