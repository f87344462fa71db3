//! The errors of operations, and what the user can do about each.

mod hint;

use std::path::{Path, PathBuf};

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
    #[error("the chart has no preset {name:?}; it has: {}{}", list(known), did_you_mean(name, known))]
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
    /// The worker for this architecture of some nodes is missing; `None` if there is none at all.
    #[error("{}", no_worker(*.0))]
    NoWorker(Option<&'static str>),
    /// A worker that belongs to another version of the plugin.
    #[error("{path} is {}, and this plugin is {}", worker_of(found.as_deref()), env!("CARGO_PKG_VERSION"))]
    OtherWorker { path: String, found: Option<String> },
    /// The rendered Job has no init container with a worker.
    #[error("the chart does not bring workqueue-worker into the pods")]
    ChartLacksWorker,
    /// The rendered chart lacks the object that the operation needs.
    #[error("the chart renders no {0}")]
    Incomplete(&'static str),
    /// A queue that nobody has made. `known` are those that there are, as far as that could be seen.
    #[error("{}", no_queue(queue, known))]
    NoQueue { queue: QueueName, known: Vec<String> },
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
    /// No place for the position of the printing.
    #[error("there is no home directory to save in how far outputs are printed")]
    NoHome,
    /// The place for the position of the printing cannot be written.
    #[error("how far outputs are printed cannot be saved in {directory}")]
    NoPosition {
        directory: String,
        #[source]
        source: std::io::Error,
    },
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
    /// The ledger of a run cannot fit on the broker's disk. In bytes.
    #[error(
        "the run's ledger may need {} MB, and the broker has {} MB left on its disk: no Job was created",
        needed.div_ceil(1_000_000), room / 1_000_000
    )]
    LedgerTooLarge { needed: u64, room: u64 },
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
    /// The named run does not exist; without a name, there is no run at all. `known` are those that there
    /// are, oldest first, with their queues.
    #[error("{}", no_run(.name.as_deref(), .known))]
    NoRun { name: Option<String>, known: Vec<(String, String)> },
    /// A run of another queue than the one that is meant.
    #[error("run {run} works on queue {its}, and not on queue {queue}")]
    OtherQueue { run: String, its: String, queue: QueueName },
    /// A command can mean any of these: names of runs, and their queues.
    #[error("several runs are active: {}", runs_and_queues(.0))]
    SeveralRuns(Vec<(String, String)>),
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
    /// A release was installed from a chart that is not named now.
    #[error("release {release} was installed from the chart in {}, which is not named now", directory.display())]
    OtherChart { release: String, directory: PathBuf },
    /// The values of a release were to be used again, and no record of them is found.
    #[error("no record of the values of release {release} is found: nothing was applied")]
    NothingRemembered { release: String },
    #[error("nameOverride is {0:?}, but all commands find a release's objects by the chart's own name")]
    Renamed(String),
    /// The log of an earlier run, which would be overwritten.
    #[error("the job log {0} exists")]
    JobLogExists(String),
    /// A script, or a file beside it, cannot be mounted.
    #[error("{path}: {reason}")]
    Script { path: String, reason: String },
    /// Somebody else has made the ConfigMap of a script.
    #[error("config map {0} exists before this command has created it, so the Job was deleted")]
    ScriptTaken(String),
    #[error("{path} is too large: the API server takes at most {limit} bytes in a ConfigMap")]
    ScriptTooLarge {
        path: String,
        /// In bytes.
        limit: usize,
    },
    /// A directory of scripts without one to start, or with several.
    #[error("{}", no_entry(path, found))]
    ScriptEntry { path: String, found: Vec<String> },
    #[error("{0} names packages that the program needs, and --script installs none")]
    NeedsPackages(String),
    #[error("{what} within {seconds} s")]
    Deadline {
        /// What did not happen, as in "run r1 did not end".
        what: String,
        seconds: u64,
    },
}

/// The most runs that a message lists.
const RUNS_SHOWN: usize = 10;

impl Error {
    /// There is no run of this name, and nobody knows which there are.
    pub(crate) fn no_run(name: &str) -> Self {
        Self::NoRun { name: Some(name.to_owned()), known: Vec::new() }
    }
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

fn no_run(run: Option<&str>, known: &[(String, String)]) -> String {
    let Some(run) = run else { return "there are no runs".to_owned() };
    if known.is_empty() {
        return format!("there is no run {run:?}");
    }
    let (older, shown) = known.split_at(known.len().saturating_sub(RUNS_SHOWN));
    let more = if older.is_empty() { String::new() } else { format!(", and {} older", older.len()) };
    let names: Vec<String> = known.iter().flat_map(|(run, queue)| [run, queue]).cloned().collect();
    let meant = did_you_mean(run, &names);
    format!("there is no run {run:?}; there are: {}{more}{meant}", runs_and_queues(shown))
}

fn no_queue(queue: &QueueName, known: &[String]) -> String {
    if known.is_empty() {
        return format!("there is no queue {queue}");
    }
    format!("there is no queue {queue}; there are: {}{}", list(known), did_you_mean(queue.as_str(), known))
}

fn runs_and_queues(runs: &[(String, String)]) -> String {
    runs.iter().map(|(run, queue)| format!("{run} (queue {queue})")).collect::<Vec<_>>().join(", ")
}

fn did_you_mean(name: &str, known: &[String]) -> String {
    let meant = chart::nearest(name, known.iter().map(String::as_str));
    // The name of a queue is no run's, where only a run will do.
    meant.filter(|meant| *meant != name).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default()
}

fn no_worker(architecture: Option<&str>) -> String {
    const WHERE: &str = "next to kubectl-workqueue or on PATH";
    match architecture {
        Some(architecture) => {
            format!(
                "there are nodes with linux/{architecture}, and no static workqueue-worker for it {WHERE}"
            )
        }
        None => format!("there is no static workqueue-worker {WHERE}"),
    }
}

fn worker_of(version: Option<&str>) -> String {
    match version {
        Some(version) => format!("the worker of version {version}"),
        None => "a worker of an unknown version".to_owned(),
    }
}

fn no_entry(path: &str, found: &[String]) -> String {
    match found {
        [] => format!("{path} contains no script `main` to start"),
        found => format!("{path} contains several scripts to start: {}", found.join(", ")),
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
