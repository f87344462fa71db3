//! What the broker reports of a queue without asking its leader; purging it.

use std::time::Duration;

use lapin::Channel;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions};
use lapin::types::FieldTable;

use crate::broker::{answer, close_channel, short, within};
use crate::error::is_not_found;
use crate::{Broker, Error};
use workqueue_core::names::QueueName;

/// How long the broker may take to empty a queue, which may hold tens of millions of messages.
const PURGE_TIMEOUT: Duration = Duration::from_secs(300);

/// How many messages a queue has and how many consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Messages that wait for a consumer; those that workers hold are not counted.
    pub ready: u32,
    /// Consumers at this moment.
    pub consumers: u32,
}

/// Whether a queue exists.
///
/// # Errors
/// Lost connections, and refusals other than `NOT_FOUND`.
pub async fn exists(broker: &Broker, name: &QueueName) -> Result<bool, Error> {
    Ok(reported_depth(broker, name).await?.is_some())
}

/// The depth of a queue or stream as the broker reports it, or `None` if there is no such queue. It is
/// also 0 if the leader of a quorum queue does not answer: see [`depth`](super::depth).
///
/// # Errors
/// Lost connections, and refusals other than `NOT_FOUND`.
pub async fn reported_depth(broker: &Broker, name: &QueueName) -> Result<Option<Depth>, Error> {
    let channel = broker.channel().await?;
    let depth = reported_on(&channel, name).await?;
    if depth.is_some() {
        close_channel(&channel).await;
    }
    Ok(depth)
}

/// The same on a channel, which the broker closes if there is no such queue.
pub(crate) async fn reported_on(channel: &Channel, name: &QueueName) -> Result<Option<Depth>, Error> {
    within(async {
        match channel.queue_declare(short(name), passive(), FieldTable::default()).await {
            Ok(queue) => Ok(Some(Depth { ready: queue.message_count(), consumers: queue.consumer_count() })),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(counting(name, &error)),
        }
    })
    .await
}

/// A declaration that only asks.
fn passive() -> QueueDeclareOptions {
    QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() }
}

/// The error of counting a queue.
pub(super) fn counting(name: &QueueName, error: &lapin::Error) -> Error {
    Error::from_lapin(format!("counting queue {name}"), error)
}

/// Deletes the ready messages of a queue and returns their number; what workers hold stays.
///
/// # Errors
/// [`Error::NoQueue`], [`Error::Refused`] for a stream, and lost connections.
pub async fn purge(broker: &Broker, name: &QueueName) -> Result<u32, Error> {
    let channel = broker.channel().await?;
    let purging = channel.queue_purge(short(name), QueuePurgeOptions::default());
    let purged = match tokio::time::timeout(PURGE_TIMEOUT, purging).await {
        Ok(Ok(purged)) => purged,
        Ok(Err(error)) if is_not_found(&error) => return Err(Error::NoQueue(name.clone())),
        Ok(Err(error)) => return Err(Error::from_lapin(format!("purging queue {name}"), &error)),
        Err(_) => return Err(Error::Connection(format!("purging queue {name} took too long"))),
    };
    close_channel(&channel).await;
    Ok(purged)
}

/// Deletes a queue or stream with all its messages. It is not an error if there is none.
///
/// # Errors
/// Refusals, and lost connections.
pub async fn delete(broker: &Broker, name: &QueueName) -> Result<(), Error> {
    let channel = broker.channel().await?;
    // From RabbitMQ 3.0 on, deleting a queue that does not exist succeeds.
    let deleting = channel.queue_delete(short(name), QueueDeleteOptions::default());
    answer(format!("deleting queue {name}"), deleting).await?;
    close_channel(&channel).await;
    Ok(())
}
