//! Settles deliveries: a failed item is copied to `QUEUE.failed`; then a batch's records are published; then
//! its deliveries are acknowledged.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::future::try_join_all;
use tokio::sync::watch;

use super::batch::{Batch, Finished};
use super::dead_letters::DeadLetters;
use super::held_delivery::HeldDelivery;
use super::notes::Notes;
use super::records::Records;
use crate::{Broker, Error};
use workqueue_core::names::QueueName;
use workqueue_core::record::ResultRecord;

/// Settles the deliveries of one session.
pub(super) struct Settler {
    records: Records,
    dead_letters: DeadLetters,
    /// Whether the broker has an alarm and blocks the connection.
    blocked_tx: watch::Sender<bool>,
}

impl Settler {
    /// `results` says whether records are published, and is shared by all sessions of a worker.
    pub(super) fn new(broker: &Broker, queue: &QueueName, results: Arc<AtomicBool>, notes: &Notes) -> Self {
        let (blocked_tx, blocked_rx) = watch::channel(false);
        Self {
            records: Records::new(broker, queue, results, blocked_rx.clone(), notes),
            dead_letters: DeadLetters::new(broker, queue, blocked_rx, notes),
            blocked_tx,
        }
    }

    /// Notes whether the broker blocks the connection: deadlines do not run meanwhile.
    pub(super) fn set_blocked(&self, blocked: bool) {
        self.blocked_tx.send_replace(blocked);
    }

    /// Copies a failed item to `QUEUE.failed`; then it can be settled with a batch.
    ///
    /// # Errors
    /// The session is over: the item will be redelivered.
    pub(super) async fn dead_letter(
        &self,
        number: u64,
        held: HeldDelivery,
        record: Arc<ResultRecord>,
        body: &[u8],
    ) -> Result<Finished, Error> {
        self.dead_letters.publish(&held, &record, body).await?;
        Ok(Finished { number, held, record })
    }

    /// Takes a batch out of the items that wait.
    pub(super) fn batch(&self, waiting: &mut std::collections::VecDeque<Finished>) -> Batch {
        Batch::take(waiting, self.records.are_wanted())
    }

    /// Settles a batch: its deliveries are acknowledged once everything about them is confirmed. Returns
    /// their numbers.
    ///
    /// # Errors
    /// The session is over: the items will be redelivered.
    pub(super) async fn flush(&self, batch: Batch) -> Result<Vec<u64>, Error> {
        self.records.publish(&batch.records).await?;
        try_join_all(batch.items.iter().map(|item| item.held.ack())).await?;
        Ok(batch.items.iter().map(|item| item.number).collect())
    }
}
