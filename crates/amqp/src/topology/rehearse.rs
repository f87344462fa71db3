//! Tries what a work queue needs of a broker, with a queue that is never kept.

use lapin::options::BasicGetOptions;
use lapin::types::AMQPValue;

use super::declare::{DELIVERY_LIMIT, QueueSpec, declare, quorum_arguments};
use super::reported::delete;
use crate::broker::{answer, close_channel, short};
use crate::{Broker, Error};
use workqueue_core::names::QueueName;

/// After how many milliseconds the broker deletes the queue itself, should nobody else.
const EXPIRES: i64 = 60_000;

/// Declares a queue of this name as [`ensure`](super::ensure) would, reads from it and deletes it.
/// It must not exist.
///
/// # Errors
/// [`Error::Refused`] with the broker's words, if the user lacks a permission or the broker lacks
/// such queues; lost connections.
pub async fn rehearse(broker: &Broker, name: &QueueName) -> Result<(), Error> {
    let spec = QueueSpec { name: name.clone(), delivery_limit: DELIVERY_LIMIT };
    let mut arguments = quorum_arguments(&spec);
    arguments.insert("x-expires".into(), AMQPValue::LongLongInt(EXPIRES));
    declare(broker, name, arguments).await?;
    let read = read(broker, name).await;
    delete(broker, name).await?;
    read
}

async fn read(broker: &Broker, name: &QueueName) -> Result<(), Error> {
    let channel = broker.channel().await?;
    let getting = channel.basic_get(short(name), BasicGetOptions::default());
    answer(format!("reading queue {name}"), getting).await?;
    close_channel(&channel).await;
    Ok(())
}
