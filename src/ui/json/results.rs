//! The report of `results`: the queue, `records`, and these numbers.

use serde::Serialize;

use crate::results::read::ResultsReport;

/// What follows the records.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultsJson {
    /// Items done.
    pub done: u64,
    /// Items that have failed.
    pub failed: u64,
    /// Earlier records of the same items and runs, which are not in `records`.
    pub superseded: u64,
    /// Items of which the record keeps the end of their output only.
    pub shortened: u64,
    /// Messages in the stream that are not records.
    pub unreadable: u64,
    /// Whether older records have been evicted.
    pub truncated: bool,
}

impl From<&ResultsReport> for ResultsJson {
    fn from(report: &ResultsReport) -> Self {
        Self {
            done: report.done,
            failed: report.failed,
            superseded: report.repeated,
            shortened: report.shortened,
            unreadable: report.unreadable,
            truncated: report.truncated,
        }
    }
}
