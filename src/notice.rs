//! What operations report while they go on: typed notices, which `ui` turns into sentences.

use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::apply::Change;
use crate::cluster::job::JobState;
use crate::cluster::object_ref::ObjectRef;
use workqueue_core::names::QueueName;
use workqueue_core::record::ResultRecord;
use workqueue_worker::output::Stream;

/// What an operation reports.
#[derive(Debug)]
pub enum Notice<'a> {
    /// An object was applied, created or deleted.
    Object { object: &'a ObjectRef, change: ObjectChange },
    /// What is being waited for now; replaces the wait before it.
    Waiting(Wait<'a>),
    /// Items enqueued so far.
    Enqueued {
        published: u64,
        confirmed: u64,
        /// The share of the input that has been read, where its size is known.
        share: Option<f64>,
    },
    /// Items of a run so far.
    Items { job: &'a JobState, counts: RunCounts },
    /// A Job's state changed.
    Job(&'a JobState),
    /// What a program on this machine wrote.
    Output { stream: Stream, bytes: &'a [u8] },
    /// Items processed on this machine so far.
    Work { done: u64, failed: u64, running: u64 },
    /// A line of a worker's log, without its newline.
    LogLine { pod: &'a str, line: &'a [u8] },
    /// Something that the user should look at.
    Warning(Warning<'a>),
    /// Something works again.
    Recovered(Recovery<'a>),
    /// An item will be tried again; for users who asked for every step.
    Retry { record: &'a ResultRecord, pause: Duration },
}

/// What an operation waits for.
#[derive(Debug)]
pub enum Wait<'a> {
    /// Pods to be ready or gone, in the words of the cluster.
    Cluster(&'a str),
    /// The broker's login.
    BrokerLogin,
    /// The broker to be reached again; holds what went wrong last.
    BrokerBack(&'a str),
    /// The broker, to count what a run has left.
    FinalCount,
}

/// What a user should look at.
#[derive(Debug)]
pub enum Warning<'a> {
    /// The API server does not answer while a run is followed.
    ApiServerAway { run: &'a str, reason: &'a str },
    /// The broker cannot be asked how a run goes.
    BrokerAway { reason: &'a str },
    /// The broker accepts no messages; holds its reason, an alarm.
    BrokerBlocked { reason: &'a str },
    /// The connection broke while items were enqueued.
    ConnectionBroken { error: String, in_flight: usize },
    /// A queue that was made with other arguments is used; holds the broker's words.
    QueueDiffers { queue: &'a QueueName, reason: &'a str },
    /// The broker has no quorum queues.
    ClassicQueue { queue: &'a QueueName, reason: &'a str },
    /// An earlier enqueue of the same files was left after so many items.
    EarlierEnqueue { settled: u64 },
    /// A run was not started though its items were enqueued.
    ItemsStayInQueue { items: u64, queue: &'a QueueName },
    /// A pod was deleted before it had ended.
    PodDeleted { pod: &'a str },
    /// A pod failed; says how.
    PodFailed { pod: &'a str, failure: &'a str },
    /// Lines are missing in the log of a pod.
    LogIncomplete { pod: &'a str, reason: &'a str },
    /// Logs were still on their way when a run was over.
    LogsLate,
    /// An image fits none of the nodes.
    ImageMisfit { image: &'a str, nodes: &'a [&'a str] },
    /// An item has failed on this machine.
    ItemFailed(&'a ResultRecord),
    /// The work on this machine ends; so many items still run.
    Stopping { running: usize },
    /// So many items have failed that the work on this machine ends.
    Halting { failed: u64, running: usize },
    /// What the worker's loop says of itself.
    Worker(&'a str),
}

/// What works again.
#[derive(Debug)]
pub enum Recovery<'a> {
    ApiServer,
    Broker,
    /// The broker accepts messages again.
    BrokerUnblocked,
    /// Items are being enqueued again.
    Connection {
        place: &'a str,
        repeated: u64,
    },
}

/// What is in the queues of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunCounts {
    /// Items that wait for a worker.
    pub waiting: u32,
    /// Items that have failed since the run began.
    pub failed: u32,
}

/// What was done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectChange {
    Applied(Change),
    Deleted,
}

/// Receives what an operation reports.
pub trait Observer: Sync {
    fn on(&self, notice: Notice<'_>);

    /// Reports something that the user should look at.
    fn warn(&self, warning: Warning<'_>) {
        self.on(Notice::Warning(warning));
    }
}

/// The point in time at which an operation gives up; `None` for never.
pub type Deadline = Option<Instant>;

/// The deadline that lies `timeout` ahead; a timeout of 0 means none, as for kubectl.
pub fn deadline_after(timeout: Duration) -> Deadline {
    (!timeout.is_zero()).then(|| Instant::now() + timeout)
}
