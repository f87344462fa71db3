//! The settlement of one item: record, dead letter, acknowledgement, in this order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Acker, BasicProperties, Channel, Confirmation, PublisherConfirm};
use tokio::sync::Mutex;

use super::delivery::earlier_failures;
use super::properties::{self, PERSISTENT};
use super::{Broker, Error, answer, topology};
use workqueue_core::names::QueueName;
use workqueue_core::queue::Verdict;
use workqueue_core::record::{FailedItem, HeaderValue, ResultRecord};

/// Pause after a publish that the broker did not take.
const REFUSED_PAUSE: Duration = Duration::from_secs(2);

/// What was said about results being off; once is enough.
pub(super) const RESULTS_LOST: &str = "the stream of results is gone: no more results are recorded";

/// The channels that records and failed items go through.
pub(super) struct Outbox {
    queue: QueueName,
    records: Channel,
    /// lapin hands out returned messages in order of arrival, not with their own confirm: failed
    /// items go one at a time, so that none is taken for another's.
    failed: Mutex<Channel>,
    /// Whether results are recorded; shared by all sessions of a worker.
    results: Arc<AtomicBool>,
}

/// A delivery, as far as its settlement needs it.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub acker: Acker,
    pub properties: BasicProperties,
    pub id: String,
}

impl Outbox {
    pub(super) async fn open(
        broker: &Broker,
        queue: &QueueName,
        results: Arc<AtomicBool>,
    ) -> Result<Self, Error> {
        let records = confirming(broker).await?;
        let failed = Mutex::new(confirming(broker).await?);
        Ok(Self { queue: queue.clone(), records, failed, results })
    }

    /// Settles a delivery. Nothing is acknowledged before its traces are safe.
    ///
    /// # Errors
    /// The session is over: the item comes again.
    pub(super) async fn settle(&self, held: Held, verdict: Verdict) -> Result<Option<String>, Error> {
        let note = match &verdict {
            Verdict::GiveBack => {
                let requeue = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                return alive(held.acker.nack(requeue).await).map(|()| None);
            }
            Verdict::Done(record) => self.record(record).await?,
            Verdict::Failed { record, body } => {
                let note = self.record(record).await?;
                self.dead_letter(&held, record, body).await?;
                note
            }
        };
        alive(held.acker.ack(BasicAckOptions::default()).await)?;
        Ok(note)
    }

    /// Publishes the record, and waits until the broker has it; the first time that the stream
    /// turns out to be gone gives a note.
    async fn record(&self, record: &ResultRecord) -> Result<Option<String>, Error> {
        let Ok(json) = serde_json::to_vec(record) else { return Ok(None) };
        while self.results.load(Ordering::Relaxed) {
            let properties = BasicProperties::default()
                .with_delivery_mode(PERSISTENT)
                .with_content_type("application/json".into())
                .with_message_id(record.id.as_str().into());
            match publish(&self.records, &self.queue.results(), &json, properties).await? {
                Confirmation::Ack(None) | Confirmation::NotRequested => return Ok(None),
                Confirmation::Ack(Some(_)) => {
                    let first = self.results.swap(false, Ordering::Relaxed);
                    return Ok(first.then(|| RESULTS_LOST.to_owned()));
                }
                Confirmation::Nack(_) => tokio::time::sleep(REFUSED_PAUSE).await,
            }
        }
        Ok(None)
    }

    /// Puts a copy of the item into the queue for failed ones, and waits until it is safe there.
    async fn dead_letter(&self, held: &Held, record: &ResultRecord, body: &[u8]) -> Result<(), Error> {
        let channel = self.failed.lock().await;
        loop {
            let properties = failed_properties(held, record);
            match publish(&channel, &self.queue.failed(), body, properties).await? {
                Confirmation::Ack(None) | Confirmation::NotRequested => return Ok(()),
                // The queue is gone: the session ends, and the next one makes it anew.
                Confirmation::Ack(Some(_)) => {
                    return Err(Error::Connection(format!("queue {} is gone", self.queue.failed())));
                }
                // It is full, or its disk is: the item waits here until there is room.
                Confirmation::Nack(_) => tokio::time::sleep(REFUSED_PAUSE).await,
            }
        }
    }
}

/// A channel whose publishes are confirmed.
pub(super) async fn confirming(broker: &Broker) -> Result<Channel, Error> {
    let channel = broker.channel().await?;
    answer("asking for confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
    Ok(channel)
}

async fn publish(
    channel: &Channel,
    queue: &QueueName,
    body: &[u8],
    properties: BasicProperties,
) -> Result<Confirmation, Error> {
    let failure = |error: lapin::Error| Error::from_lapin(format!("publishing to queue {queue}"), &error);
    send(channel, queue, body, properties).await?.await.map_err(failure)
}

/// Publishes, and returns before the confirm. A message that no queue takes comes back.
pub(super) async fn send(
    channel: &Channel,
    queue: &QueueName,
    body: &[u8],
    properties: BasicProperties,
) -> Result<PublisherConfirm, Error> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let sent = channel.basic_publish("".into(), topology::short(queue), options, body, properties).await;
    sent.map_err(|error| Error::from_lapin(format!("publishing to queue {queue}"), &error))
}

pub(super) fn header_value(value: HeaderValue) -> AMQPValue {
    match value {
        HeaderValue::Text(text) => AMQPValue::LongString(text.into()),
        HeaderValue::Number(number) => AMQPValue::LongLongInt(number),
    }
}

/// Whether a delivery could still be answered: `false` means that its channel is closed.
fn alive(answered: lapin::Result<bool>) -> Result<(), Error> {
    match answered {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Connection("the channel is closed".to_owned())),
        Err(error) => Err(Error::from_lapin("answering a delivery", &error)),
    }
}

/// The publisher's own properties and headers, and ours.
fn failed_properties(held: &Held, record: &ResultRecord) -> BasicProperties {
    let mut headers = FieldTable::default();
    // What the broker tells describes a delivery that is over.
    for (name, value) in properties::headers(&held.properties) {
        if !properties::is_told_by_broker(name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    for (name, value) in FailedItem::new(record, earlier_failures(&held.properties)).headers() {
        headers.insert(ShortString::from(name), header_value(value));
    }
    properties::copy(&held.properties, &held.id, headers)
}
