//! Retries failed items: publishes them to their queue again, and removes them from `QUEUE.failed` once
//! that is confirmed, so that each is in at least one of the two at any time.

use lapin::{Channel, Confirmation};

use crate::broker::within;
use crate::confirms::{Route, confirming_channel, publishing, send};
use crate::failed_message::FailedMessage;
use crate::failed_queue::FailedReader;
use crate::queue_reader::BYTES_IN_FLIGHT;
use crate::{Broker, Error, topology};
use workqueue_core::ledger::{ItemId, ItemSet};
use workqueue_core::names::QueueName;

/// Items that are published before their confirms are waited for.
const RETRIED_TOGETHER: usize = 64;

/// Publishes failed items to their queue again.
pub struct Retrier {
    route: Route,
    channel: Channel,
    /// Taken and not published yet.
    taken: Vec<FailedMessage>,
    bytes: usize,
}

impl Retrier {
    /// Opens a channel with confirms.
    ///
    /// # Errors
    /// [`Error::NoQueue`], lost connections and refusals.
    pub async fn open(broker: &Broker, queue: &QueueName) -> Result<Self, Error> {
        if !topology::exists(broker, queue).await? {
            return Err(Error::NoQueue(queue.clone()));
        }
        Ok(Self {
            route: Route::direct(queue.clone()),
            channel: confirming_channel(broker).await?,
            taken: Vec::new(),
            bytes: 0,
        })
    }

    /// Takes an item, which [`settle`](Self::settle) publishes.
    pub fn take(&mut self, message: FailedMessage) {
        self.bytes += message.body.len();
        self.taken.push(message);
    }

    /// The items that were taken and are not published yet, as far as an enqueue has named them.
    pub fn items(&self) -> ItemSet {
        let mut items = ItemSet::default();
        for item in self.taken.iter().filter_map(|message| ItemId::parse(&message.id)) {
            items.insert(item);
        }
        items
    }

    /// Whether it is time to [`settle`](Self::settle).
    pub fn is_full(&self) -> bool {
        self.taken.len() >= RETRIED_TOGETHER || self.bytes >= BYTES_IN_FLIGHT
    }

    /// Publishes what was taken, each item with its id, its own headers and its history; waits for the
    /// confirms, then acknowledges these items in `QUEUE.failed`; returns how many.
    ///
    /// lapin hands out returned messages in order of arrival, not with their own confirm: all of
    /// them have to be confirmed, or none counts as safe.
    ///
    /// # Errors
    /// A queue that accepts no more or is gone; lost connections. None of these items has left `QUEUE.failed`
    /// then, and some may be in both queues.
    pub async fn settle(&mut self, failed: &mut FailedReader) -> Result<u64, Error> {
        self.bytes = 0;
        let mut pending = Vec::new();
        for message in self.taken.drain(..) {
            let sending = send(&self.channel, &self.route, &message.body, message.properties_for_retry());
            pending.push((message.tag, within(sending).await?));
        }
        let mut tags = Vec::new();
        let mut refused = None;
        let queue = &self.route.queue;
        for (tag, confirm) in pending {
            let confirmed = async { confirm.await.map_err(|error| publishing(queue, &error)) };
            match within(confirmed).await? {
                Confirmation::Ack(None) => tags.push(tag),
                Confirmation::Ack(Some(_)) => refused = Some("the queue is gone"),
                Confirmation::Nack(_) => refused = Some("the queue accepts no more items"),
                Confirmation::NotRequested => refused = Some("the broker sends no confirms"),
            }
        }
        if let Some(reason) = refused {
            let operation = format!("publishing to queue {queue}");
            return Err(Error::Refused { operation, reason: reason.to_owned() });
        }
        failed.ack(&tags).await?;
        Ok(tags.len() as u64)
    }
}
