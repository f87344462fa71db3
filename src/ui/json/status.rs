//! The report of `status`.

use serde::Serialize;

use super::queues::QueueJson;
use super::run::RunJson;
use crate::release::status::{LedgerStatus, RunStatus, StatusReport};
use crate::ui::reports::status::failed;

/// The report of `status`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusJson<'a> {
    pub broker: BrokerJson<'a>,
    /// The queues of the runs and the one that `--queue` names, each with its QUEUE.failed.
    pub queues: Vec<QueueJson<'a>>,
    /// Oldest first.
    pub runs: Vec<RunStatusJson<'a>>,
    /// The runs in the books of the queues, those whose Jobs are gone among them.
    pub ledgers: Vec<LedgerJson<'a>>,
}

/// A run in the book of its queue.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerJson<'a> {
    pub queue: &'a str,
    pub run: &'a str,
    pub opened: String,
    /// Whether the run was judged.
    pub closed: bool,
    /// The size of the ledger; 0 without one.
    pub bytes: u64,
}

/// The broker of a release.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokerJson<'a> {
    /// The pod that was asked.
    pub pod: &'a str,
}

/// A run and how far it has come.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStatusJson<'a> {
    #[serde(flatten)]
    pub run: RunJson<'a>,
    pub progress: ProgressJson,
}

/// Numbers of items of a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgressJson {
    /// Items that are done, from the ledger or else from the records. `null` if there is neither.
    pub done: Option<u64>,
    /// Items that have failed: those that workers recorded, and `atDeliveryLimit`. `null` if the
    /// workers record nothing and the broker dead-lettered nothing.
    pub failed: Option<u64>,
    /// Items that the broker dead-lettered because they killed their workers too often, as far as
    /// QUEUE.failed shows.
    pub at_delivery_limit: u64,
    /// Whether there was no time to read all records, so that there are more.
    pub partial: bool,
    /// Items that workers hold, some seconds late. `null` if the run is over, or the broker's own
    /// tool cannot be run.
    pub held: Option<u64>,
    /// Items in the queue that no worker holds. `null` if the run is over.
    pub ready: Option<u64>,
    /// Items per second, over the last minute. `null` if the run is over.
    pub per_second: Option<f64>,
    /// Seconds until the queue is empty, at that rate.
    pub seconds_left: Option<u64>,
}

impl<'a> From<&'a StatusReport> for StatusJson<'a> {
    fn from(report: &'a StatusReport) -> Self {
        let queues = report.queues.iter();
        Self {
            broker: BrokerJson { pod: &report.broker },
            queues: queues.map(|(name, depth)| QueueJson::of(name, *depth)).collect(),
            runs: report.runs.iter().map(RunStatusJson::from).collect(),
            ledgers: report.ledgers.iter().map(LedgerJson::from).collect(),
        }
    }
}

impl<'a> From<&'a LedgerStatus> for LedgerJson<'a> {
    fn from(ledger: &'a LedgerStatus) -> Self {
        Self {
            queue: ledger.queue.as_str(),
            run: &ledger.run,
            opened: ledger.opened.to_string(),
            closed: ledger.closed,
            bytes: ledger.bytes,
        }
    }
}

impl<'a> From<&'a RunStatus> for RunStatusJson<'a> {
    fn from(run: &'a RunStatus) -> Self {
        let progress = run.progress.as_ref();
        Self {
            run: RunJson::from(&run.job),
            progress: ProgressJson {
                done: progress.map(|progress| progress.done),
                failed: failed(run),
                at_delivery_limit: run.given_up,
                partial: progress.is_some_and(|progress| progress.partial),
                held: run.held,
                ready: run.left,
                per_second: progress.and_then(|progress| progress.rate).filter(|_| run.left.is_some()),
                seconds_left: run.time_left().map(|time| time.as_secs()),
            },
        }
    }
}
