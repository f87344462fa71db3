//! What operations report while they run: typed notices, which `ui` turns into sentences.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::apply::Change;
use crate::cluster::job::JobState;
use crate::cluster::object_ref::ObjectRef;
use crate::cluster::pod_event::LogLine;
use crate::cluster::start_wait::StartWait;
use crate::items::InputNotes;
use workqueue_core::item::Position;
use workqueue_core::names::{QueueName, ReleaseName};
use workqueue_core::record::ResultRecord;
use workqueue_worker::output::OutputStream;

#[derive(Debug)]
pub enum Notice<'a> {
    /// An object was applied, created or deleted.
    Object { object: &'a ObjectRef, change: ObjectChange },
    /// What the operation waits for now; replaces the previous wait.
    Waiting(Wait<'a>),
    /// Items enqueued so far.
    Enqueued {
        published: u64,
        confirmed: u64,
        /// The share of the input that has been read, from 0 to 1; `None` if its size is unknown.
        share: Option<f64>,
    },
    /// How far a run has come.
    Run(RunProgress<'a>),
    /// A run was started, whose items may still be enqueued.
    RunStarted(&'a JobState),
    /// Output of a program on this machine.
    Output { stream: OutputStream, bytes: &'a [u8] },
    /// Items processed on this machine so far.
    Work { done: u64, failed: u64, running: u64 },
    /// A line of a worker's log.
    LogLine(&'a LogLine),
    /// Something that needs the user's attention.
    Warning(Warning<'a>),
    /// Something works again.
    Recovered(Recovery<'a>),
    /// An item will be retried; for users who asked to see every step.
    Retry { record: &'a ResultRecord, pause: Duration },
}

/// What an operation waits for.
#[derive(Debug)]
pub enum Wait<'a> {
    /// Pods to become ready or to be gone, as described by `cluster`.
    Cluster(&'a str),
    /// The broker to accept a login.
    BrokerLogin,
    /// The worker to be stored in ConfigMaps.
    WorkerStored,
    /// The broker to be reachable again; holds the last error.
    BrokerBack(&'a str),
    /// The broker, to say what is in its queues; takes a moment only.
    Contents,
    /// The broker, to open the books of a run; takes a moment only.
    Opening,
    /// The broker, to close the books of a run.
    Books,
    /// Outcomes that a worker of an ended run still holds, and for how long.
    Outcomes(Duration),
    /// Whoever else collects the outputs of a run, and may be dead.
    OtherCollector { run: &'a str, consumers: u32 },
    /// The consumers of an ended run's queue, which may hold items.
    Consumers { queue: &'a QueueName, consumers: u32 },
    /// This many pods to end, after their Job has.
    LastPods(usize),
}

/// What needs the user's attention.
#[derive(Debug)]
pub enum Warning<'a> {
    /// The API server stopped answering while a run is followed.
    ApiServerAway { run: &'a str, reason: &'a str },
    /// The broker cannot be reached to count the items of a run.
    BrokerAway { reason: &'a str },
    /// The broker accepts no messages, because of an alarm that `reason` names.
    BrokerBlocked { reason: &'a str },
    /// The connection broke while items were being enqueued.
    ConnectionBroken { error: String, in_flight: usize },
    /// The queue was declared with other arguments and is used as it is; `reason` is the broker's.
    QueueDiffers { queue: &'a QueueName, reason: &'a str },
    /// The broker has no quorum queues.
    ClassicQueue { queue: &'a QueueName, reason: &'a str },
    /// An earlier enqueue of the same files stopped after `settled` items.
    EarlierEnqueue { settled: u64 },
    /// What was enqueued could not be written into the book of the queue.
    NotInBook { queue: &'a QueueName, reason: &'a str },
    /// The input of `map` ended before its end.
    InputCut { reason: &'a str },
    /// The broker could not be told in time that the input of a run has ended.
    InputStaysOpen { run: &'a str },
    /// What there is of a run that could not start could not be deleted.
    RunStays { run: &'a str, reason: &'a str },
    /// Old runs could not be deleted.
    OldRunsStay { reason: &'a str },
    /// ConfigMaps with workers of older versions could not be deleted.
    OldWorkersStay { reason: &'a str },
    /// The broker takes no ledger of a run.
    NoLedger { reason: &'a str },
    /// So many items of the book are not in the queue, and no run has settled them.
    GoneBefore { queue: &'a QueueName, items: u64, ids: &'a [String] },
    /// No record of the values of a release is found, so the chart's defaults are used.
    NothingRemembered { release: &'a ReleaseName },
    /// The release was given these values before, and is not given them now.
    ValuesDropped { release: &'a ReleaseName, values: &'a [String] },
    /// A run was not started although its items were enqueued.
    ItemsStayInQueue { items: u64, queue: &'a QueueName },
    /// Pods of a run have not started, or its Job cannot create any.
    NotStarting(&'a StartWait),
    /// The program of a run does not start; Kubernetes tries again `due` from now.
    NextPod { due: Duration, failure: &'a str },
    /// A pod was deleted before it had ended.
    PodDeleted { pod: &'a str },
    /// A pod does not end, long after its Job has.
    PodRemains { pod: &'a str },
    /// A pod failed, and what cures it, if its node is the cause.
    PodFailed { pod: &'a str, failure: &'a str, cure: Option<&'static str> },
    /// Lines are missing from the log of a pod.
    LogIncomplete { pod: &'a str, reason: &'a str },
    /// Some log lines did not arrive in time after the end of a run.
    LogsLate,
    /// The image is for other platforms than these nodes, or than all nodes.
    ImageMisfit { image: &'a BTreeSet<String>, nodes: &'a [UnfitNodes<'a>], fits_some: bool },
    /// The broker cannot be reached to collect the outputs of a run.
    OutputsAway { reason: &'a str },
    /// A message in a queue of outputs holds none, and is dropped.
    NotOutputs { queue: &'a QueueName },
    /// Nobody knows how much of an item was printed by a process that was killed.
    PrintedTwice { item: &'a str },
    /// The user wants the position of the printing not to be saved.
    PositionNotSaved,
    /// Outputs of a run that waited for those before them could not be printed, and are nowhere else.
    OutputsLost { run: &'a str, outputs: u64 },
    /// The workers of a run wait because too many of its outputs are on the broker.
    OutputsFull { run: &'a str },
    /// An item has failed on this machine.
    ItemFailed(&'a ResultRecord),
    /// The work on this machine ends; `running` items may finish.
    Stopping { running: usize },
    /// The work on this machine ends because `failed` items have failed.
    Halting { failed: u64, running: usize },
    /// A message from the worker's event loop.
    Worker(&'a str),
    /// Something that `doctor` would report as wrong, and what cures it.
    Check { message: &'a str, hint: Option<&'a str> },
    /// The lines of an input end with CR and LF; the first of them.
    CrLf { first: &'a Position },
    /// Blank lines of an input were skipped.
    BlankLines { skipped: u64 },
}

/// Nodes of one platform.
#[derive(Debug, Clone, Copy)]
pub struct UnfitNodes<'a> {
    /// `OS/ARCHITECTURE`.
    pub platform: &'a str,
    /// Their names.
    pub names: &'a [String],
}

/// What works again.
#[derive(Debug)]
pub enum Recovery<'a> {
    ApiServer,
    Broker,
    /// The broker accepts messages again.
    BrokerUnblocked,
    /// It has room for outputs again.
    OutputsRoom,
    /// Items are being enqueued again.
    Connection {
        place: &'a str,
        repeated: u64,
    },
}

/// How far a run has come.
#[derive(Debug)]
pub struct RunProgress<'a> {
    pub job: &'a JobState,
    /// `None` until they are counted.
    pub items: Option<RunCounts>,
    pub pods: PodCounts,
}

/// The items of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunCounts {
    /// Items waiting for a worker.
    pub waiting: u32,
    /// Items that have failed since the run started.
    pub failed: u32,
    /// Items that are done, as the ledger of the run said some seconds ago; `None` if it says nothing.
    pub done: Option<u64>,
    /// Whether its workers wait because nobody collects the outputs.
    pub outputs_full: bool,
}

/// The pods of a run, but for those that have succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodCounts {
    /// Pods whose program runs.
    pub running: u32,
    /// Pods that are on their way.
    pub starting: u32,
    /// Pods that are being deleted.
    pub ending: u32,
    /// Pods that have failed by themselves.
    pub failed: u32,
    /// What pods that are starting wait for, or why there are none, in Kubernetes' word.
    pub why: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectChange {
    Applied(Change),
    Deleted,
}

/// Receives what an operation reports.
pub trait Observer: Sync {
    fn on(&self, notice: Notice<'_>);

    /// Reports something that needs the user's attention.
    fn warn(&self, warning: Warning<'_>) {
        self.on(Notice::Warning(warning));
    }

    /// Reports what is new about an input.
    fn warn_of_input(&self, notes: &InputNotes) {
        if let Some(first) = notes.take_crlf() {
            self.warn(Warning::CrLf { first });
        }
    }
}

/// The point in time at which an operation gives up; `None` for never.
pub type Deadline = Option<Instant>;

/// The deadline `timeout` from now. A timeout of 0 means no deadline, as in kubectl.
pub fn deadline_after(timeout: Duration) -> Deadline {
    (!timeout.is_zero()).then(|| Instant::now() + timeout)
}
