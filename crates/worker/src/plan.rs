//! What a worker is to do.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::backoff::Backoff;
use super::halt::Halt;
use super::runtime_api::RuntimePlan;
use workqueue_core::record::WorkerLocation;

/// When a worker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerMode {
    /// After one item, or when there is none.
    Once,
    /// When the queue is empty and nobody else holds items.
    Drain,
    /// At a signal, or when the queue says that there will never be another item.
    Forever,
}

/// What a worker does.
#[derive(Debug, Clone)]
pub struct WorkerPlan {
    /// The program and its arguments, in which `{}` is replaced by the item.
    pub program: Vec<OsString>,
    /// That it stays, and asks for its items; `None` if it is started for each attempt.
    pub runtime: Option<RuntimePlan>,
    /// When to end.
    pub mode: WorkerMode,
    /// Items that run concurrently; at least 1.
    pub concurrency: usize,
    /// Further attempts at an item after the first has failed.
    pub retries: u32,
    /// The pause before each of them.
    pub backoff: Backoff,
    /// How long one attempt may take.
    pub item_timeout: Option<Duration>,
    /// How long running items may continue after a signal.
    pub grace: Duration,
    /// How long after its start a worker without items stays at least while others hold some.
    pub linger: Duration,
    /// When failures halt the run.
    pub halt: Option<Halt>,
    /// Items in `QUEUE.failed` that are not of this run; `None` for those that the first count finds.
    pub failed_before: Option<u64>,
    /// How many workers an item may end before it fails; at least 1.
    pub max_deaths: u32,
    /// The queue's name.
    pub queue: String,
    /// The run, for programs and records.
    pub run: Option<String>,
    /// Where this is, for records.
    pub location: WorkerLocation,
    /// Hold the output of a program back until it has ended, and pass on only that of the last attempt,
    /// unchanged. Otherwise it is passed on at once, line by line if several run.
    pub grouped: bool,
    /// Where output passes unchanged, end it with a newline if its program did not: what the next one prints
    /// must not be on the same line.
    pub end_lines: bool,
    /// Keep so many bytes of what the successful attempt at an item writes to standard output, in
    /// memory until the item is settled, and pass on none of it.
    pub keep_output: Option<usize>,
    /// A directory for everything that programs write: `ID/stdout`, `ID/stderr` of the last attempt.
    pub capture: Option<PathBuf>,
}
