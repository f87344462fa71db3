//! Looks into queues without taking anything out: messages are given back, in their order.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};

use super::{Broker, Error, answer, topology};
use crate::names::QueueName;

/// Messages that a channel may hold: the most that AMQP can say.
const HELD: u16 = u16::MAX;

/// Silence after which a queue counts as looked through: others may have taken what it held.
const SILENCE: Duration = Duration::from_secs(5);

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
/// until that says `false`. Gives how many were shown.
///
/// All of them are held until the end and given back then, which other consumers may notice.
///
/// # Errors
/// [`Error::Refused`] when there is no such queue or it is a stream, and lost connections.
pub async fn look(
    broker: &Broker,
    queue: &QueueName,
    limit: Option<u64>,
    mut show: impl FnMut(Message) -> bool,
) -> Result<u64, Error> {
    let operation = format!("looking into queue {queue}");
    let Some(depth) = topology::depth(broker, queue).await? else {
        return Err(Error::Refused { operation, reason: "there is no such queue".to_owned() });
    };
    let total = limit.unwrap_or(u64::MAX).min(depth.ready.into());
    // What a channel holds is bounded: more channels are taken as they fill up.
    let mut channels: Vec<(Channel, Consumer)> = Vec::new();
    let (mut shown, mut last_tag) = (0, 0);
    let mut wanted = true;
    while shown < total && wanted {
        if shown % u64::from(HELD) == 0 {
            let hold = (total - shown).min(u64::from(HELD)) as u16;
            channels.push(answer(&operation, consume(broker, queue, hold)).await?);
        }
        let Some((_, consumer)) = channels.last_mut() else { break };
        let Ok(Some(delivery)) = tokio::time::timeout(SILENCE, consumer.next()).await else { break };
        let delivery = delivery.map_err(|error| Error::from_lapin(&operation, &error))?;
        last_tag = delivery.delivery_tag;
        shown += 1;
        wanted = show(Message {
            id: delivery.properties.message_id().as_ref().map(ToString::to_string),
            headers: delivery.properties.headers().as_ref().map(texts).unwrap_or_default(),
            body: delivery.data,
            redelivered: delivery.redelivered,
        });
    }
    // The last ones first, so that the queue puts them back in their order.
    for (channel, _) in channels.iter().rev() {
        let options = BasicNackOptions { multiple: true, requeue: true };
        if last_tag > 0 {
            answer(&operation, channel.basic_nack(0, options)).await?;
        }
        answer(&operation, channel.close(200, "done".into())).await?;
    }
    Ok(shown)
}

async fn consume(broker: &Broker, queue: &QueueName, hold: u16) -> lapin::Result<(Channel, Consumer)> {
    let channel = broker.connection.create_channel().await?;
    channel.basic_qos(hold, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let name = topology::short(queue);
    let consumer = channel.basic_consume(name, "".into(), options, FieldTable::default()).await?;
    Ok((channel, consumer))
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
