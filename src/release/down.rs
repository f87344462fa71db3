//! Deletes a release: everything that `up` and `run` created, after showing what would be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::cluster::object_ref::ObjectRef;
use crate::cluster::rabbitmqctl::ListedQueue;
use crate::error::Error;
use crate::notice::{Notice, ObjectChange, Observer, Wait, deadline_after};
use crate::queue::connection::BrokerConnection;
use crate::queue::peek::counted;
use crate::release::storage;
use workqueue_amqp::topology::Depth;
use workqueue_core::names::{QueueName, ReleaseName, STARTS};

/// How long counting the messages may take. A broker that does not answer must not prevent its own
/// deletion.
const COUNT_TIMEOUT: Duration = Duration::from_secs(10);

pub struct DownPlan {
    pub release: ReleaseName,
    /// The queue to count even if the broker's tool does not list it.
    pub queue: QueueName,
    /// Keep the PVCs and the Secrets.
    pub keep_data: bool,
    /// Delete nothing.
    pub dry_run: bool,
    /// For the whole operation; 0 for no limit.
    pub timeout: Duration,
}

/// What `down` would delete.
#[derive(Debug)]
pub struct DownPreview {
    /// The objects, in the order of deletion.
    pub objects: Vec<ObjectRef>,
    /// The queues that hold messages, and how many; `None` if the broker did not answer.
    pub messages: Option<Vec<(String, u64)>>,
}

/// Finds what `down` would delete.
///
/// # Errors
/// [`crate::cluster::Error::NotOurs`] if Helm installed the release; [`Error::PvcsDeleted`] if the
/// plan keeps data but the chart's values delete the PVCs with their StatefulSet.
pub async fn preview(cluster: &Cluster, plan: &DownPlan) -> Result<DownPreview, Error> {
    if plan.keep_data
        && let Some(owner) = cluster.pvc_owner(&plan.release).await?
    {
        return Err(Error::PvcsDeleted(owner));
    }
    let labelled = cluster.release_objects(&plan.release, plan.keep_data).await?;
    // Objects from a user's own chart may lack our labels.
    let mut objects = storage::obsolete(cluster, &plan.release, &labelled).await?;
    objects.retain(|object| !(plan.keep_data && object.holds_data()));
    objects.extend(labelled);
    // The release storage goes last: if we are interrupted, the next attempt finds the rest by it.
    objects.sort_by_key(|object| storage::is_storage(object, &plan.release));
    let messages = if objects.is_empty() {
        Some(Vec::new())
    } else {
        tokio::time::timeout(COUNT_TIMEOUT, messages(cluster, plan)).await.ok().and_then(Result::ok)
    };
    Ok(DownPreview { objects, messages })
}

async fn messages(cluster: &Cluster, plan: &DownPlan) -> Result<Vec<(String, u64)>, Error> {
    let connection = BrokerConnection::open(cluster, &plan.release, "kubectl-workqueue down").await?;
    // The broker's own tool lists all queues and counts unacked messages too, but lags by seconds,
    // and the user may not be allowed to run it. AMQP is exact, but only answers for known names.
    let listed = cluster.broker_queues(connection.pod()).await.unwrap_or_default();
    // Marks say nothing about items that are settled.
    let listed = listed.into_iter().filter(|queue| !(queue.is_stream && queue.name.ends_with(STARTS)));
    let mut found: BTreeMap<String, Option<ListedQueue>> =
        listed.map(|queue| (queue.name.clone(), Some(queue))).collect();
    for name in [plan.queue.to_string(), plan.queue.failed().to_string()] {
        found.entry(name).or_default();
    }
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

/// Deletes the objects and waits until they are gone.
///
/// # Errors
/// What the cluster refuses; the deadline, with the objects that are left.
pub async fn down(
    cluster: &Cluster,
    plan: &DownPlan,
    objects: &[ObjectRef],
    observer: &dyn Observer,
) -> Result<(), Error> {
    let deadline = deadline_after(plan.timeout);
    for object in objects {
        cluster.delete(object, plan.dry_run).await?;
        observer.on(Notice::Object { object, change: ObjectChange::Deleted });
    }
    if !plan.dry_run {
        let waiting = |left: &str| observer.on(Notice::Waiting(Wait::Cluster(left)));
        cluster.wait_gone(&plan.release, plan.keep_data, deadline, waiting).await?;
    }
    Ok(())
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
