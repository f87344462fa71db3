//! Shows the messages of a queue without consuming them.

use lapin::types::{AMQPValue, FieldTable};

use crate::queue_reader::QueueReader;
use crate::{Broker, Error};
use workqueue_core::names::QueueName;

/// A message in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeekedMessage {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// Its bytes.
    pub body: Vec<u8>,
    /// Those of its headers that are text or numbers.
    pub headers: Vec<(String, String)>,
    /// Whether it had been delivered before.
    pub redelivered: bool,
}

/// Shows the first `limit` messages of a queue, or all that were ready at the start, to `show`,
/// until that says `false`.
///
/// All of them are held until the end, so that other consumers do not get them, and then requeued
/// in their order.
///
/// # Errors
/// [`Error::NoQueue`], [`Error::Refused`] when it is a stream, and lost connections.
pub async fn peek(
    broker: &Broker,
    queue: &QueueName,
    limit: Option<u64>,
    mut show: impl FnMut(PeekedMessage) -> bool,
) -> Result<Peeked, Error> {
    let reader = QueueReader::open(broker, queue.clone()).await?;
    let mut reader = reader.ok_or_else(|| Error::NoQueue(queue.clone()))?;
    let wanted = limit.unwrap_or(u64::MAX).min(reader.expected().into());
    let mut peeked = Peeked { shown: 0, missed: 0 };
    while peeked.shown < wanted {
        let Some(message) = reader.next().await? else {
            peeked.missed = wanted - peeked.shown;
            break;
        };
        peeked.shown += 1;
        let more = show(PeekedMessage {
            id: message.properties.message_id().as_ref().map(ToString::to_string),
            headers: message.properties.headers().as_ref().map(texts).unwrap_or_default(),
            body: message.data,
            redelivered: message.redelivered,
        });
        if !more {
            break;
        }
    }
    reader.close().await?;
    Ok(peeked)
}

/// How many messages were shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peeked {
    /// Messages that were shown.
    pub shown: u64,
    /// Messages that were ready at the start and did not arrive: somebody else has taken them.
    pub missed: u64,
}

fn texts(headers: &FieldTable) -> Vec<(String, String)> {
    let text = |value: &AMQPValue| match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::LongInt(number) => Some(number.to_string()),
        AMQPValue::LongLongInt(number) => Some(number.to_string()),
        AMQPValue::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    };
    let rows = headers.inner().iter();
    rows.filter_map(|(key, value)| Some((key.to_string(), text(value)?))).collect()
}
