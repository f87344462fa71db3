//! Sends failed items back to their queue, so that each is in one of the two at any time.

use lapin::{Channel, Confirmation, PublisherConfirm};

use super::browse::BYTES_UNDER_WAY;
use super::failed::Look;
use super::failed_message::FailedMessage;
use super::settle::{confirming, send};
use super::{Broker, Error, topology, within};
use workqueue_core::names::QueueName;

/// Items that are published before their confirms are waited for.
const RETRIED_TOGETHER: usize = 64;

/// Publishes failed items to their queue again.
pub struct Retrier {
    queue: QueueName,
    channel: Channel,
    /// Published, not known to be safe.
    pending: Vec<(u64, PublisherConfirm)>,
    bytes: usize,
}

impl Retrier {
    /// Opens a channel with confirms.
    ///
    /// # Errors
    /// [`Error::NoQueue`], lost connections and refusals.
    pub async fn open(broker: &Broker, queue: &QueueName) -> Result<Self, Error> {
        if topology::depth(broker, queue).await?.is_none() {
            return Err(Error::NoQueue(queue.clone()));
        }
        Ok(Self { queue: queue.clone(), channel: confirming(broker).await?, pending: Vec::new(), bytes: 0 })
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
        self.pending.len() >= RETRIED_TOGETHER || self.bytes >= BYTES_UNDER_WAY
    }

    /// Waits until the broker has taken charge of what was published, then takes it out of the
    /// failed ones; gives how many.
    ///
    /// lapin hands out returned messages in order of arrival, not with their own confirm: so all
    /// of them have to be confirmed, or none is taken for safe.
    ///
    /// # Errors
    /// A queue that takes no more, or is gone; lost connections. None of these items has left
    /// `QUEUE.failed` then, and some may be in both queues.
    pub async fn settle(&mut self, look: &mut Look) -> Result<u64, Error> {
        self.bytes = 0;
        let mut tags = Vec::new();
        let mut refused = None;
        let queue = &self.queue;
        for (tag, confirm) in self.pending.drain(..) {
            let confirmed = async { confirm.await.map_err(|error| failure(queue, &error)) };
            match within(confirmed).await? {
                Confirmation::Ack(None) => tags.push(tag),
                Confirmation::Ack(Some(_)) => refused = Some("the queue is gone"),
                Confirmation::Nack(_) => refused = Some("the queue takes no more"),
                Confirmation::NotRequested => refused = Some("the broker sends no confirms"),
            }
        }
        if let Some(reason) = refused {
            let operation = format!("publishing to queue {queue}");
            return Err(Error::Refused { operation, reason: reason.to_owned() });
        }
        look.forget(&tags).await?;
        Ok(tags.len() as u64)
    }
}

fn failure(queue: &QueueName, error: &lapin::Error) -> Error {
    Error::from_lapin(format!("publishing to queue {queue}"), error)
}
