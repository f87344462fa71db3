//! The reports of `peek` and `dump`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::BodyJson;
use workqueue_amqp::peek::PeekedMessage;
use workqueue_core::names::QueueName;

/// The report of `peek`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeekJson<'a> {
    pub queue: &'a str,
    /// The first items of the queue, in its order.
    pub items: Vec<MessageJson>,
}

/// An item of a queue; `dump` prints one on each line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageJson {
    /// `null` if its publisher gave it none.
    pub id: Option<String>,
    /// Whether it had been delivered before.
    pub redelivered: bool,
    /// The headers that are text or numbers, as text.
    pub headers: BTreeMap<String, String>,
    #[serde(flatten)]
    pub body: BodyJson,
}

impl<'a> PeekJson<'a> {
    /// Items of a queue.
    pub fn of(queue: &'a QueueName, items: Vec<MessageJson>) -> Self {
        Self { queue: queue.as_str(), items }
    }
}

impl From<&PeekedMessage> for MessageJson {
    fn from(message: &PeekedMessage) -> Self {
        Self {
            id: message.id.clone(),
            redelivered: message.redelivered,
            headers: message.headers.iter().cloned().collect(),
            body: BodyJson::of(&message.body),
        }
    }
}
