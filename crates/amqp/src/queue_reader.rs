//! Reads the messages of a queue without consuming them: they are held unacknowledged, and requeued in
//! their order at the end. Few are in flight at a time.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery as Message;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::time::Instant;

use crate::broker::{answer, short, within};
use crate::held_tags::HeldTags;
use crate::{Broker, Error, topology};
use workqueue_core::names::QueueName;

/// Bytes of messages that may be in flight.
pub(crate) const BYTES_IN_FLIGHT: usize = 16 * 1024 * 1024;

/// Messages that may be in flight; the first ones show how large they are.
const FIRST_PREFETCH: u16 = 8;
const MOST_PREFETCH: u16 = 500;

/// How long the broker may take between two messages. If others consume from the queue meanwhile,
/// fewer messages arrive than were counted.
const SILENCE: Duration = Duration::from_secs(5);

/// How long the broker may take to requeue everything, which may be tens of millions of messages.
const REQUEUE_TIMEOUT: Duration = Duration::from_secs(300);

/// Requeueing steps that may be in flight: a channel merges those beyond 32 into one
/// (`quorum_commands_soft_limit`), and their order is lost.
const STEPS_IN_FLIGHT: u32 = 16;

/// How long the queue may take for them, and the pause between two counts.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);
const COUNT_EVERY: Duration = Duration::from_millis(2);

/// Reads a queue: each message is received once and held, and requeued by [`close`](Self::close)
/// unless it was [acknowledged](Self::ack).
pub(crate) struct QueueReader {
    queue: QueueName,
    channel: Channel,
    consumer: Option<Consumer>,
    consumers: u32,
    /// What a consumer brought beyond its quota: an acknowledged message makes room for another.
    surplus: VecDeque<Message>,
    /// Messages still to come, as the broker has counted them.
    expected: u32,
    /// Messages that the consumer may still bring.
    quota: u16,
    seen: u64,
    bytes: u64,
    held: HeldTags,
}

impl QueueReader {
    /// Starts at the front of a queue; `None` if there is no such queue.
    ///
    /// # Errors
    /// Lost connections and refusals.
    pub(crate) async fn open(broker: &Broker, queue: QueueName) -> Result<Option<Self>, Error> {
        let Some(depth) = topology::depth(broker, &queue).await? else { return Ok(None) };
        Ok(Some(Self {
            queue,
            channel: broker.channel().await?,
            consumer: None,
            consumers: 0,
            surplus: VecDeque::new(),
            expected: depth.ready,
            quota: 0,
            seen: 0,
            bytes: 0,
            held: HeldTags::default(),
        }))
    }

    /// Messages that were ready at the start and have not been read yet.
    pub(crate) fn expected(&self) -> u32 {
        self.expected
    }

    /// The next message; `None` after the last that was ready at the start, or if no more arrive.
    /// After it was cancelled, only [`close`](Self::close) may be called.
    ///
    /// # Errors
    /// Lost connections, after which the broker requeues all messages.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, Error> {
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
        Ok(Some(message))
    }

    async fn receive(&mut self) -> Result<Option<Message>, Error> {
        let Some(consumer) = &mut self.consumer else { return Ok(None) };
        let message = match tokio::time::timeout(SILENCE, consumer.next()).await {
            Err(_) => return Ok(None),
            Ok(None) => return Err(Error::Connection("the broker ended the consumer".to_owned())),
            Ok(Some(message)) => message.map_err(|error| reading(&self.queue, &error))?,
        };
        self.held.insert(message.delivery_tag);
        self.quota -= 1;
        Ok(Some(message))
    }

    /// Cancels the consumer that has used up its quota, and starts another with a new quota unless
    /// there is a surplus. The channel keeps holding what a cancelled consumer has brought.
    async fn refill(&mut self) -> Result<(), Error> {
        self.cancel_consumer().await?;
        if !self.surplus.is_empty() {
            return Ok(());
        }
        let average = self.bytes.checked_div(self.seen).unwrap_or(0).max(1);
        let quota = match self.seen {
            0 => FIRST_PREFETCH,
            _ => u16::try_from(BYTES_IN_FLIGHT as u64 / average).unwrap_or(u16::MAX).clamp(1, MOST_PREFETCH),
        };
        self.quota = u16::try_from(self.expected).unwrap_or(u16::MAX).min(quota);
        let failure = |error: lapin::Error| reading(&self.queue, &error);
        self.channel.basic_qos(self.quota, BasicQosOptions::default()).await.map_err(failure)?;
        self.consumers += 1;
        let tag = format!("read-{}", self.consumers).into();
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = self.channel.basic_consume(short(&self.queue), tag, options, arguments).await;
        self.consumer = Some(consumer.map_err(failure)?);
        Ok(())
    }

    async fn cancel_consumer(&mut self) -> Result<(), Error> {
        let Some(mut consumer) = self.consumer.take() else { return Ok(()) };
        let cancelled = self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await;
        cancelled.map_err(|error| reading(&self.queue, &error))?;
        while let Some(message) = consumer.next().await {
            let message = message.map_err(|error| reading(&self.queue, &error))?;
            self.held.insert(message.delivery_tag);
            self.surplus.push_back(message);
        }
        Ok(())
    }

    /// Waits until the queue has so many messages ready; `false` if it does not within the time limit,
    /// because others consume them.
    async fn wait_for_ready(&self, wanted: u32) -> Result<bool, Error> {
        let deadline = Instant::now() + STEP_TIMEOUT;
        while self.ready().await? < wanted {
            if Instant::now() > deadline {
                return Ok(false);
            }
            tokio::time::sleep(COUNT_EVERY).await;
        }
        Ok(true)
    }

    async fn ready(&self) -> Result<u32, Error> {
        let depth = topology::reported_on(&self.channel, &self.queue).await?;
        depth.map(|depth| depth.ready).ok_or_else(|| Error::NoQueue(self.queue.clone()))
    }

    /// Acknowledges messages, which removes them from the queue.
    ///
    /// # Errors
    /// Lost connections: the messages may still be in the queue.
    pub(crate) async fn ack(&mut self, tags: &[u64]) -> Result<(), Error> {
        for &tag in tags {
            let acking = self.channel.basic_ack(tag, BasicAckOptions::default());
            answer(format!("reading queue {}", self.queue), acking).await?;
            self.held.remove(tag);
        }
        Ok(())
    }

    /// Requeues all messages that were not acknowledged.
    ///
    /// # Errors
    /// Lost connections: the messages are requeued all the same.
    pub(crate) async fn close(mut self) -> Result<(), Error> {
        let requeue = async {
            // First, so that no requeued message is delivered to this very consumer again.
            self.cancel_consumer().await?;
            // Not just by closing the channel: every RabbitMQ counts that as a failed delivery.
            let options = BasicNackOptions { multiple: true, requeue: true };
            let mut wanted = self.ready().await?;
            let mut in_step = true;
            for (number, (tag, messages)) in (1..).zip(self.held.steps()) {
                let returned = self.channel.basic_nack(tag, options).await;
                returned.map_err(|error| reading(&self.queue, &error))?;
                wanted += messages;
                if in_step && number % STEPS_IN_FLIGHT == 0 {
                    in_step = self.wait_for_ready(wanted).await?;
                }
            }
            let closed = self.channel.close(200, "done".into()).await;
            closed.map_err(|error| reading(&self.queue, &error))
        };
        let timed_out = || Err(Error::Connection("requeueing the messages took too long".to_owned()));
        tokio::time::timeout(REQUEUE_TIMEOUT, requeue).await.unwrap_or_else(|_| timed_out())
    }
}

pub(crate) fn reading(queue: &QueueName, error: &lapin::Error) -> Error {
    Error::from_lapin(format!("reading queue {queue}"), error)
}
