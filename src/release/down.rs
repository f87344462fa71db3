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
    let known: Vec<QueueName> = messages.keys().filter_map(|name| name.parse().ok()).collect();
    for name in known.into_iter().chain([plan.queue.clone(), plan.queue.failed()]) {
        let depth = topology::reported_depth(&connection.broker, &name)
            .await
            .map_err(|error| connection.explain(error))?;
        let Depth { ready, consumers } = depth.unwrap_or_default();
        let count = messages.entry(name.to_string()).or_default();
        // Without a consumer no message is unacked, so AMQP's count is complete.
        *count = if consumers == 0 { ready.into() } else { u64::from(ready).max(*count) };
    }
    connection.close().await;
    Ok(messages.into_iter().filter(|(_, messages)| *messages > 0).collect())
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
