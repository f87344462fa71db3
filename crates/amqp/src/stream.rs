//! Reads the records of results, from the oldest that is kept to the newest at the start.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};

use super::delivery::number;
use super::topology::{self, short};
use super::{Broker, Error, answer};
use workqueue_core::names::QueueName;
use workqueue_core::record::ResultRecord;

/// Records under way at one time; the broker sends no more before some are acknowledged.
const PREFETCH: u16 = 1000;

/// Records that are acknowledged together.
const ACK_EVERY: u64 = 250;

/// More than any chunk holds: the last one is then sent as a whole.
const WHOLE_CHUNK: u16 = u16::MAX;

/// How long the broker may take between two records.
const SILENCE: Duration = Duration::from_secs(30);

/// How long an empty stream is listened to: the count that calls it empty lags by seconds.
const EMPTY_SILENCE: Duration = Duration::from_secs(2);

/// How far the clocks of workers and of the broker may be apart, in seconds.
const CLOCKS_DIFFER: i64 = 60;

/// Where a reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The oldest record.
    Oldest,
    /// The chunk of records that was written at this time or the next one, in seconds since 1970:
    /// some older records may come with it.
    Time(i64),
}

/// The newest record at one time: where a reading ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    offset: i64,
    /// When its item ended, in seconds since 1970, by the clock of the worker.
    seconds: Option<i64>,
}

/// A record and its place in the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Grows from record to record.
    pub offset: i64,
    /// What was recorded; `None` if it is no record of ours.
    pub record: Option<ResultRecord>,
}

/// One reading of a stream of results. Memory is flat, whatever the stream's size.
pub struct Reading {
    queue: QueueName,
    channel: Channel,
    consumer: Consumer,
    end: i64,
    patience: Duration,
    first: Option<i64>,
    unacknowledged: u64,
    ended: bool,
}

impl Reading {
    /// Starts to read the results of a queue's items. What comes after the end is not read.
    ///
    /// # Errors
    /// Lost connections, refusals, and a broker that does not answer.
    pub async fn open(broker: &Broker, queue: &QueueName, start: Start, end: End) -> Result<Self, Error> {
        let queue = queue.results();
        let (spec, ended) = match start {
            Start::Oldest => (AMQPValue::LongString("first".into()), false),
            Start::Time(seconds) => {
                let spec = AMQPValue::Timestamp(u64::try_from(seconds).unwrap_or(0));
                // From a time after the last record the broker would wait for the next one.
                (spec, end.seconds.is_some_and(|last| last + CLOCKS_DIFFER < seconds))
            }
        };
        let patience = if start == Start::Oldest { SILENCE } else { EMPTY_SILENCE };
        let channel = broker.channel().await?;
        let consumer = consume(&channel, &queue, spec, PREFETCH).await?;
        let end = end.offset;
        Ok(Self { queue, channel, consumer, end, patience, first: None, unacknowledged: 0, ended })
    }

    /// Whether records older than the first one read have been evicted: the stream is full. Known
    /// once the first record has been read, and only where the reading began at the oldest.
    pub fn is_truncated(&self) -> bool {
        self.first.is_some_and(|first| first > 0)
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// Lost connections, and a broker that falls silent.
    pub async fn next(&mut self) -> Result<Option<Entry>, Error> {
        if self.ended {
            return Ok(None);
        }
        let Some(message) = receive(&mut self.consumer, &self.queue, self.patience).await? else {
            // There need not be a record from the time on that was asked for.
            self.ended = true;
            return if self.patience < SILENCE { Ok(None) } else { Err(silent(&self.queue)) };
        };
        self.patience = SILENCE;
        let offset = offset(&message, &self.queue)?;
        self.first.get_or_insert(offset);
        self.acknowledge(&message).await?;
        self.ended = offset >= self.end;
        if offset > self.end {
            return Ok(None);
        }
        Ok(Some(Entry { offset, record: serde_json::from_slice(&message.data).ok() }))
    }

    /// Ends the reading.
    pub async fn close(self) {
        topology::close(&self.channel).await;
    }

    async fn acknowledge(&mut self, message: &Message) -> Result<(), Error> {
        self.unacknowledged += 1;
        if self.unacknowledged < ACK_EVERY {
            return Ok(());
        }
        self.unacknowledged = 0;
        let acking = message.acker.ack(BasicAckOptions { multiple: true });
        answer("reading results", acking).await.map(|_| ())
    }
}

/// The newest record of the results of a queue's items; `None` if there are none, because there is
/// no stream or nothing in it.
///
/// `x-stream-offset: last` makes the broker send the last chunk, and it does so in one go: once
/// its first record is here, the answer to a request on the same channel comes after all of it.
/// <https://www.rabbitmq.com/docs/streams#consuming>
///
/// # Errors
/// As for [`Reading::open`].
pub async fn end(broker: &Broker, queue: &QueueName) -> Result<Option<End>, Error> {
    let queue = &queue.results();
    let Some(depth) = topology::depth(broker, queue).await? else { return Ok(None) };
    let channel = broker.channel().await?;
    let last = AMQPValue::LongString("last".into());
    let mut consumer = consume(&channel, queue, last, WHOLE_CHUNK).await?;
    let patience = if depth.ready == 0 { EMPTY_SILENCE } else { SILENCE };
    let Some(mut newest) = receive(&mut consumer, queue, patience).await? else {
        topology::close(&channel).await;
        return if depth.ready == 0 { Ok(None) } else { Err(silent(queue)) };
    };
    qos(&channel, queue, PREFETCH).await?;
    // What is here already is taken, and nothing waited for: later records are not of interest.
    while let Some(message) = receive(&mut consumer, queue, Duration::ZERO).await? {
        newest = message;
    }
    topology::close(&channel).await;
    let record: Option<ResultRecord> = serde_json::from_slice(&newest.data).ok();
    Ok(Some(End { offset: offset(&newest, queue)?, seconds: record.map(|record| record.ended.as_second()) }))
}

async fn consume(
    channel: &Channel,
    queue: &QueueName,
    offset: AMQPValue,
    prefetch: u16,
) -> Result<Consumer, Error> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-stream-offset".into(), offset);
    qos(channel, queue, prefetch).await?;
    let options = BasicConsumeOptions::default();
    let consuming = channel.basic_consume(short(queue), "results".into(), options, arguments);
    answer(format!("reading queue {queue}"), consuming).await
}

async fn qos(channel: &Channel, queue: &QueueName, prefetch: u16) -> Result<(), Error> {
    let setting = channel.basic_qos(prefetch, BasicQosOptions::default());
    answer(format!("reading queue {queue}"), setting).await
}

/// The next message, or `None` if none comes in time.
async fn receive(
    consumer: &mut Consumer,
    queue: &QueueName,
    patience: Duration,
) -> Result<Option<Message>, Error> {
    match tokio::time::timeout(patience, consumer.next()).await {
        Err(_) => Ok(None),
        Ok(Some(Ok(message))) => Ok(Some(message)),
        Ok(Some(Err(error))) => Err(Error::from_lapin(format!("reading queue {queue}"), &error)),
        Ok(None) => Err(Error::Connection(format!("the broker ended the reading of queue {queue}"))),
    }
}

fn silent(queue: &QueueName) -> Error {
    Error::Connection(format!("nothing came from queue {queue} within {} s", SILENCE.as_secs()))
}

/// Every message of a stream has its offset in a header; one without it comes from a queue of
/// another type.
fn offset(message: &Message, queue: &QueueName) -> Result<i64, Error> {
    let headers = message.properties.headers().as_ref();
    headers.and_then(|headers| number(headers, "x-stream-offset")).ok_or_else(|| Error::Refused {
        operation: format!("reading queue {queue}"),
        reason: "it is no stream".to_owned(),
    })
}
