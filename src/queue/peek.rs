//! Shows, counts and deletes the messages of queues.

use std::collections::BTreeMap;

use crate::cluster::rabbitmqctl::ListedQueue;
use crate::error::Error;
use crate::queue::book;
use crate::queue::connection::{BrokerConnection, BrokerTarget};
use workqueue_amqp::Broker;
use workqueue_amqp::peek::{self, Peeked, PeekedMessage};
use workqueue_amqp::topology::{self, Depth};
use workqueue_core::ledger::BookEntry;
use workqueue_core::names::QueueName;

/// The connection's name in the broker's own tools.
const PURPOSE: &str = "kubectl-workqueue look";

/// Passes the first `limit` messages of a queue, or all of them, to `show` until it returns `false`.
///
/// # Errors
/// A queue that does not exist; what the cluster or the broker refuse.
pub async fn peek(
    target: &BrokerTarget,
    queue: &QueueName,
    limit: Option<u64>,
    show: impl FnMut(PeekedMessage) -> bool,
) -> Result<Peeked, Error> {
    let connection = BrokerConnection::open_target(target, PURPOSE).await?;
    let shown = peek::peek(&connection.broker, queue, limit, show).await;
    let shown = shown.map_err(|error| connection.explain(error))?;
    connection.close().await;
    Ok(shown)
}

/// The depth of a queue; `None` if it does not exist.
pub async fn depth(target: &BrokerTarget, queue: &QueueName) -> Result<Option<Depth>, Error> {
    let connection = BrokerConnection::open_target(target, PURPOSE).await?;
    let depth =
        topology::depth(&connection.broker, queue).await.map_err(|error| connection.explain(error))?;
    connection.close().await;
    Ok(depth)
}

/// Deletes the ready messages of a queue and returns how many there were.
///
/// # Errors
/// As for [`peek()`].
pub async fn purge(target: &BrokerTarget, queue: &QueueName) -> Result<u32, Error> {
    let connection = BrokerConnection::open_target(target, PURPOSE).await?;
    connection.require_login_to_run()?;
    let purged =
        topology::purge(&connection.broker, queue).await.map_err(|error| connection.explain(error))?;
    connection.close().await;
    if purged > 0 {
        book::note_at(target, queue, &BookEntry::Purged(purged.into())).await?;
    }
    Ok(purged)
}

/// A queue and its depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRow {
    pub name: QueueName,
    pub depth: Depth,
}

/// The queues of a broker, and whether the list is complete. AMQP cannot list queues. The tool in
/// the broker's pod can, if the user is allowed to run it; otherwise only `known` and its queue of
/// failed items are looked up.
pub async fn queues(target: &BrokerTarget, known: &QueueName) -> Result<(Vec<QueueRow>, bool), Error> {
    let connection = BrokerConnection::open_target(target, PURPOSE).await?;
    let listed = match target {
        BrokerTarget::Release(cluster, _) => cluster.broker_queues(connection.pod()).await.ok(),
        BrokerTarget::Direct(_) => None,
    };
    let complete = listed.is_some();
    let mut found: BTreeMap<String, Option<ListedQueue>> =
        listed.into_iter().flatten().map(|queue| (queue.name.clone(), Some(queue))).collect();
    for name in [known.to_string(), known.failed().to_string()] {
        found.entry(name).or_default();
    }
    // What keeps the books is no queue of items.
    found.retain(|name, _| !QueueName::is_bookkeeping(name));
    let mut rows = Vec::new();
    for (name, listed) in found {
        let Ok(name) = name.parse::<QueueName>() else { continue };
        let depth = match counted(&connection.broker, &name, listed.as_ref()).await {
            // A queue that is exclusive to another connection: only the tool's count is known.
            Err(workqueue_amqp::Error::Refused { .. }) => {
                let messages = listed.map_or(0, |queue| queue.messages);
                Some(Depth { ready: u32::try_from(messages).unwrap_or(u32::MAX), consumers: 0 })
            }
            depth => depth.map_err(|error| connection.explain(error))?,
        };
        rows.extend(depth.map(|depth| QueueRow { name, depth }));
    }
    connection.close().await;
    Ok((rows, complete))
}

/// The depth of a queue: confirmed by its leader, unless it is a stream, which cannot be asked.
pub(crate) async fn counted(
    broker: &Broker,
    name: &QueueName,
    listed: Option<&ListedQueue>,
) -> Result<Option<Depth>, workqueue_amqp::Error> {
    if listed.is_some_and(|queue| queue.is_stream) {
        topology::reported_depth(broker, name).await
    } else {
        topology::depth(broker, name).await
    }
}
