//! A message of `QUEUE.failed`: the item, why it failed, and the properties of its next copy.

use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::message::Delivery as Message;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::delivery::{earlier_deliveries, item_id, number};
use crate::properties::{self, header_value};
use workqueue_core::failed_item::{FailedItem, HEADER_PREFIX, HeaderValue};

/// The reason of items without any history: somebody else published them there.
const UNKNOWN: &str = "unknown";

/// A failed item.
#[derive(Debug, Clone)]
pub struct FailedMessage {
    /// Its delivery tag within the reading that found it.
    pub tag: u64,
    /// The item's id.
    pub id: String,
    /// Why it failed. Attempts are 0 if nobody counted them.
    pub history: FailedItem,
    /// The item.
    pub body: Vec<u8>,
    properties: BasicProperties,
}

impl FailedMessage {
    /// The headers that its publisher set, as text.
    pub fn own_headers(&self) -> Vec<(String, String)> {
        let own = properties::headers(&self.properties).filter(|(name, _)| {
            !properties::is_set_by_broker(name.as_str()) && !name.as_str().starts_with(HEADER_PREFIX)
        });
        own.map(|(name, value)| (name.to_string(), as_text(value))).collect()
    }

    /// The content type that its publisher set.
    pub fn content_type(&self) -> Option<String> {
        self.properties.content_type().as_ref().map(ToString::to_string)
    }

    /// How often it was delivered before, as far as the queue counts.
    pub(crate) fn deliveries(&self) -> u32 {
        earlier_deliveries(&self.properties, false)
    }

    /// The properties of a copy that stays in `QUEUE.failed`: all but the broker's counts.
    pub(crate) fn properties_for_copy(&self) -> BasicProperties {
        let mut headers = FieldTable::default();
        for (name, value) in properties::headers(&self.properties) {
            if !matches!(name.as_str(), "x-delivery-count" | "x-acquired-count") {
                headers.insert(name.clone(), value.clone());
            }
        }
        properties::copy(&self.properties, &self.id, headers)
    }

    /// The properties of the copy in the work queue: the publisher's, and the history.
    pub(crate) fn properties_for_retry(&self) -> BasicProperties {
        let mut headers = FieldTable::default();
        for (name, value) in properties::headers(&self.properties) {
            // The broker's headers describe a delivery that is over.
            let ours = name.as_str().starts_with(HEADER_PREFIX) && self.history.reason != UNKNOWN;
            if !properties::is_set_by_broker(name.as_str()) && !ours {
                headers.insert(name.clone(), value.clone());
            }
        }
        if self.history.reason != UNKNOWN {
            for (name, value) in self.history.headers() {
                headers.insert(ShortString::from(name), header_value(value));
            }
        }
        properties::copy(&self.properties, &self.id, headers)
    }
}

pub(crate) fn read(message: Message) -> FailedMessage {
    FailedMessage {
        tag: message.delivery_tag,
        id: item_id(&message.properties, &message.data),
        history: failed_history(message.properties.headers().as_ref()),
        body: message.data,
        properties: message.properties,
    }
}

/// The history in a message's headers. Workers remove the broker's headers: if there are some, the
/// broker itself dead-lettered the item, and a worker's headers are about an earlier failure.
pub fn failed_history(headers: Option<&FieldTable>) -> FailedItem {
    let nothing = FailedItem {
        reason: UNKNOWN.to_owned(),
        exit: None,
        signal: None,
        attempts: 0,
        first_started: String::new(),
        ended: String::new(),
        run: None,
        pod: String::new(),
        node: None,
        stderr: String::new(),
        failures: 1,
    };
    let Some(headers) = headers else { return nothing };
    if let Some((reason, ended)) = death(headers) {
        let failures = number(headers, "workqueue-failures").unwrap_or(0) + 1;
        return FailedItem { reason, ended, failures, ..nothing };
    }
    let value = |name: &str| match headers.inner().get(name)? {
        AMQPValue::LongString(text) => Some(HeaderValue::Text(text.to_string())),
        _ => number(headers, name).map(HeaderValue::Number),
    };
    FailedItem::from_headers(value).unwrap_or(nothing)
}

/// The last dead-lettering by the broker: its reason and time.
/// <https://www.rabbitmq.com/docs/dlx#effects>
fn death(headers: &FieldTable) -> Option<(String, String)> {
    let Some(AMQPValue::FieldArray(deaths)) = headers.inner().get("x-death") else { return None };
    let Some(AMQPValue::FieldTable(last)) = deaths.as_slice().first() else { return None };
    let Some(AMQPValue::LongString(reason)) = last.inner().get("reason") else { return None };
    let time = match last.inner().get("time") {
        Some(AMQPValue::Timestamp(seconds)) => Timestamp::from_second(i64::try_from(*seconds).ok()?).ok(),
        _ => None,
    };
    Some((reason.to_string().replace('_', "-"), time.map(|time| time.to_string()).unwrap_or_default()))
}

fn as_text(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => text.to_string(),
        AMQPValue::ShortString(text) => text.to_string(),
        AMQPValue::LongLongInt(number) => number.to_string(),
        AMQPValue::LongInt(number) => number.to_string(),
        AMQPValue::Boolean(value) => value.to_string(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::types::FieldArray;

    fn message(headers: FieldTable) -> FailedMessage {
        let properties = BasicProperties::default().with_headers(headers).with_expiration("5".into());
        FailedMessage {
            tag: 1,
            id: "b.1".to_owned(),
            history: failed_history(properties.headers().as_ref()),
            body: b"apple".to_vec(),
            properties,
        }
    }

    fn text(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    fn died() -> AMQPValue {
        let mut death = FieldTable::default();
        death.insert("reason".into(), text("delivery_limit"));
        death.insert("time".into(), AMQPValue::Timestamp(1_700_000_000));
        AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::FieldTable(death)]))
    }

    #[test]
    fn the_brokers_dead_lettering_is_the_latest_failure() {
        let mut headers = FieldTable::default();
        headers.insert("workqueue-reason".into(), text("exit"));
        headers.insert("workqueue-exit".into(), AMQPValue::LongLongInt(3));
        headers.insert("workqueue-failures".into(), AMQPValue::LongLongInt(2));
        let worker = message(headers.clone());
        assert_eq!((worker.history.reason.as_str(), worker.history.failures), ("exit", 2));
        headers.insert("x-death".into(), died());
        headers.insert("color".into(), text("red"));
        let broker = message(headers);
        assert_eq!((broker.history.reason.as_str(), broker.history.failures), ("delivery-limit", 3));
        assert_eq!(broker.history.ended, "2023-11-14T22:13:20Z");
        assert_eq!(broker.own_headers(), [("color".to_owned(), "red".to_owned())]);
    }

    #[test]
    fn a_retried_item_has_its_history_and_not_the_brokers_headers() {
        let mut headers = FieldTable::default();
        headers.insert("x-death".into(), died());
        headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(4));
        headers.insert("color".into(), text("red"));
        headers.insert("workqueue-exit".into(), AMQPValue::LongLongInt(3));
        let properties = message(headers).properties_for_retry();
        let names: Vec<String> = properties
            .headers()
            .iter()
            .flat_map(FieldTable::inner)
            .map(|(name, _)| name.to_string())
            .collect();
        assert!(names.contains(&"color".to_owned()) && names.contains(&"workqueue-failures".to_owned()));
        assert!(!names.iter().any(|name| name.starts_with("x-") || name == "workqueue-exit"), "{names:?}");
        assert_eq!(properties.message_id().as_ref().map(|id| id.as_str()), Some("b.1"));
        assert!(properties.expiration().is_none());
    }

    #[test]
    fn nothing_is_made_up_about_foreign_messages() {
        let foreign = message(FieldTable::default());
        assert_eq!(foreign.history.reason, "unknown");
        assert!(foreign.properties_for_retry().headers().iter().flat_map(FieldTable::inner).next().is_none());
    }
}
