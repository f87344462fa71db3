//! Reads the records in `QUEUE.results`, one or several to a message, from the oldest that is kept to the newest at the start.

use std::collections::VecDeque;
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
use workqueue_core::record::ResultRecord;

/// Messages in flight; the broker sends no more before some are acknowledged.
const PREFETCH: u16 = 1000;

/// Messages that are acknowledged together.
const ACK_EVERY: u64 = 250;

/// A prefetch larger than any chunk, so that the last chunk is sent as a whole.
const WHOLE_CHUNK: u16 = u16::MAX;

/// How long the broker may take between two records.
const SILENCE: Duration = Duration::from_secs(30);

/// How long to wait for records of a stream that is said to be empty: its count lags by seconds.
const EMPTY_SILENCE: Duration = Duration::from_secs(2);

/// How far the clocks of workers and broker may differ, in seconds.
const CLOCKS_DIFFER: i64 = 60;

/// Where a reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// The oldest record.
    Oldest,
    /// The chunk of records written at this time or the next chunk, in seconds since 1970: some
    /// older records may come with it.
    Time(i64),
}

/// The content type of a message with several records, one a line.
pub(crate) const SEVERAL_RECORDS: &str = "application/x-ndjson";

/// The newest message at some moment: where a reading ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamEnd {
    offset: i64,
    /// When its last item ended, in seconds since 1970, by the clock of the worker.
    seconds: Option<i64>,
}

/// Where a record is in the stream. Grows from record to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordPosition {
    /// The offset of its message.
    pub offset: i64,
    /// Its number within the message, from 0.
    pub index: u32,
}

/// A record and its position in the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamRecord {
    /// Where it is.
    pub position: RecordPosition,
    /// The record; `None` for what is not one of ours.
    pub record: Option<ResultRecord>,
}

/// Reads a result stream once. Memory does not depend on the stream's size.
pub struct ResultReader {
    queue: QueueName,
    channel: Channel,
    consumer: Consumer,
    end: i64,
    patience: Duration,
    first: Option<i64>,
    /// Records of the last message that have not been given out.
    rest: VecDeque<StreamRecord>,
    unacknowledged: u64,
    ended: bool,
}

impl ResultReader {
    /// Starts to read the records of a queue's items, up to `end`.
    ///
    /// # Errors
    /// Lost connections, refusals, and a broker that does not answer.
    pub async fn open(
        broker: &Broker,
        queue: &QueueName,
        from: ReadFrom,
        end: StreamEnd,
    ) -> Result<Self, Error> {
        let queue = queue.results();
        let (spec, ended) = match from {
            ReadFrom::Oldest => (AMQPValue::LongString("first".into()), false),
            ReadFrom::Time(seconds) => {
                let spec = AMQPValue::Timestamp(u64::try_from(seconds).unwrap_or(0));
                // From a time after the last record the broker would wait for the next one.
                (spec, end.seconds.is_some_and(|last| last + CLOCKS_DIFFER < seconds))
            }
        };
        let patience = if from == ReadFrom::Oldest { SILENCE } else { EMPTY_SILENCE };
        let channel = broker.channel().await?;
        let consumer = consume(&channel, &queue, spec, PREFETCH).await?;
        let end = end.offset;
        Ok(Self {
            queue,
            channel,
            consumer,
            end,
            patience,
            first: None,
            rest: VecDeque::new(),
            unacknowledged: 0,
            ended,
        })
    }

    /// Whether records older than the first one read have been deleted: the stream is full. Known
    /// once the first record has been read, and only if the reading began at the oldest.
    pub fn is_truncated(&self) -> bool {
        self.first.is_some_and(|first| first > 0)
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// Lost connections, and a broker that sends nothing for too long.
    pub async fn next(&mut self) -> Result<Option<StreamRecord>, Error> {
        while self.rest.is_empty() && !self.ended {
            self.read_message().await?;
        }
        Ok(self.rest.pop_front())
    }

    /// Reads the next message, or finds the end.
    async fn read_message(&mut self) -> Result<(), Error> {
        let Some(message) = receive(&mut self.consumer, &self.queue, self.patience).await? else {
            // There may be no record from the requested time on.
            self.ended = true;
            return if self.patience < SILENCE { Ok(()) } else { Err(silent(&self.queue)) };
        };
        self.patience = SILENCE;
        let offset = offset(&message, &self.queue)?;
        self.first.get_or_insert(offset);
        self.acknowledge(&message).await?;
        self.ended = offset >= self.end;
        if offset <= self.end {
            let position = |index| RecordPosition { offset, index };
            let records = (0..).zip(records(&message));
            self.rest
                .extend(records.map(|(index, record)| StreamRecord { position: position(index), record }));
        }
        Ok(())
    }

    /// Ends the reading.
    pub async fn close(self) {
        close_channel(&self.channel).await;
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

/// The newest record of a queue's items; `None` if the stream is missing or empty.
///
/// `x-stream-offset: last` makes the broker send the last chunk in one go: once its first record is
/// here, the answer to a request on the same channel arrives after the rest of it.
/// <https://www.rabbitmq.com/docs/streams#consuming>
///
/// # Errors
/// As for [`ResultReader::open`].
pub async fn end(broker: &Broker, queue: &QueueName) -> Result<Option<StreamEnd>, Error> {
    let queue = &queue.results();
    let Some(depth) = topology::reported_depth(broker, queue).await? else { return Ok(None) };
    let channel = broker.channel().await?;
    let last = AMQPValue::LongString("last".into());
    let mut consumer = consume(&channel, queue, last, WHOLE_CHUNK).await?;
    let patience = if depth.ready == 0 { EMPTY_SILENCE } else { SILENCE };
    let Some(mut newest) = receive(&mut consumer, queue, patience).await? else {
        close_channel(&channel).await;
        return if depth.ready == 0 { Ok(None) } else { Err(silent(queue)) };
    };
    qos(&channel, queue, PREFETCH).await?;
    // Only what has arrived already: later records are not of interest.
    while let Some(message) = receive(&mut consumer, queue, Duration::ZERO).await? {
        newest = message;
    }
    close_channel(&channel).await;
    let seconds = records(&newest).flatten().map(|record| record.ended.as_second()).max();
    Ok(Some(StreamEnd { offset: offset(&newest, queue)?, seconds }))
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

/// The records of a message; `None` for what is not one of ours.
fn records(message: &Message) -> impl Iterator<Item = Option<ResultRecord>> {
    let kind = message.properties.content_type().as_ref();
    let several = kind.is_some_and(|kind| kind.as_str() == SEVERAL_RECORDS);
    let lines = message.data.split(move |&byte| several && byte == b'\n');
    // The last line ends in a newline too.
    let lines = lines.filter(move |line| !several || !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).ok())
}

/// The next message, or `None` if none arrives in time.
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
    Error::Connection(format!("nothing arrived from queue {queue} within {} s", SILENCE.as_secs()))
}

/// Every message of a stream has its offset in a header; a message without it is from a queue of
/// another type.
fn offset(message: &Message, queue: &QueueName) -> Result<i64, Error> {
    let headers = message.properties.headers().as_ref();
    headers.and_then(|headers| number(headers, "x-stream-offset")).ok_or_else(|| Error::Refused {
        operation: format!("reading queue {queue}"),
        reason: "it is not a stream".to_owned(),
    })
}
