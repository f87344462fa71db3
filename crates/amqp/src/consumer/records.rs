//! Publishes the records of a batch to `QUEUE.results`. Records are no reason to keep an item: those that
//! are not confirmed in time are dropped, and that is said.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lapin::BasicProperties;
use tokio::sync::watch;

use super::notes::Notes;
use super::outlet::{Outlet, Published};
use super::patience::{CONFIRM_DEADLINE, patience};
use super::wanted::Wanted;
use crate::confirms::Route;
use crate::properties::PERSISTENT;
use crate::result_stream::SEVERAL_RECORDS;
use crate::{Broker, Error};
use workqueue_core::words::were;

/// How long a confirm may take once records have been dropped, so that the work goes on meanwhile.
const SHORT_DEADLINE: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 5000 });

/// What the records of a queue that refuses them do meanwhile.
const WAITING: &str = "records wait for a minute at most";

/// A record as a line of a message.
pub(super) struct RecordLine {
    pub id: String,
    pub json: Vec<u8>,
}

/// Where the records of one session go.
pub(super) struct Records {
    outlet: Outlet,
    blocked_rx: watch::Receiver<bool>,
    wanted: Arc<Wanted>,
    /// Records that were dropped since the last confirm.
    dropped: AtomicU64,
}

impl Records {
    pub(super) fn new(
        broker: &Broker,
        route: Route,
        wanted: Arc<Wanted>,
        blocked_rx: watch::Receiver<bool>,
        notes: &Notes,
    ) -> Self {
        let outlet = Outlet::new(broker, route, notes);
        Self { outlet, blocked_rx, wanted, dropped: AtomicU64::new(0) }
    }

    /// Publishes the records of a batch as one message, and waits for the confirm.
    ///
    /// # Errors
    /// The session is over.
    pub(super) async fn publish(&self, records: &[RecordLine]) -> Result<(), Error> {
        let Some(reason) = self.try_publish(records).await? else { return Ok(()) };
        if records.len() == 1 {
            self.drop(1, &format!("the broker refuses them ({reason})"));
            return Ok(());
        }
        // Together they may be larger than what the broker takes.
        for record in records {
            if let Some(reason) = self.try_publish(std::slice::from_ref(record)).await? {
                self.drop(1, &format!("the broker refuses them ({reason})"));
            }
        }
        Ok(())
    }

    /// Returns why the broker does not take the message, if it said so.
    async fn try_publish(&self, records: &[RecordLine]) -> Result<Option<String>, Error> {
        if records.is_empty() || !self.wanted.records.is_on() {
            return Ok(None);
        }
        let (body, properties) = message(records);
        let is_in_trouble = self.dropped.load(Ordering::Relaxed) > 0;
        let limit = if is_in_trouble { SHORT_DEADLINE } else { CONFIRM_DEADLINE };
        let published = tokio::select! {
            published = self.outlet.publish(&body, &properties, WAITING) => published,
            () = patience(self.blocked_rx.clone(), limit) => {
                let why = format!("{} has confirmed none for {} s", self.outlet.route.queue, limit.as_secs());
                self.drop(records.len(), &why);
                return Ok(None);
            }
        };
        match published {
            Ok(Published::Confirmed) => self.confirmed(),
            Ok(Published::NoQueue) => {
                if self.wanted.records.turn_off() {
                    self.outlet.notes.say("the stream of results is gone: no more results are recorded");
                }
            }
            Err(Error::Refused { reason, .. }) => return Ok(Some(reason)),
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    fn confirmed(&self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let dropped = were(dropped, "record");
            self.outlet.notes.say(format!("records are confirmed again; {dropped} dropped"));
        }
    }

    /// Drops records. Said once until one is confirmed.
    fn drop(&self, number: usize, why: &str) {
        if self.dropped.fetch_add(number as u64, Ordering::Relaxed) == 0 {
            self.outlet.notes.say(format!("records are dropped: {why}; the work goes on without them"));
        }
    }
}

/// One record as it is; several as newline-delimited JSON.
fn message(records: &[RecordLine]) -> (Cow<'_, [u8]>, BasicProperties) {
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    if let [record] = records {
        let properties = properties.with_content_type("application/json".into());
        return (Cow::Borrowed(&record.json), properties.with_message_id(record.id.as_str().into()));
    }
    let mut lines = Vec::with_capacity(records.iter().map(|record| record.json.len() + 1).sum());
    for record in records {
        lines.extend_from_slice(&record.json);
        lines.push(b'\n');
    }
    (Cow::Owned(lines), properties.with_content_type(SEVERAL_RECORDS.into()))
}
