//! The entry that closes a run in the book of its queue.

use jiff::Timestamp;

use workqueue_amqp as broker;
use workqueue_amqp::ledger::{self, Pages};
use workqueue_amqp::{Broker, topology};
use workqueue_core::ledger::{BookEntry, BookRun, ItemSet};
use workqueue_core::names::QueueName;

/// What is known of a run when it is closed.
pub(super) struct Closing<'a> {
    run: &'a str,
    /// The items whose outcome is known.
    pub settled: ItemSet,
    /// The items that are gone without an outcome.
    pub missing: ItemSet,
    pub done: u64,
    pub failed: u64,
    /// Of these, the ones that the broker has moved to the queue of failed items.
    pub dead_lettered: u64,
    /// Items that are left in the queue.
    pub left: u64,
    /// Whether each item was known by its identity.
    pub by_items: bool,
    bytes: u64,
}

impl<'a> Closing<'a> {
    /// What the ledger of a run tells.
    pub(super) fn new(run: &'a BookRun, pages: &Pages) -> Self {
        let sum = &pages.sum;
        Self {
            run: &run.run,
            settled: sum.settled(),
            missing: ItemSet::default(),
            done: sum.done.len() + sum.foreign_done,
            failed: sum.only_failed().len() + sum.foreign_failed,
            dead_lettered: 0,
            left: 0,
            by_items: false,
            bytes: pages.bytes,
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// Lost connections, and refusals.
    pub(super) async fn write(self, broker: &Broker, queue: &QueueName) -> Result<(), broker::Error> {
        let entry = BookEntry::Closed {
            run: self.run.to_owned(),
            time: Timestamp::now(),
            settled: self.settled,
            missing: self.missing,
            done: self.done,
            failed: self.failed,
            dead_lettered: self.dead_lettered,
            left: self.left,
            by_items: self.by_items,
            bytes: self.bytes,
        };
        ledger::append(broker, queue, &[entry]).await?;
        // All outcomes are in the ledger.
        topology::delete(broker, &queue.outcomes(self.run)).await
    }
}
