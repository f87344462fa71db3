//! Looks at the items of `QUEUE.failed` without taking them.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery as Message;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Confirmation, Consumer};

use super::failed_message::{self, FailedMessage};
use super::settle::{confirming, send};
use super::topology::{self, short};
use super::{Broker, Error, answer, within};
use crate::names::QueueName;

/// Bytes of items that may be under way at one time.
pub(super) const BYTES_UNDER_WAY: usize = 16 * 1024 * 1024;

/// Items that may be; the first ones tell how large they are.
const FIRST_UNDER_WAY: u16 = 8;
const MOST_UNDER_WAY: u16 = 500;

/// How long the broker may take between two items. Where another command looks at the same time,
/// the count of the items is wrong and no more may come.
const SILENCE: Duration = Duration::from_secs(3);

/// An item that was handed out this often is renewed: from RabbitMQ 4.0 on, quorum queues that were
/// not told otherwise drop a message after 20 times.
const RENEW_AT: u32 = 10;

/// A look at the failed items: each is seen once, and goes back when the look is over, unless it
/// was [forgotten](Self::forget). Each is to be either forgotten or [kept](Self::keep).
pub struct Look {
    queue: QueueName,
    channel: Channel,
    renewals: Channel,
    consumer: Option<Consumer>,
    consumers: u32,
    /// What a consumer brought beyond its quota: an item that is forgotten makes room for another.
    surplus: VecDeque<Message>,
    /// Items that are still to come, as far as the broker has counted them.
    expected: u32,
    /// Items that the consumer may still bring.
    quota: u16,
    seen: u64,
    bytes: u64,
}

impl Look {
    /// Starts a look at the failed items of a queue; `None` if there is no queue for them.
    ///
    /// # Errors
    /// Lost connections and refusals.
    pub async fn open(broker: &Broker, queue: &QueueName) -> Result<Option<Self>, Error> {
        let failed = queue.failed();
        let Some(depth) = topology::depth(broker, &failed).await? else { return Ok(None) };
        Ok(Some(Self {
            queue: failed,
            channel: broker.channel().await?,
            renewals: confirming(broker).await?,
            consumer: None,
            consumers: 0,
            surplus: VecDeque::new(),
            expected: depth.ready,
            quota: 0,
            seen: 0,
            bytes: 0,
        }))
    }

    /// The next item; `None` once all have come that were there at the start. Safe to cancel only
    /// if the look is closed then.
    ///
    /// # Errors
    /// Lost connections: all items are back in the queue then.
    pub async fn next(&mut self) -> Result<Option<FailedMessage>, Error> {
        if self.expected == 0 {
            return Ok(None);
        }
        if self.quota == 0 && self.surplus.is_empty() {
            within(self.refill()).await?;
        }
        let message = match self.surplus.pop_front() {
            Some(message) => message,
            None => match self.receive().await? {
                Some(message) => message,
                None => return Ok(None),
            },
        };
        self.expected -= 1;
        self.seen += 1;
        self.bytes += message.data.len() as u64;
        Ok(Some(failed_message::read(message)))
    }

    async fn receive(&mut self) -> Result<Option<Message>, Error> {
        let Some(consumer) = &mut self.consumer else { return Ok(None) };
        let message = match tokio::time::timeout(SILENCE, consumer.next()).await {
            Err(_) => return Ok(None),
            Ok(None) => return Err(Error::Connection("the broker ended the consumer".to_owned())),
            Ok(Some(message)) => message.map_err(|error| looking(&self.queue, &error))?,
        };
        self.quota -= 1;
        Ok(Some(message))
    }

    /// Ends the consumer that has brought its quota, and starts one with a new quota unless there
    /// is a surplus. What a consumer has brought stays with the channel.
    async fn refill(&mut self) -> Result<(), Error> {
        self.end_consumer().await?;
        if !self.surplus.is_empty() {
            return Ok(());
        }
        let average = self.bytes.checked_div(self.seen).unwrap_or(0).max(1);
        self.quota = match self.seen {
            0 => FIRST_UNDER_WAY,
            _ => u16::try_from(BYTES_UNDER_WAY as u64 / average).unwrap_or(u16::MAX).clamp(1, MOST_UNDER_WAY),
        };
        let failure = |error: lapin::Error| looking(&self.queue, &error);
        self.channel.basic_qos(self.quota, BasicQosOptions::default()).await.map_err(failure)?;
        self.consumers += 1;
        let tag = format!("look-{}", self.consumers).into();
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = self.channel.basic_consume(short(&self.queue), tag, options, arguments).await;
        self.consumer = Some(consumer.map_err(failure)?);
        Ok(())
    }

    async fn end_consumer(&mut self) -> Result<(), Error> {
        let Some(mut consumer) = self.consumer.take() else { return Ok(()) };
        let cancelled = self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await;
        cancelled.map_err(|error| looking(&self.queue, &error))?;
        while let Some(message) = consumer.next().await {
            self.surplus.push_back(message.map_err(|error| looking(&self.queue, &error))?);
        }
        Ok(())
    }

    /// Sees to it that an item survives this look and many more: one that was handed out often is
    /// replaced by a copy of itself, which counts anew, and goes once the broker has the copy.
    ///
    /// # Errors
    /// Lost connections: all items are back in the queue then.
    pub async fn keep(&self, message: &FailedMessage) -> Result<(), Error> {
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
    pub async fn forget(&self, tags: &[u64]) -> Result<(), Error> {
        for &tag in tags {
            let acking = self.channel.basic_ack(tag, BasicAckOptions::default());
            answer(format!("looking at queue {}", self.queue), acking).await?;
        }
        Ok(())
    }

    /// Ends the look: all items that were not forgotten go back.
    ///
    /// # Errors
    /// Lost connections: the items go back all the same.
    pub async fn close(mut self) -> Result<(), Error> {
        let back = async {
            self.end_consumer().await?;
            // Not by closing the channel alone: that counts as a failed delivery on every release.
            let all = BasicNackOptions { multiple: true, requeue: true };
            let returned = self.channel.basic_nack(0, all).await;
            returned.map_err(|error| looking(&self.queue, &error))?;
            topology::close(&self.channel).await;
            topology::close(&self.renewals).await;
            Ok(())
        };
        within(back).await
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

fn looking(queue: &QueueName, error: &lapin::Error) -> Error {
    Error::from_lapin(format!("looking at queue {queue}"), error)
}
