//! Reads the whole outputs of a run out of `QUEUE.outputs.RUN`: all that is there without removing it, or one
//! message after the other, each of which is removed.

use futures_util::StreamExt as _;
use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Consumer};

use crate::broker::{answer, close_channel, short, within};
use crate::confirms::{Route, confirming_channel, publish};
use crate::error::is_not_found;
use crate::queue_reader::{QueueReader, reading};
use crate::{Broker, Error};
use workqueue_core::names::QueueName;
use workqueue_core::output::{OutputEntry, from_message};

/// Messages in flight to a collector: most are smaller than 256 KiB, and none is larger than 16 MiB.
const PREFETCH: u16 = 16;

/// A message with outputs.
#[derive(Debug)]
pub struct OutputMessage {
    /// Names it, to remove it.
    pub tag: u64,
    /// What is in it; `None` if it was published by somebody else and cannot be read.
    pub entries: Option<Vec<OutputEntry>>,
}

impl OutputMessage {
    fn of(message: &Message) -> Self {
        Self { tag: message.delivery_tag, entries: from_message(&message.data).ok() }
    }
}

/// Reads the outputs that wait at the start. Other readers do not get them meanwhile.
pub struct OutputReader(QueueReader);

impl OutputReader {
    /// Starts to read; `None` if the run keeps no outputs.
    ///
    /// # Errors
    /// Lost connections, refusals, and a leader that does not answer.
    pub async fn open(broker: &Broker, queue: &QueueName, run: &str) -> Result<Option<Self>, Error> {
        Ok(QueueReader::open(broker, queue.outputs(run)).await?.map(Self))
    }

    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// Lost connections.
    pub async fn next(&mut self) -> Result<Option<OutputMessage>, Error> {
        Ok(self.0.next().await?.as_ref().map(OutputMessage::of))
    }

    /// Messages that did not come: at the end, somebody else holds or has taken them.
    pub fn missed(&self) -> u64 {
        self.0.expected().into()
    }

    /// Removes a message from the broker.
    ///
    /// # Errors
    /// Lost connections: it may still be there.
    pub async fn remove(&mut self, tag: u64) -> Result<(), Error> {
        self.0.ack(&[tag]).await
    }

    /// Ends the reading. What was not removed stays on the broker.
    ///
    /// # Errors
    /// Lost connections: it stays all the same.
    pub async fn close(self) -> Result<(), Error> {
        self.0.close().await
    }
}

/// Takes outputs as they come. A message that was not [acknowledged](Self::ack) comes again, to this
/// collector's successor.
pub struct OutputCollector {
    queue: QueueName,
    channel: Channel,
    consumer: Consumer,
}

impl OutputCollector {
    /// Subscribes to the outputs of a run.
    ///
    /// # Errors
    /// [`Error::NoQueue`] if the run keeps no outputs; refusals; lost connections.
    pub async fn open(broker: &Broker, queue: &QueueName, run: &str) -> Result<Self, Error> {
        let (queue, channel) = (queue.outputs(run), broker.channel().await?);
        let setting = channel.basic_qos(PREFETCH, BasicQosOptions::default());
        answer(format!("reading {queue}"), setting).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consuming = async {
            let consuming = channel.basic_consume(short(&queue), "collector".into(), options, arguments);
            consuming.await.map_err(|error| match is_not_found(&error) {
                true => Error::NoQueue(queue.clone()),
                false => reading(&queue, &error),
            })
        };
        let consumer = within(consuming).await?;
        Ok(Self { queue, channel, consumer })
    }

    /// The next message; waits for it. Safe to cancel.
    ///
    /// # Errors
    /// Lost connections, and a queue that is deleted.
    pub async fn next(&mut self) -> Result<OutputMessage, Error> {
        match self.consumer.next().await {
            Some(Ok(message)) => Ok(OutputMessage::of(&message)),
            Some(Err(error)) => Err(reading(&self.queue, &error)),
            None => Err(Error::Connection(format!("the broker ended the reading of {}", self.queue))),
        }
    }

    /// Removes a message from the broker.
    ///
    /// # Errors
    /// Lost connections: it comes again.
    pub async fn ack(&self, tag: u64) -> Result<(), Error> {
        let acking = self.channel.basic_ack(tag, BasicAckOptions::default());
        answer(format!("reading {}", self.queue), acking).await
    }

    /// Takes no more messages. Returns those that are on their way, which can still be acknowledged.
    ///
    /// # Errors
    /// Lost connections.
    pub async fn rest(&mut self) -> Result<Vec<OutputMessage>, Error> {
        let cancelling = self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default());
        answer(format!("reading {}", self.queue), cancelling).await?;
        let mut rest = Vec::new();
        while let Some(message) = self.consumer.next().await {
            rest.push(OutputMessage::of(&message.map_err(|error| reading(&self.queue, &error))?));
        }
        Ok(rest)
    }

    /// Ends it.
    pub async fn close(self) {
        close_channel(&self.channel).await;
    }
}

/// Whether the broker takes no more outputs of a run because too many wait: asked with a message without
/// outputs, since no count tells.
///
/// # Errors
/// [`Error::NoQueue`] if the run keeps no outputs; refusals; lost connections.
pub async fn are_full(broker: &Broker, queue: &QueueName, run: &str) -> Result<bool, Error> {
    let (route, channel) = (Route::direct(queue.outputs(run)), confirming_channel(broker).await?);
    let answer = within(publish(&channel, &route, b"", BasicProperties::default())).await?;
    close_channel(&channel).await;
    match answer {
        Confirmation::Ack(None) | Confirmation::NotRequested => Ok(false),
        Confirmation::Ack(Some(_)) => Err(Error::NoQueue(route.queue)),
        Confirmation::Nack(_) => Ok(true),
    }
}
