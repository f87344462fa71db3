//! Reads the items of `QUEUE.failed` without consuming them, and purges them.

use lapin::{Channel, Confirmation};

use crate::broker::{close_channel, within};
use crate::confirms::{Route, confirming_channel, publish};
use crate::failed_message::{self, FailedMessage};
use crate::queue_reader::QueueReader;
use crate::{Broker, Error, topology};
use workqueue_core::names::QueueName;

/// An item that was delivered this often is replaced by a copy: from RabbitMQ 4.0 on, a quorum queue
/// without a delivery limit of its own drops a message after 20 deliveries.
const RENEW_AT: u32 = 10;

/// Reads the failed items of a queue: each is received once, and requeued by
/// [`close`](Self::close). The caller either acknowledges ([`ack`](Self::ack)) or
/// [keeps](Self::keep) each of them.
pub struct FailedReader {
    route: Route,
    reader: QueueReader,
    copies: Channel,
}

impl FailedReader {
    /// Starts to read the failed items of a queue; `None` if there is no queue for them.
    ///
    /// # Errors
    /// Lost connections and refusals.
    pub async fn open(broker: &Broker, queue: &QueueName) -> Result<Option<Self>, Error> {
        let queue = queue.failed();
        let Some(reader) = QueueReader::open(broker, queue.clone()).await? else { return Ok(None) };
        Ok(Some(Self { route: Route::direct(queue), reader, copies: confirming_channel(broker).await? }))
    }

    /// The next item; `None` after the last that was ready at the start. After it was cancelled, only
    /// [`close`](Self::close) may be called.
    ///
    /// # Errors
    /// Lost connections, after which the broker requeues all items.
    pub async fn next(&mut self) -> Result<Option<FailedMessage>, Error> {
        Ok(self.reader.next().await?.map(failed_message::read))
    }

    /// Makes sure that an item survives this reading and many more: an item that was delivered often
    /// is replaced by a copy, whose deliveries are counted from 0 again, and acknowledged once the
    /// copy is confirmed.
    ///
    /// # Errors
    /// Lost connections, after which the broker requeues all items.
    pub async fn keep(&mut self, message: &FailedMessage) -> Result<(), Error> {
        if message.deliveries() < RENEW_AT {
            return Ok(());
        }
        let copying = publish(&self.copies, &self.route, &message.body, message.properties_for_copy());
        match within(copying).await? {
            Confirmation::Ack(None) => self.ack(&[message.tag]).await,
            // Without a copy the item stays as it is.
            _ => Ok(()),
        }
    }

    /// Acknowledges items, which removes them from the queue.
    ///
    /// # Errors
    /// Lost connections: the items may still be in the queue.
    pub async fn ack(&mut self, tags: &[u64]) -> Result<(), Error> {
        self.reader.ack(tags).await
    }

    /// Requeues all items that were not acknowledged.
    ///
    /// # Errors
    /// Lost connections: the items are requeued all the same.
    pub async fn close(self) -> Result<(), Error> {
        self.reader.close().await?;
        close_channel(&self.copies).await;
        Ok(())
    }
}

/// Deletes all failed items that nobody holds, and returns their number.
///
/// # Errors
/// Lost connections and refusals.
pub async fn purge(broker: &Broker, queue: &QueueName) -> Result<u64, Error> {
    match topology::purge(broker, &queue.failed()).await {
        Err(Error::NoQueue(_)) => Ok(0),
        purged => purged.map(u64::from),
    }
}
