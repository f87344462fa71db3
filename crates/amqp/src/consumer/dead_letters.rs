//! Copies failed items to `QUEUE.failed`.

use lapin::BasicProperties;
use lapin::types::{FieldTable, ShortString};
use tokio::sync::watch;

use super::held_delivery::HeldDelivery;
use super::notes::Notes;
use super::outlet::{Outlet, Published};
use super::patience::{CONFIRM_DEADLINE, patience};
use crate::confirms::Route;
use crate::delivery::earlier_failures;
use crate::properties::{self, header_value};
use crate::{Broker, Error};
use workqueue_core::failed_item::FailedItem;
use workqueue_core::record::ResultRecord;

/// What the items of a queue that refuses them do meanwhile.
const WAITING: &str = "failed items wait here until it has room";

/// Where the failed items of one session go.
pub(super) struct DeadLetters {
    outlet: Outlet,
    blocked_rx: watch::Receiver<bool>,
}

impl DeadLetters {
    pub(super) fn new(
        broker: &Broker,
        route: Route,
        blocked_rx: watch::Receiver<bool>,
        notes: &Notes,
    ) -> Self {
        Self { outlet: Outlet::new(broker, route, notes), blocked_rx }
    }

    /// Publishes a copy of an item, and waits for the confirm, however long it takes: without it the item
    /// would be lost. A confirm that is late is said.
    ///
    /// # Errors
    /// The session is over.
    pub(super) async fn publish(
        &self,
        held: &HeldDelivery,
        record: &ResultRecord,
        body: &[u8],
    ) -> Result<(), Error> {
        let properties = failed_properties(held, record);
        let mut publishing = std::pin::pin!(self.outlet.publish(body, &properties, WAITING));
        let published = tokio::select! {
            published = &mut publishing => published,
            () = patience(self.blocked_rx.clone(), CONFIRM_DEADLINE) => {
                let (queue, seconds) = (&self.outlet.route.queue, CONFIRM_DEADLINE.as_secs());
                let note = format!("queue {queue} has not confirmed item {} for {seconds} s: it waits", held.id);
                self.outlet.notes.say(note);
                publishing.await
            }
        };
        match published? {
            Published::Confirmed => Ok(()),
            // The next session declares it again.
            Published::NoQueue => {
                Err(Error::Connection(format!("queue {} is gone", self.outlet.route.queue)))
            }
        }
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
