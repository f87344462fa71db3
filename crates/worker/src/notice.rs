//! What a worker receives and reports: signals, notices while it works, the report at the end.

use std::sync::Arc;
use std::time::Duration;

use workqueue_core::record::ResultRecord;

/// A signal that stops a worker: the first lets running items finish, the second does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// Why a worker has ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// The queue is empty.
    Drained,
    /// The only item is settled.
    Once(Arc<ResultRecord>),
    /// A signal; unfinished items were requeued.
    Stopped(StopSignal),
    /// Too many items of the run have failed; unfinished items were requeued.
    Halted,
}

/// What a worker has done.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerReport {
    /// Why it ended.
    pub ending: Ending,
    /// Items done.
    pub done: u64,
    /// Items that have failed.
    pub failed: u64,
    /// Items requeued.
    pub requeued: u64,
}

/// What a worker reports while it works.
#[derive(Debug)]
pub enum WorkerNotice<'a> {
    /// An item is started.
    Started {
        /// The item's id.
        id: &'a str,
        /// Its body.
        body: &'a [u8],
    },
    /// An attempt failed and there will be another.
    Retry {
        /// The failed attempt.
        record: &'a ResultRecord,
        /// The pause before the next one.
        pause: Duration,
    },
    /// An item is settled, and its record confirmed.
    Settled(&'a ResultRecord),
    /// An item was finished here after it had been redelivered to another worker.
    Superseded(&'a ResultRecord),
    /// The worker was stopped, and waits for running items.
    Stopping {
        /// Items that are still running.
        running: usize,
    },
    /// So many items of the run have failed that the worker halts, and waits for running items.
    Halting {
        /// Failed items of the run, as far as known here.
        failed: u64,
        /// Items that are still running.
        running: usize,
    },
    /// Something that the user should know.
    Note(&'a str),
}

/// Receives what a worker reports.
pub trait WorkerObserver: Send + Sync + 'static {
    /// Takes one notice.
    fn on(&self, notice: WorkerNotice<'_>);
}
