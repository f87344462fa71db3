//! Settles deliveries: the record is published, then the dead letter, then the delivery is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Acker, BasicProperties, Channel, Confirmation};
use tokio::sync::Mutex;

use crate::confirms::{confirming_channel, publish};
use crate::delivery::earlier_failures;
use crate::properties::{self, PERSISTENT, header_value};
use crate::{Broker, Error};
use workqueue_core::failed_item::FailedItem;
use workqueue_core::names::QueueName;
use workqueue_core::queue::Settlement;
use workqueue_core::record::ResultRecord;

/// Pause after a publish that the queue refused.
const REFUSED_PAUSE: Duration = Duration::from_secs(2);

/// Reported once, when records are no longer published.
const RESULTS_LOST: &str = "the stream of results is gone: no more results are recorded";

/// Settles the deliveries of one session.
pub(super) struct Settler {
    queue: QueueName,
    records: Channel,
    /// lapin hands out returned messages in order of arrival, not with their own confirm: failed
    /// items are published one at a time, so that no return is attributed to another item.
    failed: Mutex<Channel>,
    /// Whether records are published; shared by all sessions of a worker.
    results: Arc<AtomicBool>,
}

/// What is needed to settle a delivery.
#[derive(Debug, Clone)]
pub(super) struct HeldDelivery {
    pub acker: Acker,
    pub properties: BasicProperties,
    pub id: String,
    /// The channel that it came through, if that is not the session's own: closing it would requeue
    /// the delivery.
    #[expect(dead_code, reason = "it is held to stay open")]
    pub channel: Option<Channel>,
}

impl Settler {
    pub(super) async fn open(
        broker: &Broker,
        queue: &QueueName,
        results: Arc<AtomicBool>,
    ) -> Result<Self, Error> {
        let records = confirming_channel(broker).await?;
        let failed = Mutex::new(confirming_channel(broker).await?);
        Ok(Self { queue: queue.clone(), records, failed, results })
    }

    /// Settles a delivery. It is acknowledged only after record and dead letter are confirmed. Returns
    /// a note for the user, if there is one.
    ///
    /// # Errors
    /// The session is over: the item will be redelivered.
    pub(super) async fn settle(
        &self,
        held: HeldDelivery,
        settlement: Settlement,
    ) -> Result<Option<String>, Error> {
        let note = match &settlement {
            Settlement::Requeue => {
                let requeue = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                return check_open(held.acker.nack(requeue).await).map(|()| None);
            }
            Settlement::Done(record) => self.record(record).await?,
            Settlement::Failed { record, body } => {
                let note = self.record(record).await?;
                self.dead_letter(&held, record, body).await?;
                note
            }
        };
        check_open(held.acker.ack(BasicAckOptions::default()).await)?;
        Ok(note)
    }

    /// Publishes the record, and waits for the confirm. Returns a note when it finds that the stream
    /// is gone.
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

    /// Publishes a copy of the item to `QUEUE.failed`, and waits for the confirm.
    async fn dead_letter(
        &self,
        held: &HeldDelivery,
        record: &ResultRecord,
        body: &[u8],
    ) -> Result<(), Error> {
        let channel = self.failed.lock().await;
        loop {
            let properties = failed_properties(held, record);
            match publish(&channel, &self.queue.failed(), body, properties).await? {
                Confirmation::Ack(None) | Confirmation::NotRequested => return Ok(()),
                // The queue is gone: the session ends, and the next one declares it again.
                Confirmation::Ack(Some(_)) => {
                    return Err(Error::Connection(format!("queue {} is gone", self.queue.failed())));
                }
                // The queue or its disk is full: the item waits here until there is room.
                Confirmation::Nack(_) => tokio::time::sleep(REFUSED_PAUSE).await,
            }
        }
    }
}

/// lapin answers `false` for a delivery whose channel is closed.
fn check_open(answered: lapin::Result<bool>) -> Result<(), Error> {
    match answered {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Connection("the channel is closed".to_owned())),
        Err(error) => Err(Error::from_lapin("settling a delivery", &error)),
    }
}

/// The publisher's properties and headers, and ours.
fn failed_properties(held: &HeldDelivery, record: &ResultRecord) -> BasicProperties {
    let mut headers = FieldTable::default();
    // The broker's headers describe a delivery that is over.
    for (name, value) in properties::headers(&held.properties) {
        if !properties::is_set_by_broker(name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    for (name, value) in FailedItem::new(record, earlier_failures(&held.properties)).headers() {
        headers.insert(ShortString::from(name), header_value(value));
    }
    properties::copy(&held.properties, &held.id, headers)
}
