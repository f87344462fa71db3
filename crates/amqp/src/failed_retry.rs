//! Retries failed items: publishes them to their queue again, and removes them from `QUEUE.failed` once
//! that is confirmed, so that each is in at least one of the two at any time.

use lapin::{Channel, Confirmation, PublisherConfirm};

use crate::broker::within;
use crate::confirms::{confirming_channel, publishing, send};
use crate::failed_message::FailedMessage;
use crate::failed_queue::FailedReader;
use crate::queue_reader::BYTES_IN_FLIGHT;
use crate::{Broker, Error, topology};
use workqueue_core::names::QueueName;

/// Items that are published before their confirms are waited for.
const RETRIED_TOGETHER: usize = 64;

/// Publishes failed items to their queue again.
pub struct Retrier {
    queue: QueueName,
    channel: Channel,
    /// Published and not confirmed yet.
    pending: Vec<(u64, PublisherConfirm)>,
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
            queue: queue.clone(),
            channel: confirming_channel(broker).await?,
            pending: Vec::new(),
            bytes: 0,
        })
    }

    /// Publishes an item, with its id, its own headers and its history.
    ///
    /// # Errors
    /// Lost connections.
    pub async fn publish(&mut self, message: &FailedMessage) -> Result<(), Error> {
        let sending = send(&self.channel, &self.queue, &message.body, message.properties_for_retry());
        let confirm = within(sending).await?;
        self.bytes += message.body.len();
        self.pending.push((message.tag, confirm));
        Ok(())
    }

    /// Whether it is time to [`settle`](Self::settle).
    pub fn is_full(&self) -> bool {
        self.pending.len() >= RETRIED_TOGETHER || self.bytes >= BYTES_IN_FLIGHT
    }

    /// Waits for the confirms of what was published, then acknowledges these items in
    /// `QUEUE.failed`; returns how many.
    ///
    /// lapin hands out returned messages in order of arrival, not with their own confirm: all of
    /// them have to be confirmed, or none counts as safe.
    ///
    /// # Errors
    /// A queue that accepts no more or is gone; lost connections. None of these items has left `QUEUE.failed`
    /// then, and some may be in both queues.
    pub async fn settle(&mut self, failed: &mut FailedReader) -> Result<u64, Error> {
        self.bytes = 0;
        let mut tags = Vec::new();
        let mut refused = None;
        let queue = &self.queue;
        for (tag, confirm) in self.pending.drain(..) {
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
