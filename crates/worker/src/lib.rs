//! The worker: next item, run the user's program, settle the item by its exit status.
//!
//! Knows queues by their trait alone: the same loop runs over a broker and in memory.

mod attempts;
mod backoff;
pub mod cli;
mod drain;
mod ending;
mod event_loop;
mod halt;
mod held_items;
pub mod output;
mod program;
mod reaper;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use workqueue_core::record::{Location, ResultRecord};

pub use backoff::{Backoff, BackoffError};
pub use event_loop::run;
pub use halt::{Halt, HaltError, HaltWhen};
pub use reaper::Reaper;

/// When a worker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerMode {
    /// After one item, or when there is none.
    Once,
    /// When nothing is left.
    Drain,
    /// When it is told to, or the queue says that no item will ever come.
    Forever,
}

/// What a worker does.
#[derive(Debug, Clone)]
pub struct WorkerPlan {
    /// The program and its arguments; `{}` stands for the item.
    pub program: Vec<OsString>,
    /// When to end.
    pub mode: WorkerMode,
    /// Items at one time, at least 1.
    pub concurrency: usize,
    /// Further attempts after the first.
    pub retries: u32,
    /// The pause before each of them.
    pub backoff: Backoff,
    /// The time that one attempt may take.
    pub item_timeout: Option<Duration>,
    /// How long running items may go on when the worker has to end.
    pub grace: Duration,
    /// How long after its start a worker stays at least while others hold items.
    pub linger: Duration,
    /// When failures end the work.
    pub halt: Option<Halt>,
    /// Failed items beside the queue that are not the run's; `None` for those that are there at
    /// the start.
    pub failed_before: Option<u64>,
    /// The queue's name.
    pub queue: String,
    /// The run, for programs and records.
    pub run: Option<String>,
    /// Where this is, for records.
    pub location: Location,
    /// A directory for all that programs write: `ID/stdout`, `ID/stderr` of the last attempt.
    pub capture: Option<PathBuf>,
}

/// A signal for the worker to end: the first lets running items finish, the second does not.
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
    /// Nothing is left in the queue.
    Drained,
    /// The one item is settled.
    Once(Arc<ResultRecord>),
    /// A signal; what was not finished has gone back.
    Stopped(StopSignal),
    /// Too many items of the run have failed; what was not finished has gone back.
    Halted,
}

/// What a worker has done.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerReport {
    /// Why it ended.
    pub ending: Ending,
    /// Items done.
    pub done: u64,
    /// Items failed for good.
    pub failed: u64,
    /// Items given back.
    pub requeued: u64,
}

/// What a worker says while it works.
#[derive(Debug)]
pub enum Notice<'a> {
    /// An item got a slot.
    Started {
        /// The item's id.
        id: &'a str,
        /// Its content.
        body: &'a [u8],
    },
    /// An attempt failed and there will be another.
    Retry {
        /// How it failed.
        record: &'a ResultRecord,
        /// The time until then.
        pause: Duration,
    },
    /// An item is settled, and its record is safe.
    Settled(&'a ResultRecord),
    /// An item's child ended after the item had gone to another worker.
    Superseded(&'a ResultRecord),
    /// The worker ends, and waits for this many items.
    Stopping {
        /// Items that still run.
        running: usize,
    },
    /// So many items of the run have failed that the worker ends, and waits for what still runs.
    Halting {
        /// Failed items of the run, as far as known here.
        failed: u64,
        /// Items that still run.
        running: usize,
    },
    /// Something that the user should know.
    Note(&'a str),
}

/// Hears what a worker says.
pub trait WorkerObserver: Send + Sync + 'static {
    /// Takes one notice.
    fn on(&self, notice: Notice<'_>);
}

/// What ends a worker before its work does.
#[derive(Debug, thiserror::Error)]
pub enum Error<Q: std::error::Error> {
    /// The queue has failed for good.
    #[error(transparent)]
    Queue(Q),
    /// The program cannot be started; the items are still in the queue.
    #[error("cannot start {program}")]
    Program {
        /// The program.
        program: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}
