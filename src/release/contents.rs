//! What would be lost with a broker: the messages in its queues.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::cluster::rabbitmqctl::ListedQueue;
use crate::error::Error;
use crate::queue::connection::BrokerConnection;
use crate::queue::peek::counted;
use workqueue_amqp::topology::Depth;
use workqueue_core::names::{QueueName, ReleaseName};

/// How long counting the messages may take. A broker that does not answer must not prevent its own
/// deletion.
const COUNT_TIMEOUT: Duration = Duration::from_secs(10);

/// The queues of a release that hold messages, and how many; `None` if the broker does not answer in
/// time, or does not list its queues. With `queue` that queue is counted even if it is not listed, and
/// other queues may be missing.
pub(crate) async fn messages(
    cluster: &Cluster,
    release: &ReleaseName,
    queue: Option<&QueueName>,
) -> Option<Vec<(String, u64)>> {
    tokio::time::timeout(COUNT_TIMEOUT, count(cluster, release, queue)).await.ok()?.ok()
}

async fn count(
    cluster: &Cluster,
    release: &ReleaseName,
    queue: Option<&QueueName>,
) -> Result<Vec<(String, u64)>, Error> {
    let connection = BrokerConnection::open(cluster, release, "kubectl-workqueue down").await?;
    // The broker's own tool lists all queues and counts unacked messages too, but lags by seconds,
    // and the user may not be allowed to run it. AMQP is exact, but only answers for known names.
    let listed = match (cluster.broker_queues(connection.pod()).await, queue) {
        (Err(error), None) => return Err(error.into()),
        (listed, _) => listed.unwrap_or_default(),
    };
    let mut found: BTreeMap<String, Option<ListedQueue>> =
        listed.into_iter().map(|queue| (queue.name.clone(), Some(queue))).collect();
    for name in queue.into_iter().flat_map(|queue| [queue.to_string(), queue.failed().to_string()]) {
        found.entry(name).or_default();
    }
    // What keeps the books holds no items.
    found.retain(|name, _| !QueueName::is_bookkeeping(name) || QueueName::is_outputs(name));
    let mut messages = Vec::new();
    for (name, listed) in found {
        let Ok(queue) = name.parse::<QueueName>() else { continue };
        let depth = counted(&connection.broker, &queue, listed.as_ref()).await;
        let depth = depth.map_err(|error| connection.explain(error))?.unwrap_or_default();
        messages.push((name, larger(depth, listed.map_or(0, |queue| queue.messages))));
    }
    connection.close().await;
    messages.retain(|(_, messages)| *messages > 0);
    Ok(messages)
}

/// The larger of two counts: the tool's lags by seconds, and AMQP's leaves out unacked messages. Where
/// no consumer can hold a message, AMQP's is complete.
fn larger(depth: Depth, tool: u64) -> u64 {
    let ready = u64::from(depth.ready);
    if depth.consumers == 0 { ready } else { ready.max(tool) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_a_consumer_may_hold_are_counted() {
        assert_eq!(larger(Depth { ready: 2, consumers: 1 }, 9), 9, "the consumer holds the others");
        assert_eq!(larger(Depth { ready: 9, consumers: 1 }, 2), 9, "the tool lags");
        assert_eq!(larger(Depth { ready: 2, consumers: 0 }, 9), 2, "the tool lags");
    }
}
