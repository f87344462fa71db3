//! Looks into queues without taking anything out.

use lapin::types::{AMQPValue, FieldTable};

use super::browse::Browse;
use super::{Broker, Error, topology};
use workqueue_core::names::QueueName;

/// A message as it lies in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
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
/// All of them are held until the end and given back then, in their order, which other consumers
/// may notice.
///
/// # Errors
/// [`Error::NoQueue`], [`Error::Refused`] when it is a stream, and lost connections.
pub async fn look(
    broker: &Broker,
    queue: &QueueName,
    limit: Option<u64>,
    mut show: impl FnMut(Message) -> bool,
) -> Result<Looked, Error> {
    let browse = Browse::open(broker, queue.clone()).await?;
    let mut browse = browse.ok_or_else(|| Error::NoQueue(queue.clone()))?;
    let wanted = limit.unwrap_or(u64::MAX).min(browse.expected().into());
    let mut looked = Looked { shown: 0, missed: 0 };
    while looked.shown < wanted {
        let Some(message) = browse.next().await? else {
            looked.missed = wanted - looked.shown;
            break;
        };
        looked.shown += 1;
        let more = show(Message {
            id: message.properties.message_id().as_ref().map(ToString::to_string),
            headers: message.properties.headers().as_ref().map(texts).unwrap_or_default(),
            body: message.data,
            redelivered: message.redelivered,
        });
        if !more {
            break;
        }
    }
    browse.close().await?;
    Ok(looked)
}

/// How many messages a look has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    /// Those that were shown.
    pub shown: u64,
    /// Those that were there at the start and did not come: somebody else has taken them.
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

/// Deletes the ready messages of a queue, and gives their number; what workers hold stays.
///
/// # Errors
/// [`Error::NoQueue`], [`Error::Refused`] when it is a stream, and lost connections.
pub async fn purge(broker: &Broker, queue: &QueueName) -> Result<u32, Error> {
    topology::purge(broker, queue).await?.ok_or_else(|| Error::NoQueue(queue.clone()))
}
