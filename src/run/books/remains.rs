//! What a run has left in its queue and in its queue of failed items.

use crate::cluster::job::JobState;
use crate::error::Error;
use crate::queue::connection::BrokerConnection;
use workqueue_amqp::peek;
use workqueue_amqp::topology::{self, Depth};
use workqueue_core::ledger::{BookRun, ItemId, ItemSet, LedgerPage};
use workqueue_core::names::QueueName;

/// The most messages in the queue that are looked at to tell copies of done items from others.
const LOOKED_AT: u64 = 100;

/// What the queue of failed items tells of a run.
#[derive(Default)]
pub(super) struct Failed {
    /// Items without an outcome that are there: the broker has moved them.
    pub dead_lettered: ItemSet,
    /// Items that no enqueue has named and no worker has recorded.
    pub foreign: u64,
    /// Copies of items that are done.
    pub copies: u64,
}

/// How many items have failed since a run began, as the queue of failed items tells. Those that were
/// retried or deleted meanwhile are not there any more.
pub(super) async fn failed_since(
    connection: &BrokerConnection,
    queue: &QueueName,
    job: &JobState,
    run: Option<&BookRun>,
) -> Result<u64, Error> {
    let depth = topology::depth(&connection.broker, &queue.failed()).await;
    let depth = depth.map_err(|error| connection.explain(error))?.unwrap_or_default();
    let removed = run.map_or(0, |run| run.failed_removed);
    Ok((u64::from(depth.ready) + removed).saturating_sub(job.failed_before.into()))
}

/// Reads the queue of failed items if it may tell something: an item has no outcome, or there are more
/// messages than have failed.
pub(super) async fn failed(
    connection: &BrokerConnection,
    queue: &QueueName,
    job: &JobState,
    run: &BookRun,
    open: &ItemSet,
    sum: &LedgerPage,
) -> Result<Failed, Error> {
    let since = failed_since(connection, queue, job, Some(run)).await?;
    let more = since.saturating_sub(sum.only_failed().len() + sum.foreign_failed);
    let unsettled = open.clone().without(&sum.settled());
    if more == 0 && unsettled.is_empty() {
        return Ok(Failed::default());
    }
    let found = ids(connection, queue).await?;
    let copies = found.common(&sum.done).min(more);
    let dead_lettered = unsettled.intersection(&found);
    let foreign = more.saturating_sub(copies + dead_lettered.len());
    Ok(Failed { dead_lettered, foreign, copies })
}

/// The items in the queue of failed items. They stay there.
async fn ids(connection: &BrokerConnection, queue: &QueueName) -> Result<ItemSet, Error> {
    let mut found = ItemSet::default();
    crate::failed::read(connection, queue, |message| {
        if let Some(item) = ItemId::parse(&message.id) {
            found.insert(item);
        }
        true
    })
    .await?;
    Ok(found)
}

/// How many messages of the queue are copies of items that are done. A long queue is not looked at.
pub(super) async fn copies(
    connection: &BrokerConnection,
    queue: &QueueName,
    depth: Depth,
    sum: &LedgerPage,
) -> Result<u64, Error> {
    if depth.ready == 0 || u64::from(depth.ready) > LOOKED_AT {
        return Ok(0);
    }
    let mut copies = 0;
    let count = |message: peek::PeekedMessage| {
        let item = message.id.as_deref().and_then(ItemId::parse);
        copies += u64::from(item.is_some_and(|item| sum.done.contains(item)));
        true
    };
    let peeked = peek::peek(&connection.broker, queue, Some(LOOKED_AT), count).await;
    peeked.map_err(|error| connection.explain(error))?;
    Ok(copies.min(depth.ready.into()))
}
