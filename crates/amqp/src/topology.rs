//! The queues of a work queue: declared once with everything that keeps items safe, then measured.

use std::time::Duration;

use lapin::options::{QueueDeclareOptions, QueuePurgeOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ErrorKind};

use super::{Broker, Error, FAREWELL, NOT_FOUND, answer, within};
use workqueue_core::names::QueueName;

/// The size of a stream of results beyond which the oldest records go: some 200,000 records of
/// programs that write little.
const RESULTS_MAX_BYTES: i64 = 256 * 1024 * 1024;

/// Records go a whole segment at a time.
const RESULTS_SEGMENT_BYTES: i64 = 16 * 1024 * 1024;

/// How often a failed item may be looked at and put back.
const FAILED_DELIVERY_LIMIT: i64 = 1_000_000_000;

/// How long the broker may take to empty a queue, which may hold tens of millions of messages.
const PURGE_TIMEOUT: Duration = Duration::from_secs(300);

/// How a work queue is made, if it has to be made.
#[derive(Debug, Clone)]
pub struct QueueSpec {
    /// The queue of the items; `NAME.failed` stands beside it.
    pub name: QueueName,
    /// How often an item may be given to a worker that dies, before it goes to `NAME.failed`.
    pub delivery_limit: u32,
}

/// What [`ensure`] found or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensured {
    /// The queue was missing and has been made.
    Created,
    /// The queue was there, made as we would have made it.
    Present,
    /// The queue was there, made differently; it is used as it is. Holds the broker's words on
    /// the first difference.
    Different(String),
    /// The broker knows no quorum queues: a durable classic queue was made. Holds its words.
    CreatedClassic(String),
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Messages that wait for a consumer; those held by workers are not among them.
    pub ready: u32,
    /// Consumers at this moment.
    pub consumers: u32,
}

/// Makes sure that the queue and its `.failed` queue exist.
///
/// Asks passively first: declaring an existing queue with other arguments closes the channel
/// (406), and a queue that somebody else made is theirs to define.
///
/// # Errors
/// What the broker refuses for other reasons than an existing queue, and lost connections.
pub async fn ensure(broker: &Broker, spec: &QueueSpec) -> Result<Ensured, Error> {
    if depth(broker, &spec.name).await?.is_some() {
        return match declare(broker, &spec.name, quorum_arguments(spec)).await {
            Ok(()) => Ok(Ensured::Present),
            Err(Error::Refused { reason, .. }) => Ok(Ensured::Different(reason)),
            Err(other) => Err(other),
        };
    }
    // The queue for failed items comes first: at-least-once dead-lettering needs its target.
    let failed = spec.name.failed();
    if depth(broker, &failed).await?.is_none() {
        match declare_failed(broker, &failed).await {
            Err(Error::Refused { reason, .. }) => {
                declare(broker, &failed, FieldTable::default()).await?;
                declare(broker, &spec.name, dead_letters(spec)).await?;
                return Ok(Ensured::CreatedClassic(reason));
            }
            other => other?,
        }
    }
    declare(broker, &spec.name, quorum_arguments(spec)).await?;
    Ok(Ensured::Created)
}

/// Makes sure that there is a queue for the items that fail, as [`ensure`] would make it.
///
/// # Errors
/// As for [`ensure`].
pub(super) async fn ensure_failed(broker: &Broker, queue: &QueueName) -> Result<(), Error> {
    let failed = queue.failed();
    if depth(broker, &failed).await?.is_some() {
        return Ok(());
    }
    match declare_failed(broker, &failed).await {
        Err(Error::Refused { .. }) => declare(broker, &failed, FieldTable::default()).await,
        other => other,
    }
}

/// Makes the queue for failed items with a delivery limit that is never reached: from RabbitMQ 4.0
/// on the default is 20, and it has no dead letters: an item would be gone.
///
/// Not with the -1 that means "no limit" from 4.0 on: 3.10 takes it too, and drops a message that
/// comes back for the second time.
async fn declare_failed(broker: &Broker, failed: &QueueName) -> Result<(), Error> {
    let mut arguments = queue_type("quorum");
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(FAILED_DELIVERY_LIMIT));
    declare(broker, failed, arguments).await
}

/// Makes sure that there is a stream for the results of a queue's items.
///
/// # Errors
/// [`Error::Refused`] with the broker's words if it knows no streams, or forbids this one.
pub async fn ensure_results(broker: &Broker, queue: &QueueName) -> Result<(), Error> {
    let results = queue.results();
    if depth(broker, &results).await?.is_some() {
        return Ok(());
    }
    let mut arguments = queue_type("stream");
    arguments.insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(RESULTS_MAX_BYTES));
    arguments.insert("x-stream-max-segment-size-bytes".into(), AMQPValue::LongLongInt(RESULTS_SEGMENT_BYTES));
    declare(broker, &results, arguments).await
}

/// The depth of a queue, or `None` if there is no such queue.
///
/// # Errors
/// Lost connections, and refusals other than `NOT_FOUND`.
pub async fn depth(broker: &Broker, name: &QueueName) -> Result<Option<Depth>, Error> {
    let channel = broker.channel().await?;
    let passive = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
    let declared = within(async {
        match channel.queue_declare(short(name), passive, FieldTable::default()).await {
            Ok(queue) => Ok(Some(queue)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(Error::from_lapin(format!("looking at queue {name}"), &error)),
        }
    });
    let Some(queue) = declared.await? else { return Ok(None) };
    close(&channel).await;
    Ok(Some(Depth { ready: queue.message_count(), consumers: queue.consumer_count() }))
}

/// Deletes the messages of a queue that nobody holds; gives how many, or `None` if there is no such
/// queue.
///
/// # Errors
/// Lost connections, and refusals other than `NOT_FOUND`.
pub(super) async fn purge(broker: &Broker, name: &QueueName) -> Result<Option<u32>, Error> {
    let channel = broker.channel().await?;
    let purging = channel.queue_purge(short(name), QueuePurgeOptions::default());
    let purged = match tokio::time::timeout(PURGE_TIMEOUT, purging).await {
        Ok(Ok(purged)) => purged,
        Ok(Err(error)) if is_not_found(&error) => return Ok(None),
        Ok(Err(error)) => return Err(Error::from_lapin(format!("purging queue {name}"), &error)),
        Err(_) => return Err(Error::Connection(format!("purging queue {name} took too long"))),
    };
    close(&channel).await;
    Ok(Some(purged))
}

async fn declare(broker: &Broker, name: &QueueName, arguments: FieldTable) -> Result<(), Error> {
    // A channel of its own, since a refusal closes it.
    let channel = broker.channel().await?;
    let declaring = channel.queue_declare(short(name), QueueDeclareOptions::durable(), arguments);
    answer(format!("declaring queue {name}"), declaring).await?;
    close(&channel).await;
    Ok(())
}

pub(super) async fn close(channel: &Channel) {
    // What was asked for has been answered; a channel that is gone already needs no closing.
    tokio::time::timeout(FAREWELL, channel.close(200, "done".into())).await.ok();
}

fn queue_type(name: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(name.into()));
    arguments
}

fn dead_letters(spec: &QueueSpec) -> FieldTable {
    let mut arguments = FieldTable::default();
    // The default exchange routes by the queue's name.
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    let target = AMQPValue::LongString(spec.name.failed().as_str().into());
    arguments.insert("x-dead-letter-routing-key".into(), target);
    arguments
}

/// At-least-once dead-lettering works with `reject-publish` alone, and both from RabbitMQ 3.10 on:
/// <https://www.rabbitmq.com/docs/quorum-queues#dead-lettering>.
fn quorum_arguments(spec: &QueueSpec) -> FieldTable {
    let mut arguments = dead_letters(spec);
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(spec.delivery_limit.into()));
    arguments.insert("x-dead-letter-strategy".into(), AMQPValue::LongString("at-least-once".into()));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    arguments
}

pub(super) fn short(name: &QueueName) -> ShortString {
    name.as_str().into()
}

/// Whether a `NOT_FOUND` is about a queue whose node is away and will be back.
pub(super) fn is_passing(reason: &str) -> bool {
    reason.contains("is down or inaccessible")
}

pub(super) fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(refusal)
        if refusal.get_id() == NOT_FOUND && !is_passing(refusal.get_message().as_str()))
}
