//! The reports of `enqueue`, with and without `--dry-run`.

use serde::Serialize;

use super::BodyJson;
use crate::queue::dry_run::InputSummary;
use crate::queue::enqueue_report::EnqueueReport;
use workqueue_core::item::Item;
use workqueue_core::names::QueueName;

/// The report of `enqueue`, and of a `run` that could not enqueue all of its items.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnqueueJson<'a> {
    pub queue: &'a str,
    /// The first part of the items' ids.
    pub batch: &'a str,
    /// Items that `--resume` passed over.
    pub skipped: u64,
    /// Items that were read, without those skipped.
    pub read: u64,
    /// Blank lines that were skipped.
    pub blank: u64,
    /// Items that the broker confirmed.
    pub confirmed: u64,
    /// Items that the broker refused.
    pub refused: u64,
    /// `null` if none was refused.
    pub first_refused: Option<RefusalJson<'a>>,
    /// Items that were published again after the connection broke: at most so many are in the
    /// queue twice.
    pub republished: u64,
    /// Whether Ctrl-C stopped it.
    pub interrupted: bool,
}

/// An item that the broker refused.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusalJson<'a> {
    /// Where in the input it is: `items.txt:3`.
    pub position: String,
    /// What the broker said.
    pub reason: &'a str,
}

impl<'a> EnqueueJson<'a> {
    /// What became of the items.
    pub fn of(queue: &'a QueueName, report: &'a EnqueueReport) -> Self {
        let first_refused = report.first_refused.as_ref();
        Self {
            queue: queue.as_str(),
            batch: &report.batch,
            skipped: report.skipped,
            read: report.read,
            blank: report.blank,
            confirmed: report.confirmed,
            refused: report.refused,
            first_refused: first_refused
                .map(|(position, reason)| RefusalJson { position: position.to_string(), reason }),
            republished: report.repeated,
            interrupted: report.interrupted,
        }
    }
}

/// The report of `enqueue --dry-run`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InputJson {
    /// Always true.
    pub dry_run: bool,
    /// Items that were read.
    pub read: u64,
    /// Blank lines that were skipped.
    pub blank: u64,
    /// Their sizes added up, in bytes.
    pub total_size: u64,
    /// `null` if there is no item.
    pub largest: Option<InputSizeJson>,
    /// The first items.
    pub first_items: Vec<InputItemJson>,
    /// Whether Ctrl-C stopped it.
    pub interrupted: bool,
}

/// The size of an item of the input.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InputSizeJson {
    /// Where in the input it is: `items.txt:3`.
    pub position: String,
    /// In bytes.
    pub size: usize,
}

/// An item of the input.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InputItemJson {
    /// Where in the input it is: `items.txt:3`.
    pub position: String,
    /// In bytes.
    pub size: usize,
    #[serde(flatten)]
    pub body: BodyJson,
}

impl From<&InputSummary> for InputJson {
    fn from(summary: &InputSummary) -> Self {
        let largest = summary.largest.as_ref();
        Self {
            dry_run: true,
            read: summary.items,
            blank: summary.blank,
            total_size: summary.bytes,
            largest: largest
                .map(|(position, size)| InputSizeJson { position: position.to_string(), size: *size }),
            first_items: summary.first.iter().map(InputItemJson::from).collect(),
            interrupted: summary.interrupted,
        }
    }
}

impl From<&Item> for InputItemJson {
    fn from(item: &Item) -> Self {
        Self { position: item.position.to_string(), size: item.body.len(), body: BodyJson::of(&item.body) }
    }
}
