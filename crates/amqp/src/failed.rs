//! Looks at the items of `QUEUE.failed` without taking them.

use lapin::{Channel, Confirmation};

use super::browse::{Browse, looking};
use super::failed_message::{self, FailedMessage};
use super::settle::{confirming, send};
use super::{Broker, Error, topology, within};
use workqueue_core::names::QueueName;

/// An item that was handed out this often is renewed: from RabbitMQ 4.0 on, quorum queues that were
/// not told otherwise drop a message after 20 times.
const RENEW_AT: u32 = 10;

/// A look at the failed items: each is seen once, and goes back when the look is over, unless it
/// was [forgotten](Self::forget). Each is to be either forgotten or [kept](Self::keep).
pub struct Look {
    queue: QueueName,
    browse: Browse,
    renewals: Channel,
}

impl Look {
    /// Starts a look at the failed items of a queue; `None` if there is no queue for them.
    ///
    /// # Errors
    /// Lost connections and refusals.
    pub async fn open(broker: &Broker, queue: &QueueName) -> Result<Option<Self>, Error> {
        let queue = queue.failed();
        let Some(browse) = Browse::open(broker, queue.clone()).await? else { return Ok(None) };
        Ok(Some(Self { queue, browse, renewals: confirming(broker).await? }))
    }

    /// The next item; `None` once all have come that were there at the start. Safe to cancel only
    /// if the look is closed then.
    ///
    /// # Errors
    /// Lost connections: all items are back in the queue then.
    pub async fn next(&mut self) -> Result<Option<FailedMessage>, Error> {
        Ok(self.browse.next().await?.map(failed_message::read))
    }

    /// Sees to it that an item survives this look and many more: one that was handed out often is
    /// replaced by a copy of itself, which counts anew, and goes once the broker has the copy.
    ///
    /// # Errors
    /// Lost connections: all items are back in the queue then.
    pub async fn keep(&mut self, message: &FailedMessage) -> Result<(), Error> {
        if message.deliveries() < RENEW_AT {
            return Ok(());
        }
        let copied = async {
            let sent = send(&self.renewals, &self.queue, &message.body, message.renewed()).await?;
            sent.await.map_err(|error| looking(&self.queue, &error))
        };
        match within(copied).await? {
            Confirmation::Ack(None) => self.forget(&[message.tag]).await,
            // Without a copy the item stays as it is.
            _ => Ok(()),
        }
    }

    /// Takes items out of the queue for good.
    ///
    /// # Errors
    /// Lost connections: the items may be in the queue still.
    pub async fn forget(&mut self, tags: &[u64]) -> Result<(), Error> {
        self.browse.forget(tags).await
    }

    /// Ends the look: all items that were not forgotten go back.
    ///
    /// # Errors
    /// Lost connections: the items go back all the same.
    pub async fn close(self) -> Result<(), Error> {
        self.browse.close().await?;
        topology::close(&self.renewals).await;
        Ok(())
    }
}

/// Deletes all failed items that nobody holds; gives how many.
///
/// # Errors
/// Lost connections and refusals.
pub async fn purge(broker: &Broker, queue: &QueueName) -> Result<u64, Error> {
    let purged = topology::purge(broker, &queue.failed()).await?;
    Ok(purged.unwrap_or(0).into())
}
