//! Deletes a release: everything that `up` and `run` created, after showing what would be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::cluster::object_ref::ObjectRef;
use crate::error::Error;
use crate::notice::{Notice, ObjectChange, Observer, Wait, deadline_after};
use crate::queue::connection::BrokerConnection;
use crate::release::storage;
use workqueue_amqp::topology::{self, Depth};
use workqueue_core::names::{QueueName, ReleaseName};

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
    let mut messages: BTreeMap<String, u64> = listed.into_iter().collect();
    for name in [&plan.queue, &plan.queue.failed()] {
        let depth = topology::depth(&connection.broker, name).await;
        let depth = depth.map_err(|error| connection.explain(error))?.unwrap_or_default();
        count(&mut messages, name, depth, true);
    }
    let others: Vec<QueueName> = messages.keys().filter_map(|name| name.parse().ok()).collect();
    for name in others.iter().filter(|name| **name != plan.queue && **name != plan.queue.failed()) {
        // Streams are among them, and a stream must not be asked for a message.
        let depth = topology::reported_depth(&connection.broker, name).await;
        let depth = depth.map_err(|error| connection.explain(error))?.unwrap_or_default();
        count(&mut messages, name, depth, depth != Depth::default());
    }
    connection.close().await;
    Ok(messages.into_iter().filter(|(_, messages)| *messages > 0).collect())
}

/// Takes the larger of two counts: the tool's lags by seconds, and AMQP's leaves out unacked messages.
/// Where no consumer can hold a message, a count that the queue's leader has `confirmed` is complete.
fn count(messages: &mut BTreeMap<String, u64>, name: &QueueName, depth: Depth, confirmed: bool) {
    let count = messages.entry(name.to_string()).or_default();
    let ready = u64::from(depth.ready);
    *count = if confirmed && depth.consumers == 0 { ready } else { ready.max(*count) };
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
    fn the_larger_count_is_taken_unless_the_leader_has_spoken() {
        let name: QueueName = "job1".parse().expect("legal");
        let counted = |tool: u64, ready: u32, consumers: u32, confirmed: bool| {
            let mut messages = BTreeMap::from([("job1".to_owned(), tool)]);
            count(&mut messages, &name, Depth { ready, consumers }, confirmed);
            messages["job1"]
        };
        assert_eq!(counted(9, 0, 0, false), 9, "0 and 0 may mean that the leader is away");
        assert_eq!(counted(9, 2, 1, true), 9, "the consumer holds the others");
        assert_eq!(counted(9, 2, 0, true), 2, "the tool lags");
        assert_eq!(counted(0, 5, 0, true), 5);
    }
}
