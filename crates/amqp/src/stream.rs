//! Reads a stream to an end that is known.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};

use crate::broker::{answer, close_channel, short};
use crate::delivery::number;
use crate::{Broker, Error, topology};
use workqueue_core::names::QueueName;

/// Messages in flight; the broker sends no more before some are acknowledged.
const PREFETCH: u16 = 1000;

/// Messages that are acknowledged together.
const ACK_EVERY: u64 = 250;

/// A prefetch larger than any chunk, so that the last chunk is sent as a whole.
const WHOLE_CHUNK: u16 = u16::MAX;

/// How long the broker may take between two messages.
const SILENCE: Duration = Duration::from_secs(30);

/// How long to wait for a message where there may be none: the count of a stream lags by seconds.
const EMPTY_SILENCE: Duration = Duration::from_secs(2);

/// Where a reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// The oldest message.
    Oldest,
    /// The chunk of messages written at this time or the next chunk, in seconds since 1970: some older
    /// ones may come with it, or none at all.
    Time(i64),
    /// The message at this offset, or the oldest one after it.
    Offset(i64),
}

/// Where a reading ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Until {
    /// With the message at this offset.
    Offset(i64),
    /// Before the message with this id, which is there.
    Id(String),
}

/// A message of a stream.
#[derive(Debug)]
pub(crate) struct StreamMessage {
    /// Its number; grows from message to message.
    pub offset: i64,
    /// Its content type, empty if there is none.
    pub content_type: String,
    /// What is in it.
    pub body: Vec<u8>,
}

/// Reads a stream once. Memory does not depend on its size.
pub(crate) struct StreamReader {
    stream: QueueName,
    channel: Channel,
    consumer: Consumer,
    until: Until,
    /// How long the next message may take; whether there may be none.
    patience: Duration,
    first: Option<i64>,
    unacknowledged: u64,
    ended: bool,
}

impl StreamReader {
    /// Starts to read.
    ///
    /// # Errors
    /// Lost connections, refusals, and a broker that does not answer.
    pub(crate) async fn open(
        broker: &Broker,
        stream: QueueName,
        from: From,
        until: Until,
    ) -> Result<Self, Error> {
        let (spec, patience) = match from {
            From::Oldest => (AMQPValue::LongString("first".into()), SILENCE),
            From::Time(seconds) => (AMQPValue::Timestamp(u64::try_from(seconds).unwrap_or(0)), EMPTY_SILENCE),
            From::Offset(offset) => (AMQPValue::LongLongInt(offset), SILENCE),
        };
        let channel = broker.channel().await?;
        let consumer = consume(&channel, &stream, spec, PREFETCH).await?;
        Ok(Self { stream, channel, consumer, until, patience, first: None, unacknowledged: 0, ended: false })
    }

    /// The offset of the first message that was read.
    pub(crate) fn first(&self) -> Option<i64> {
        self.first
    }

    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// Lost connections, and a broker that sends nothing for too long.
    pub(crate) async fn next(&mut self) -> Result<Option<StreamMessage>, Error> {
        if self.ended {
            return Ok(None);
        }
        let Some(message) = receive(&mut self.consumer, &self.stream, self.patience).await? else {
            self.ended = true;
            // There may be no message from the requested time on.
            return if self.patience < SILENCE { Ok(None) } else { Err(silent(&self.stream)) };
        };
        self.patience = SILENCE;
        self.acknowledge(&message).await?;
        let offset = offset(&message, &self.stream)?;
        self.first.get_or_insert(offset);
        let is_before_end = match &self.until {
            Until::Offset(last) => {
                self.ended = offset >= *last;
                offset <= *last
            }
            Until::Id(id) => {
                let found = message.properties.message_id().as_ref();
                self.ended = found.is_some_and(|found| found.as_str() == id);
                !self.ended
            }
        };
        Ok(is_before_end.then(|| read(offset, message)))
    }

    /// Ends the reading.
    pub(crate) async fn close(self) {
        close_channel(&self.channel).await;
    }

    async fn acknowledge(&mut self, message: &Message) -> Result<(), Error> {
        self.unacknowledged += 1;
        if self.unacknowledged < ACK_EVERY {
            return Ok(());
        }
        self.unacknowledged = 0;
        let acking = message.acker.ack(BasicAckOptions { multiple: true });
        answer(format!("reading {}", self.stream), acking).await.map(|_| ())
    }
}

/// The newest message; `None` if the stream is missing or empty.
///
/// `x-stream-offset: last` makes the broker send the last chunk in one go: once its first message is
/// here, the answer to a request on the same channel arrives after the rest of it.
/// <https://www.rabbitmq.com/docs/streams#consuming>
///
/// # Errors
/// As for [`StreamReader::open`].
pub(crate) async fn last(broker: &Broker, stream: &QueueName) -> Result<Option<StreamMessage>, Error> {
    last_within(broker, stream, EMPTY_SILENCE).await
}

/// The newest message, as [`last`]; where the broker counts none, one that arrives so soon.
///
/// # Errors
/// As for [`StreamReader::open`].
pub(crate) async fn last_within(
    broker: &Broker,
    stream: &QueueName,
    empty_silence: Duration,
) -> Result<Option<StreamMessage>, Error> {
    let Some(depth) = topology::reported_depth(broker, stream).await? else { return Ok(None) };
    let channel = broker.channel().await?;
    let spec = AMQPValue::LongString("last".into());
    let mut consumer = consume(&channel, stream, spec, WHOLE_CHUNK).await?;
    let patience = if depth.ready == 0 { empty_silence } else { SILENCE };
    let Some(mut newest) = receive(&mut consumer, stream, patience).await? else {
        close_channel(&channel).await;
        return if depth.ready == 0 { Ok(None) } else { Err(silent(stream)) };
    };
    qos(&channel, stream, PREFETCH).await?;
    // Only what has arrived already: later messages are not of interest.
    while let Some(message) = receive(&mut consumer, stream, Duration::ZERO).await? {
        newest = message;
    }
    close_channel(&channel).await;
    Ok(Some(read(offset(&newest, stream)?, newest)))
}

async fn consume(
    channel: &Channel,
    stream: &QueueName,
    offset: AMQPValue,
    prefetch: u16,
) -> Result<Consumer, Error> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-stream-offset".into(), offset);
    qos(channel, stream, prefetch).await?;
    let options = BasicConsumeOptions::default();
    let consuming = channel.basic_consume(short(stream), "reader".into(), options, arguments);
    answer(format!("reading {stream}"), consuming).await
}

async fn qos(channel: &Channel, stream: &QueueName, prefetch: u16) -> Result<(), Error> {
    let setting = channel.basic_qos(prefetch, BasicQosOptions::default());
    answer(format!("reading {stream}"), setting).await
}

/// The next message, or `None` if none arrives in time.
async fn receive(
    consumer: &mut Consumer,
    stream: &QueueName,
    patience: Duration,
) -> Result<Option<Message>, Error> {
    match tokio::time::timeout(patience, consumer.next()).await {
        Err(_) => Ok(None),
        Ok(Some(Ok(message))) => Ok(Some(message)),
        Ok(Some(Err(error))) => Err(Error::from_lapin(format!("reading {stream}"), &error)),
        Ok(None) => Err(Error::Connection(format!("the broker ended the reading of {stream}"))),
    }
}

fn read(offset: i64, message: Message) -> StreamMessage {
    let content_type = message.properties.content_type().as_ref().map(ToString::to_string);
    StreamMessage { offset, content_type: content_type.unwrap_or_default(), body: message.data }
}

fn silent(stream: &QueueName) -> Error {
    Error::Connection(format!("nothing arrived from {stream} within {} s", SILENCE.as_secs()))
}

/// Every message of a stream has its offset in a header; a message without it is from a queue of
/// another type.
fn offset(message: &Message, stream: &QueueName) -> Result<i64, Error> {
    let headers = message.properties.headers().as_ref();
    headers.and_then(|headers| number(headers, "x-stream-offset")).ok_or_else(|| Error::Refused {
        operation: format!("reading {stream}"),
        reason: "it is not a stream".to_owned(),
    })
}
