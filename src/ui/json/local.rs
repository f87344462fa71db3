//! The report of `local`.

use serde::Serialize;

use crate::local::LocalReport;
use workqueue_core::record::ResultRecord;

/// The report of `local`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalJson<'a> {
    /// Items done.
    pub done: u64,
    /// Items that have failed.
    pub failed: u64,
    /// Blank lines that were skipped.
    pub blank: u64,
    /// Whether a signal ended it before the last item.
    pub interrupted: bool,
    /// Whether `--halt` did.
    pub halted: bool,
    /// The records of the first items that failed.
    pub failed_records: &'a [ResultRecord],
}

impl<'a> From<&'a LocalReport> for LocalJson<'a> {
    fn from(report: &'a LocalReport) -> Self {
        Self {
            done: report.done,
            failed: report.failed,
            blank: report.blank,
            interrupted: report.interrupted,
            halted: report.halted,
            failed_records: &report.failures,
        }
    }
}
