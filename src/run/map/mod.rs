//! Enqueues items, runs a Job over them, and prints what each wrote, all at once: the Job starts with the
//! first item, and outputs are printed while the input is read.

mod collect;
mod driver;
mod input;
mod questions;
mod remains;
mod start;

use crate::error::Error;
use crate::queue::enqueue_report::EnqueueReport;
use crate::run::follow::RunReport;

pub use driver::{MapPlan, attach, map};

/// What is known when `map` ends.
#[derive(Debug)]
pub struct MapReport {
    /// The run, as far as it was followed.
    pub run: RunReport,
    /// What became of the input; `None` if it was read by another process.
    pub input: Option<InputEnd>,
    /// Items that were printed here, or had nothing to print.
    pub printed: u64,
    /// The item whose printing was left, since nobody has read it to its end.
    pub unread: Option<String>,
    /// Done items without an output here.
    pub absent: u64,
    /// The first of these, by id.
    pub absent_ids: Vec<String>,
    /// Whether this machine has started the run, so that its outputs should have come here.
    pub is_here: bool,
    /// Whether items are printed in their order.
    pub keeps_order: bool,
    /// Where the position is saved, until everything is printed.
    pub position: Option<String>,
}

/// How an input ended.
#[derive(Debug)]
pub enum InputEnd {
    /// What was read is in the queue, unless there is an error.
    Read(Box<EnqueueReport>, Option<Error>),
    /// Not all of it was read, for this reason.
    Cut(String),
}

/// How `map` ended.
#[derive(Debug)]
pub enum Mapped {
    /// There was a run.
    Run(Box<MapReport>),
    /// The input was empty.
    Nothing,
    /// No Job was created, since the input could not be enqueued.
    NotEnqueued(Box<EnqueueReport>, Option<Error>),
}
