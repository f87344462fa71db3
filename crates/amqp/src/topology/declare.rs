//! How the queues are declared.

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

use super::exchange::connect;
use super::reported::exists;
use crate::broker::{answer, close_channel, short};
use crate::{Broker, Error};
use workqueue_core::names::QueueName;

/// The size of a result stream beyond which the oldest records are deleted: some 200,000 records of
/// programs that write little.
const RESULTS_MAX_BYTES: i64 = 256 * 1024 * 1024;

/// Streams are stored, and records deleted, a whole segment at a time.
const SEGMENT_BYTES: i64 = 16 * 1024 * 1024;

/// A delivery limit that is never reached.
const NO_DELIVERY_LIMIT: i64 = 1_000_000_000;

/// The size of a stream of marks: some 100,000 messages. A worker reads all of it.
const STARTS_MAX_BYTES: i64 = 16 * 1024 * 1024;

/// Marks are deleted a whole segment at a time.
const STARTS_SEGMENT_BYTES: i64 = 4 * 1024 * 1024;

/// The delivery limit of a queue, unless the user wants another. Workers count deaths themselves; this
/// ends what they cannot count, and has to outlast every pause, scale-down and restart of a broker.
pub const DELIVERY_LIMIT: u32 = 1000;

/// How a work queue is declared if it is missing.
#[derive(Debug, Clone)]
pub struct QueueSpec {
    /// The queue of the items; `NAME.failed` is declared with it.
    pub name: QueueName,
    /// How often an item may be delivered before the broker dead-letters it. Brokers before 4.3 count
    /// items that are requeued too, and all count lost connections.
    pub delivery_limit: u32,
}

/// What [`ensure`] found or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensured {
    /// The queue was missing and has been declared.
    Created,
    /// The queue existed, declared as [`ensure`] would declare it.
    Present,
    /// The queue existed with other arguments, and is used as it is. Holds the broker's words on
    /// the first difference.
    Different(String),
    /// The broker knows no quorum queues: a durable classic queue was declared. Holds its words.
    CreatedClassic(String),
}

/// Whether a queue that exists is declared as [`ensure`] would declare it: [`Ensured::Present`] or
/// [`Ensured::Different`]. `None` if there is no such queue.
///
/// # Errors
/// Lost connections, and refusals to look.
pub async fn compare(broker: &Broker, spec: &QueueSpec) -> Result<Option<Ensured>, Error> {
    if !exists(broker, &spec.name).await? {
        return Ok(None);
    }
    match declare(broker, &spec.name, quorum_arguments(spec)).await {
        Ok(()) => Ok(Some(Ensured::Present)),
        Err(Error::Refused { reason, .. }) => Ok(Some(Ensured::Different(reason))),
        Err(other) => Err(other),
    }
}

/// Makes sure that the queue and its `.failed` queue exist, and what its workers may not declare themselves.
///
/// A passive declaration comes first: declaring an existing queue with other arguments closes the
/// channel (406), and a queue that somebody else declared keeps its arguments.
///
/// # Errors
/// What the broker refuses for other reasons than an existing queue, and lost connections.
pub async fn ensure(broker: &Broker, spec: &QueueSpec) -> Result<Ensured, Error> {
    let ensured = ensure_queue(broker, spec).await?;
    let queue = &spec.name;
    let mut companions = Vec::new();
    // Without them there are no results, for instance, which is no reason to fail.
    for (name, made) in [
        (queue.failed(), ensure_failed(broker, queue).await),
        (queue.results(), ensure_results(broker, queue).await),
        (queue.starts(), ensure_starts(broker, queue).await),
    ] {
        match made {
            Ok(()) => companions.push(name),
            Err(Error::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    connect(broker, queue, &companions).await?;
    Ok(ensured)
}

async fn ensure_queue(broker: &Broker, spec: &QueueSpec) -> Result<Ensured, Error> {
    if let Some(found) = compare(broker, spec).await? {
        return Ok(found);
    }
    // The queue for failed items comes first: at-least-once dead-lettering needs its target.
    let failed = spec.name.failed();
    if !exists(broker, &failed).await? {
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

/// Makes sure that the queue for failed items exists, as [`ensure`] would declare it.
///
/// # Errors
/// As for [`ensure`].
pub(crate) async fn ensure_failed(broker: &Broker, queue: &QueueName) -> Result<(), Error> {
    let failed = queue.failed();
    if exists(broker, &failed).await? {
        return Ok(());
    }
    match declare_failed(broker, &failed).await {
        Err(Error::Refused { .. }) => declare(broker, &failed, FieldTable::default()).await?,
        other => other?,
    }
    connect(broker, queue, &[failed]).await.map(drop)
}

/// Declares the queue for failed items with a delivery limit that is never reached: from RabbitMQ 4.0
/// on the default is 20, and this queue has no dead letters: an item would be lost.
///
/// Not with the -1 that means "no limit" from 4.0 on: 3.10 takes it too, and drops a message that
/// is requeued for the second time.
async fn declare_failed(broker: &Broker, failed: &QueueName) -> Result<(), Error> {
    let mut arguments = queue_type("quorum");
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(NO_DELIVERY_LIMIT));
    declare(broker, failed, arguments).await
}

/// Makes sure that the stream for the records of a queue's items exists.
///
/// # Errors
/// [`Error::Refused`] with the broker's words if it knows no streams, or forbids this one.
pub async fn ensure_results(broker: &Broker, queue: &QueueName) -> Result<(), Error> {
    let made = ensure_stream(broker, &queue.results(), Some(RESULTS_MAX_BYTES), SEGMENT_BYTES).await?;
    if made { connect(broker, queue, &[queue.results()]).await.map(drop) } else { Ok(()) }
}

/// Makes sure that the stream for the marks of a queue's items exists.
///
/// # Errors
/// As for [`ensure_results`].
pub(crate) async fn ensure_starts(broker: &Broker, queue: &QueueName) -> Result<(), Error> {
    let made = ensure_stream(broker, &queue.starts(), Some(STARTS_MAX_BYTES), STARTS_SEGMENT_BYTES).await?;
    if made { connect(broker, queue, &[queue.starts()]).await.map(drop) } else { Ok(()) }
}

/// Makes sure that a stream exists; without `max_bytes`, its messages are never deleted. Returns whether it
/// was missing.
async fn ensure_stream(
    broker: &Broker,
    name: &QueueName,
    max_bytes: Option<i64>,
    segment_bytes: i64,
) -> Result<bool, Error> {
    if exists(broker, name).await? {
        return Ok(false);
    }
    let mut arguments = queue_type("stream");
    if let Some(max_bytes) = max_bytes {
        arguments.insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(max_bytes));
    }
    arguments.insert("x-stream-max-segment-size-bytes".into(), AMQPValue::LongLongInt(segment_bytes));
    declare(broker, name, arguments).await?;
    Ok(true)
}

/// Makes sure that the book of a queue exists.
///
/// # Errors
/// [`Error::Refused`] with the broker's words if it knows no streams, or forbids this one.
pub async fn ensure_book(broker: &Broker, queue: &QueueName) -> Result<(), Error> {
    ensure_stream(broker, &queue.ledger(), None, SEGMENT_BYTES).await.map(drop)
}

/// Makes sure that the ledger of a run exists, and the queue of the outcomes on their way to it, which
/// one worker at a time takes. Neither has a size limit: what was lost could not be proven.
///
/// # Errors
/// As for [`ensure_book`].
pub async fn ensure_ledger(broker: &Broker, queue: &QueueName, run: &str) -> Result<(), Error> {
    ensure_stream(broker, &queue.run_ledger(run), None, SEGMENT_BYTES).await?;
    let outcomes = queue.outcomes(run);
    if !exists(broker, &outcomes).await? {
        declare_outcomes(broker, &outcomes).await?;
    }
    connect(broker, queue, &[queue.run_ledger(run), outcomes]).await.map(drop)
}

async fn declare_outcomes(broker: &Broker, outcomes: &QueueName) -> Result<(), Error> {
    let mut arguments = queue_type("quorum");
    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(NO_DELIVERY_LIMIT));
    declare(broker, outcomes, arguments).await
}

/// Makes sure that the queue for the whole outputs of a run exists. It refuses messages while more than
/// `max_bytes` wait in it, and none is ever evicted. RabbitMQ counts what no consumer holds, refuses once
/// the limit is exceeded, and accepts again below 80 % of it (`rabbit_fifo`, from 3.8 to 4.3).
///
/// # Errors
/// [`Error::Refused`] with the broker's words if it knows no quorum queues, or forbids this one.
pub async fn ensure_outputs(
    broker: &Broker,
    queue: &QueueName,
    run: &str,
    max_bytes: u64,
) -> Result<(), Error> {
    let outputs = queue.outputs(run);
    if exists(broker, &outputs).await? {
        return Ok(());
    }
    let mut arguments = queue_type("quorum");
    let max_bytes = i64::try_from(max_bytes).unwrap_or(i64::MAX);
    arguments.insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(max_bytes));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(NO_DELIVERY_LIMIT));
    declare(broker, &outputs, arguments).await?;
    connect(broker, queue, &[outputs]).await.map(drop)
}

/// Makes sure that the queue exists by which the workers of a run know that its input goes on.
///
/// # Errors
/// As for [`ensure_outputs`].
pub async fn ensure_input(broker: &Broker, queue: &QueueName, run: &str) -> Result<(), Error> {
    let input = queue.input(run);
    if exists(broker, &input).await? {
        return Ok(());
    }
    declare(broker, &input, queue_type("quorum")).await
}

pub(super) async fn declare(broker: &Broker, name: &QueueName, arguments: FieldTable) -> Result<(), Error> {
    // A channel of its own, since a refusal closes it.
    let channel = broker.channel().await?;
    let declaring = channel.queue_declare(short(name), QueueDeclareOptions::durable(), arguments);
    answer(format!("declaring queue {name}"), declaring).await?;
    close_channel(&channel).await;
    Ok(())
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

/// At-least-once dead-lettering works only with `reject-publish`, and from RabbitMQ 3.10 on:
/// <https://www.rabbitmq.com/docs/quorum-queues#dead-lettering>.
pub(super) fn quorum_arguments(spec: &QueueSpec) -> FieldTable {
    let mut arguments = dead_letters(spec);
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(spec.delivery_limit.into()));
    arguments.insert("x-dead-letter-strategy".into(), AMQPValue::LongString("at-least-once".into()));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    arguments
}
