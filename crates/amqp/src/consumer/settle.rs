//! Settles deliveries: a failed item is copied to `QUEUE.failed`; then a batch's records, outputs and
//! outcomes are published; then its deliveries are acknowledged.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{try_join, try_join_all};
use tokio::sync::watch;

use super::acknowledged::Acknowledged;
use super::batch::{Batch, Finished};
use super::dead_letters::DeadLetters;
use super::held_delivery::HeldDelivery;
use super::notes::Notes;
use super::outcomes::Outcomes;
use super::outputs::Outputs;
use super::plan::ConsumerPlan;
use super::records::Records;
use super::wanted::Wanted;
use crate::confirms::Exchange;
use crate::{Broker, Error};
use workqueue_core::record::ResultRecord;

/// Settles the deliveries of one session.
pub(super) struct Settler {
    records: Records,
    outcomes: Option<Outcomes>,
    outputs: Option<Outputs>,
    dead_letters: DeadLetters,
    wanted: Arc<Wanted>,
    acknowledged: Mutex<Acknowledged>,
    /// Whether the broker has an alarm and blocks the connection.
    blocked_tx: watch::Sender<bool>,
}

impl Settler {
    pub(super) fn new(
        broker: &Broker,
        exchange: &Exchange,
        plan: &ConsumerPlan,
        wanted: Arc<Wanted>,
        notes: &Notes,
    ) -> Self {
        let (blocked_tx, blocked_rx) = watch::channel(false);
        let (queue, blocked) = (&plan.queue, || blocked_rx.clone());
        let outcomes = plan.ledger.as_ref().map(|ledger| {
            Outcomes::new(broker, exchange.to(queue.outcomes(&ledger.run)), wanted.clone(), blocked(), notes)
        });
        let outputs = plan.ledger.as_ref().filter(|ledger| ledger.outputs).map(|ledger| {
            Outputs::new(broker, exchange.to(queue.outputs(&ledger.run)), wanted.clone(), blocked(), notes)
        });
        Self {
            outputs,
            records: Records::new(broker, exchange.to(queue.results()), wanted.clone(), blocked(), notes),
            outcomes,
            dead_letters: DeadLetters::new(broker, exchange.to(queue.failed()), blocked(), notes),
            wanted,
            acknowledged: Mutex::default(),
            blocked_tx,
        }
    }

    /// Notes whether the broker blocks the connection: deadlines do not run meanwhile.
    pub(super) fn set_blocked(&self, blocked: bool) {
        self.blocked_tx.send_replace(blocked);
    }

    /// Whether the broker blocks the connection.
    pub(super) fn blocked(&self) -> watch::Receiver<bool> {
        self.blocked_tx.subscribe()
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
    pub(super) fn batch(&self, waiting: &mut VecDeque<Finished>) -> Batch {
        Batch::take(waiting, &self.wanted)
    }

    /// Settles a batch: its deliveries are acknowledged once everything about them is confirmed. Returns
    /// their numbers.
    ///
    /// # Errors
    /// The session is over: the items will be redelivered.
    pub(super) async fn flush(&self, batch: Batch) -> Result<Vec<u64>, Error> {
        let Batch { mut outcomes, outputs, .. } = batch;
        // Outputs come first: an item that the ledger calls done has its output on the broker.
        let outcomes = async {
            if let Some(kept) = &self.outputs {
                let cut = kept.publish(outputs).await?;
                cut.iter().for_each(|id| outcomes.cut(id));
            }
            match &self.outcomes {
                Some(to) => to.publish(&outcomes).await,
                None => Ok(()),
            }
        };
        try_join(self.records.publish(&batch.records), outcomes).await?;
        self.acknowledge(&batch.items).await?;
        Ok(batch.items.iter().map(|item| item.number).collect())
    }

    /// Returns a delivery to the queue.
    ///
    /// # Errors
    /// As for [`flush`](Self::flush).
    pub(super) async fn requeue(&self, held: &HeldDelivery) -> Result<(), Error> {
        held.requeue().await?;
        self.settled_up_to(held.own_tag());
        Ok(())
    }

    /// Acknowledges with as few acks as possible.
    async fn acknowledge(&self, items: &[Finished]) -> Result<(), Error> {
        let up_to = self.settled_up_to(items.iter().filter_map(|item| item.held.own_tag()));
        let (together, alone): (Vec<_>, Vec<_>) =
            items.iter().partition(|item| item.held.own_tag().is_some_and(|tag| tag <= up_to));
        let last = together.into_iter().max_by_key(|item| item.held.tag);
        let together = last.into_iter().map(|item| item.held.ack(true));
        try_join_all(together.chain(alone.into_iter().map(|item| item.held.ack(false)))).await.map(|_| ())
    }

    fn settled_up_to(&self, tags: impl IntoIterator<Item = u64>) -> u64 {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).settle(tags)
    }
}
