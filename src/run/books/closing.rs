//! Closes a run in the book of its queue.

use jiff::Timestamp;

use workqueue_amqp as broker;
use workqueue_amqp::ledger::{self, Pages};
use workqueue_amqp::{Broker, topology};
use workqueue_core::ledger::{BookEntry, BookRun, ClosedRun, ItemSet};
use workqueue_core::names::QueueName;

/// How a run ended, as far as its ledger tells.
pub(super) fn as_ledger_tells(pages: &Pages) -> ClosedRun {
    let sum = &pages.sum;
    ClosedRun {
        time: Timestamp::now(),
        missing: ItemSet::default(),
        done: sum.done.len() + sum.foreign_done,
        failed: sum.only_failed().len() + sum.foreign_failed,
        dead_lettered: 0,
        left: 0,
        by_items: false,
        bytes: pages.bytes,
    }
}

/// Closes a run in the book; `settled` are the items whose outcome is known.
///
/// # Errors
/// Lost connections, and refusals.
pub(super) async fn write(
    broker: &Broker,
    queue: &QueueName,
    run: &BookRun,
    settled: ItemSet,
    closed: ClosedRun,
) -> Result<(), broker::Error> {
    let entry = BookEntry::Closed { run: run.run.clone(), settled, closed };
    ledger::append(broker, queue, &[entry]).await?;
    // All outcomes are in the ledger.
    topology::delete(broker, &queue.outcomes(&run.run)).await
}
