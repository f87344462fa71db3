//! The errors of operations, and what the user can do about each.

use std::path::Path;

use crate::cluster::object_ref::ObjectRef;
use crate::{cluster, image, items};
use workqueue_core::names::QueueName;
use workqueue_core::words::{count, were};
use {helm_template as chart, workqueue_amqp as broker, workqueue_worker as worker};

/// Any error of an operation. Each variant leads to one hint and one exit code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    #[error(transparent)]
    Broker(#[from] broker::Error),
    #[error(transparent)]
    Chart(#[from] chart::Error),
    #[error("the chart has no preset {name:?}; it has: {}", list(known))]
    NoPreset {
        name: String,
        /// The presets that the chart has.
        known: Vec<String>,
    },
    #[error(transparent)]
    Item(#[from] items::Error),
    #[error(transparent)]
    Image(#[from] image::Error),
    #[error("cannot read {path}")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write {path}")]
    Write {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("directory {0} is not empty")]
    NotEmpty(String),
    #[error("cannot start {program}")]
    Program {
        program: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{0} does not start with #!")]
    NoFirstLine(String),
    #[error("no image is named from which to copy workqueue-worker")]
    NoWorkerImage,
    /// The rendered chart lacks the object that the operation needs.
    #[error("the chart renders no {0}")]
    Incomplete(&'static str),
    #[error("run {run:?} is still working on queue {queue}")]
    QueueBusy { run: String, queue: QueueName },
    /// No item is ready, and others may hold some.
    #[error("queue {queue} has no items ready, but {} may hold some", count(*consumers, "consumer"))]
    ItemsHeld { queue: QueueName, consumers: u32 },
    /// A run enqueued items, and found its queue empty then.
    #[error("{} enqueued, but queue {queue} is empty: another consumer takes its items", were(*items, "item"))]
    ItemsTaken { items: u64, queue: QueueName },
    /// Outputs that the broker's volume could never hold.
    #[error("{what} ({bytes} bytes) does not fit into {into} ({room} bytes)")]
    OutputsDoNotFit { what: &'static str, bytes: u64, into: &'static str, room: u64 },
    /// The broker has no streams, so that nobody would know whose output is missing.
    #[error("the broker keeps no ledger, and without one no outputs")]
    NoLedgerForOutputs,
    /// There are no outputs of the run, or of any run over the queue.
    #[error("{}", no_outputs(run.as_deref(), queue))]
    NoOutputs { run: Option<String>, queue: QueueName },
    /// Somebody else collects the outputs of a run.
    #[error("somebody else collects the outputs of run {0}")]
    AlreadyCollected(String),
    /// No place for what waits for its turn.
    #[error("there is no home directory, so outputs cannot wait for those before them")]
    NoHome,
    /// A run that keeps no outputs.
    #[error("run {0} keeps no outputs")]
    KeepsNoOutputs(String),
    /// `map` over a queue with items that are not its own.
    #[error("queue {queue} is in use: it holds {}, and has {}", count(*items, "item"), count(*consumers, "consumer"))]
    QueueInUse { queue: QueueName, items: u32, consumers: u32 },
    /// Some outputs did not come.
    #[error("{} of outputs did not come: somebody else reads or collects them", count(*messages, "message"))]
    OutputsMissed { messages: u64 },
    /// Messages of a queue of outputs that hold none.
    #[error("{} of queue {queue} hold no outputs", count(*messages, "message"))]
    NotOutputs { messages: u64, queue: QueueName },
    #[error("queue {queue} holds {}; with one pod per item, that is more than {}", count(*items, "item"), count(*limit, "pod"))]
    TooManyPods { queue: QueueName, items: u32, limit: u32 },
    #[error("the workers cannot start: {reason}")]
    WorkersStuck {
        /// A pod and its state.
        reason: String,
        /// What to change; `None` if it is the image.
        cure: Option<&'static str>,
    },
    /// No pod of a run has started for longer than the user wants to wait.
    #[error("no pod of run {run} has started within {seconds} s{}", because(reason.as_deref()))]
    NotStarted {
        run: String,
        seconds: u64,
        /// What the pods wait for, if it is known.
        reason: Option<String>,
    },
    /// The named run does not exist; without a name, there is no run at all.
    #[error("{}", no_run(.0.as_deref()))]
    NoRun(Option<String>),
    #[error("run {0:?} has ended")]
    RunEnded(String),
    #[error("run {0:?} is paused")]
    RunPaused(String),
    /// There is no earlier enqueue to resume.
    #[error("nothing to resume: {0}")]
    NotResumable(String),
    /// The queue was missing after a reconnect.
    #[error(
        "queue {queue} is gone, and with it {} that the broker had confirmed; \
         enqueue all items again, without --resume",
        count(*confirmed, "item")
    )]
    QueueLost { queue: QueueName, confirmed: u64 },
    #[error(
        "deleting {0} would delete its PVCs, because of broker.persistence.whenDeleted: nothing was deleted"
    )]
    PvcsDeleted(ObjectRef),
    #[error("{0} is no longer rendered, and its queues may hold messages: nothing was applied")]
    BrokerPruned(ObjectRef),
    /// A broker would not boot with the data of a version that is too old.
    #[error(
        "the broker runs RabbitMQ {from}, which cannot be upgraded to {to} in one step: nothing was applied"
    )]
    BrokerJump {
        from: String,
        to: String,
        /// All versions on the way, both ends included.
        steps: Vec<String>,
        /// The command to run before each step.
        enable: String,
    },
    #[error(
        "the broker runs RabbitMQ {from}, and RabbitMQ {to} does not boot with its data: nothing was applied"
    )]
    BrokerDowngrade { from: String, to: String },
    #[error("nameOverride is {0:?}, but all commands find a release's objects by the chart's own name")]
    Renamed(String),
    /// The log of an earlier run, which would be overwritten.
    #[error("the job log {0} exists")]
    JobLogExists(String),
    /// A script does not fit into a ConfigMap.
    #[error("{path}: {reason}")]
    Script { path: String, reason: String },
    #[error("{what} within {seconds} s")]
    Deadline {
        /// What did not happen, as in "run r1 did not end".
        what: String,
        seconds: u64,
    },
}

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Cluster(error) => error.hint(),
            Self::Item(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::QueueBusy { run, .. } => Some(format!(
                "wait for it with `kubectl workqueue attach {run}`, or use another queue with --queue"
            )),
            Self::WorkersStuck { cure: Some(cure), .. } => {
                Some(format!("{cure}; the Job was deleted, and its items are still in the queue"))
            }
            Self::BrokerJump { steps, enable, .. } => Some(format!(
                "upgrade in steps ({}), each with `kubectl workqueue up --set broker.image.tag=TAG`; before each step \
                 enable all stable feature flags: {enable}",
                steps.join(" -> ")
            )),
            Self::RunPaused(run) => Some(format!("resume it first with `kubectl workqueue resume {run}`")),
            _ => self.fixed_hint().map(str::to_owned),
        }
    }

    /// The hint of an error that has the same one every time.
    fn fixed_hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Broker(error) => return broker_hint(error),
            Self::NotEmpty(_) => "--force overwrites files of the same names and keeps all others",
            Self::JobLogExists(_) => {
                "--resume continues with the items that are not in it, --resume-failed with the failed ones, too; \
                 or name another file"
            }
            Self::Program { source, .. } if source.kind() != std::io::ErrorKind::NotFound => {
                "`ulimit -n` and `ulimit -u` show the limits of this shell; an executable file has its x permission"
            }
            Self::Program { .. } => "name a program on PATH, or the path of an executable file (./work.sh)",
            Self::NoFirstLine(_) => {
                "begin the script with a line that names its interpreter, such as #!/usr/bin/env python3"
            }
            Self::Incomplete(_) => {
                "the chart's values disable it: check the output of `kubectl workqueue render`"
            }
            Self::NoWorkerImage => {
                "name one with --worker-image, or for all runs with `up --set worker.inject.image=REF`; \
                 `kubectl workqueue build --worker-only --image REF --push` builds it"
            }
            Self::OutputsDoNotFit { .. } => {
                "set worker.outputs.size and --output-limit so that they fit, or give the broker a larger volume"
            }
            Self::NoLedgerForOutputs => "RabbitMQ has streams from 3.9 on; run without --outputs",
            Self::NoOutputs { .. } => {
                "`run --outputs` keeps them, until they are collected or the run is deleted"
            }
            Self::AlreadyCollected(_) => "end the other `map` first; each output goes to one of them only",
            Self::NoHome => "set HOME or XDG_STATE_HOME, or omit --keep-order",
            Self::KeepsNoOutputs(_) => "`map` and `run --outputs` keep them",
            Self::QueueInUse { .. } => {
                "`map` prints outputs of its own items only: name another queue with --queue, or process these with `run`"
            }
            Self::OutputsMissed { .. } => "run it again once nobody else reads them",
            Self::TooManyPods { .. } => {
                "allow more with --max-pods, or combine several units of work into one item"
            }
            Self::ItemsHeld { .. } => {
                "no Job was created; wait until they have left: `kubectl workqueue queues` shows the queue's consumers"
            }
            Self::ItemsTaken { .. } => {
                "no Job was created; `kubectl workqueue queues` shows the queue's consumers, and --queue names another"
            }
            Self::WorkersStuck { .. } => {
                "the Job was deleted; unfinished items are still in the queue: fix the image and run again"
            }
            Self::NotStarted { .. } => {
                "the Job continues: fix the cause and follow it with `kubectl workqueue attach`, with a longer \
                 --start-timeout (0 for no limit), or delete the Job"
            }
            Self::NoRun(_) => "`kubectl workqueue status` lists the runs",
            Self::RunEnded(_) => "`kubectl workqueue run` starts another run over the items in the queue",
            Self::NotResumable(_) => "without --resume, `enqueue` starts with the first item",
            Self::QueueLost { .. } => {
                "a broker without a PVC loses its queues with its pod: see broker.persistence.enabled in the chart's values"
            }
            Self::PvcsDeleted(_) => {
                "run `kubectl workqueue up --set broker.persistence.whenDeleted=Retain` first, or omit --keep-data"
            }
            Self::BrokerDowngrade { .. } => {
                "keep the version, or use another release (--release) and move the messages with `dump` and `enqueue`"
            }
            Self::BrokerPruned(_) => "--yes prunes it, with what is in its queues",
            Self::Renamed(_) => {
                "omit it and name the release with --release; only `helm install` supports it"
            }
            Self::Script { .. } => "rename it, or build an image that contains it: see `run --build`",
            Self::Deadline { .. } => "allow more time with --timeout (0 for no limit)",
            _ => return None,
        })
    }
}

fn broker_hint(error: &broker::Error) -> Option<&'static str> {
    use broker::Error as E;
    Some(match error {
        E::LoginRefused => {
            "the broker reads its password from the Secret when it starts: if the Secret has changed since then, \
             restart the broker's pods"
        }
        E::NoQueue(_) => "`kubectl workqueue enqueue` creates it",
        E::NoAnswer { .. } => "its node may be busy, down or starting: try again",
        E::LoginTimeout | E::Connection(_) | E::Unreachable { .. } => {
            "the broker may have been restarted: try again"
        }
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

pub(crate) fn cannot_write(path: &Path, source: std::io::Error) -> Error {
    Error::Write { path: path.display().to_string(), source }
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn no_run(run: Option<&str>) -> String {
    match run {
        Some(run) => format!("there is no run {run:?}"),
        None => "there are no runs".to_owned(),
    }
}

fn no_outputs(run: Option<&str>, queue: &QueueName) -> String {
    match run {
        Some(run) => format!("there are no outputs of run {run} over queue {queue}"),
        None => format!("there are no outputs of a run over queue {queue}"),
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
