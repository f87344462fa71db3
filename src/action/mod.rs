//! The operations: a typed plan in, a report out. No command line, no terminal.
//!
//! One file an operation. What an operation has to say meanwhile goes to an [`Observer`].

pub mod build;
pub mod counts;
pub mod diff;
pub mod down;
pub mod enqueue;
mod error;
pub mod export;
pub mod failed;
pub mod follow;
pub mod heal;
pub mod joblog;
mod journal;
mod latest;
pub mod local;
pub mod logs;
pub mod look;
pub mod manifests;
pub mod names;
pub mod progress;
mod record;
mod result_files;
pub mod results;
pub mod run;
pub mod scale;
pub mod session;
pub mod status;
pub mod survey;
pub mod up;
pub mod worker_job;

use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::apply::{Change, ObjectRef};
use crate::cluster::job::JobState;
use workqueue_worker::output::OutputStream;

pub use error::Error;

/// What an operation says while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// An object was applied, created or deleted; the word says which.
    Object {
        /// The object.
        object: &'a ObjectRef,
        /// What was done to it.
        change: ObjectChange,
    },
    /// What is being waited for now; each takes the place of the one before.
    Waiting(&'a str),
    /// Something that the user should know.
    Note(&'a str),
    /// Something that went well again.
    News(&'a str),
    /// Items so far.
    Enqueued {
        /// Handed to the broker.
        published: u64,
        /// Taken charge of by it.
        confirmed: u64,
        /// The share of the input that has been read, where its size is known.
        share: Option<f64>,
    },
    /// Items of a run so far.
    Items {
        /// The run's Job.
        job: &'a JobState,
        /// What is in its queues.
        counts: counts::Counts,
    },
    /// A Job's state changed.
    Job(&'a JobState),
    /// Something that a user who asked for every step should know.
    Detail(&'a str),
    /// What a program on this machine wrote.
    Output {
        /// Where.
        stream: OutputStream,
        /// What.
        bytes: &'a [u8],
    },
    /// Items worked on so far.
    Work {
        /// Done.
        done: u64,
        /// Failed for good.
        failed: u64,
        /// Being worked on.
        running: u64,
    },
    /// A line of a worker's log.
    Line {
        /// The pod.
        pod: &'a str,
        /// The line, without its newline.
        line: &'a [u8],
    },
}

/// What was done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectChange {
    /// It was applied.
    Applied(Change),
    /// It was deleted.
    Deleted,
}

/// Hears what an operation says.
pub trait Observer: Sync {
    /// Takes one event.
    fn on(&self, event: Event<'_>);
}

/// The point in time at which an operation gives up; `None` for never.
pub type Deadline = Option<Instant>;

/// The deadline that lies `timeout` ahead; a timeout of 0 means none, as for kubectl.
pub fn deadline_after(timeout: Duration) -> Deadline {
    (!timeout.is_zero()).then(|| Instant::now() + timeout)
}
