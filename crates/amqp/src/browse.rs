//! Goes through the messages of a queue without taking them: few are under way at one time, and
//! all go back in their order.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery as Message;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::time::Instant;

use super::topology::{self, short};
use super::{Broker, Error, answer, within};
use workqueue_core::names::QueueName;

/// Bytes of messages that may be under way at one time.
pub(super) const BYTES_UNDER_WAY: usize = 16 * 1024 * 1024;

/// Messages that may be; the first ones tell how large they are.
const FIRST_UNDER_WAY: u16 = 8;
const MOST_UNDER_WAY: u16 = 500;

/// How long the broker may take between two messages. Where others take from the queue at the same
/// time, the count of the messages is wrong and no more may come.
const SILENCE: Duration = Duration::from_secs(5);

/// How long the broker may take to put everything back, which may be tens of millions of messages.
const RETURN_TIMEOUT: Duration = Duration::from_secs(300);

/// Steps of giving back that may be under way: a channel puts those beyond 32 together into one
/// (`quorum_commands_soft_limit`), and their order is lost.
const STEPS_UNDER_WAY: u32 = 16;

/// How long the queue may take for them, and the pause between two looks.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A walk through a queue: each message is seen once and held, and goes back when the walk is over,
/// unless it was [forgotten](Self::forget).
pub(super) struct Browse {
    queue: QueueName,
    channel: Channel,
    consumer: Option<Consumer>,
    consumers: u32,
    /// What a consumer brought beyond its quota: a message that is forgotten makes room for another.
    surplus: VecDeque<Message>,
    /// Messages that are still to come, as far as the broker has counted them.
    expected: u32,
    /// Messages that the consumer may still bring.
    quota: u16,
    seen: u64,
    bytes: u64,
    held: Held,
}

/// The delivery tags of the messages that are held: a bit for each, from tag 1 on.
#[derive(Debug, Default)]
struct Held(Vec<u32>);

impl Held {
    /// The word and the bit of a tag.
    fn place(tag: u64) -> (usize, u32) {
        let index = tag.saturating_sub(1);
        ((index / 32) as usize, 1 << (index % 32))
    }

    fn insert(&mut self, tag: u64) {
        let (word, bit) = Self::place(tag);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    fn remove(&mut self, tag: u64) {
        let (word, bit) = Self::place(tag);
        if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }

    /// The tags up to which to give back, one step after the other, and how many messages each step
    /// gives back: few.
    ///
    /// A quorum queue puts what comes back with one step into an Erlang map, which keeps the order
    /// of up to 32 keys alone (measured on 3.10 and 4.0).
    fn steps(&self) -> impl Iterator<Item = (u64, u32)> {
        let words = (0..).zip(&self.0).filter(|(_, bits)| **bits != 0);
        words.map(|(word, bits): (u64, &u32)| {
            (word * 32 + u64::from(32 - bits.leading_zeros()), bits.count_ones())
        })
    }
}

impl Browse {
    /// Starts at the front of a queue; `None` if there is no such queue.
    ///
    /// # Errors
    /// Lost connections and refusals.
    pub(super) async fn open(broker: &Broker, queue: QueueName) -> Result<Option<Self>, Error> {
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
            held: Held::default(),
        }))
    }

    /// Messages that were there at the start and have not been seen yet.
    pub(super) fn expected(&self) -> u32 {
        self.expected
    }

    /// The next message; `None` once all have come that were there at the start, or where no more
    /// come. Safe to cancel only if the walk is closed then.
    ///
    /// # Errors
    /// Lost connections: all messages are back in the queue then.
    pub(super) async fn next(&mut self) -> Result<Option<Message>, Error> {
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
            Ok(Some(message)) => message.map_err(|error| looking(&self.queue, &error))?,
        };
        self.held.insert(message.delivery_tag);
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
        let quota = match self.seen {
            0 => FIRST_UNDER_WAY,
            _ => u16::try_from(BYTES_UNDER_WAY as u64 / average).unwrap_or(u16::MAX).clamp(1, MOST_UNDER_WAY),
        };
        self.quota = u16::try_from(self.expected).unwrap_or(u16::MAX).min(quota);
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
            let message = message.map_err(|error| looking(&self.queue, &error))?;
            self.held.insert(message.delivery_tag);
            self.surplus.push_back(message);
        }
        Ok(())
    }

    /// Waits until the queue has so many messages ready; `false` where that does not come about,
    /// since others take them.
    async fn has_back(&self, wanted: u32) -> Result<bool, Error> {
        let deadline = Instant::now() + STEP_TIMEOUT;
        while self.ready().await? < wanted {
            if Instant::now() > deadline {
                return Ok(false);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(true)
    }

    async fn ready(&self) -> Result<u32, Error> {
        let passive = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
        let declared = self.channel.queue_declare(short(&self.queue), passive, FieldTable::default()).await;
        declared.map(|queue| queue.message_count()).map_err(|error| looking(&self.queue, &error))
    }

    /// Takes messages out of the queue for good.
    ///
    /// # Errors
    /// Lost connections: the messages may be in the queue still.
    pub(super) async fn forget(&mut self, tags: &[u64]) -> Result<(), Error> {
        for &tag in tags {
            let acking = self.channel.basic_ack(tag, BasicAckOptions::default());
            answer(format!("looking at queue {}", self.queue), acking).await?;
            self.held.remove(tag);
        }
        Ok(())
    }

    /// Ends the walk: all messages that were not forgotten go back.
    ///
    /// # Errors
    /// Lost connections: the messages go back all the same.
    pub(super) async fn close(mut self) -> Result<(), Error> {
        let back = async {
            // First, so that nothing that goes back is handed to this very consumer once more.
            self.end_consumer().await?;
            // Not by closing the channel alone: that counts as a failed delivery on every release.
            let options = BasicNackOptions { multiple: true, requeue: true };
            let mut wanted = self.ready().await?;
            let mut in_step = true;
            for (number, (tag, messages)) in (1..).zip(self.held.steps()) {
                let returned = self.channel.basic_nack(tag, options).await;
                returned.map_err(|error| looking(&self.queue, &error))?;
                wanted += messages;
                if in_step && number % STEPS_UNDER_WAY == 0 {
                    in_step = self.has_back(wanted).await?;
                }
            }
            let closed = self.channel.close(200, "done".into()).await;
            closed.map_err(|error| looking(&self.queue, &error))
        };
        let timed_out = || Err(Error::Connection("giving back what was looked at took too long".to_owned()));
        tokio::time::timeout(RETURN_TIMEOUT, back).await.unwrap_or_else(|_| timed_out())
    }
}

pub(super) fn looking(queue: &QueueName, error: &lapin::Error) -> Error {
    Error::from_lapin(format!("looking at queue {queue}"), error)
}

#[cfg(test)]
mod tests {
    use super::Held;

    #[test]
    fn what_is_held_goes_back_in_small_steps_that_end_at_a_held_message() {
        let mut held = Held::default();
        assert_eq!(held.steps().count(), 0);
        (1..=100).for_each(|tag| held.insert(tag));
        assert_eq!(held.steps().collect::<Vec<_>>(), [(32, 32), (64, 32), (96, 32), (100, 4)]);
        // The broker knows no tag of a message that is gone.
        (60..=96).for_each(|tag| held.remove(tag));
        held.remove(100);
        held.remove(1000);
        assert_eq!(held.steps().collect::<Vec<_>>(), [(32, 32), (59, 27), (99, 3)]);
    }
}
