//! Takes a release down: what `up` and `run` made, after a look at what would be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use super::session::Session;
use super::{Error, Event, ObjectChange, Observer, deadline_after, record};
use crate::cluster::Cluster;
use crate::cluster::apply::ObjectRef;
use workqueue_amqp::topology::{self, Depth};
use workqueue_core::names::{QueueName, ReleaseName};

/// How long the look at the queues may take; a broker that does not answer must not keep anyone
/// from taking it down.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// What to take down.
pub struct DownPlan {
    /// The release.
    pub release: ReleaseName,
    /// The queue to look at, besides those of the runs.
    pub queue: QueueName,
    /// Keep the claims and the Secrets.
    pub keep_data: bool,
    /// Delete nothing.
    pub dry_run: bool,
    /// The time for all of it.
    pub timeout: Duration,
}

/// What taking down would delete.
#[derive(Debug)]
pub struct DownPreview {
    /// The objects, in the order of deletion.
    pub objects: Vec<ObjectRef>,
    /// Queues with messages, and how many; `None` if the broker could not be asked.
    pub messages: Option<Vec<(String, u64)>>,
}

/// Looks at what taking down would delete.
///
/// # Errors
/// [`crate::cluster::Error::NotOurs`] when Helm installed the release; and as for every request.
pub async fn preview(cluster: &Cluster, plan: &DownPlan) -> Result<DownPreview, Error> {
    if plan.keep_data
        && let Some(owner) = cluster.claims_owner(&plan.release).await?
    {
        return Err(Error::ClaimsGo(owner));
    }
    let labelled = cluster.release_objects(&plan.release, plan.keep_data).await?;
    // What a chart of the user's own brought along need not have our labels.
    let mut objects = record::unwanted(cluster, &plan.release, &labelled).await?;
    objects.retain(|object| !(plan.keep_data && object.holds_data()));
    objects.extend(labelled);
    // Whatever stops us, the next attempt finds the rest by it.
    objects.sort_by_key(|object| record::is_record(object, &plan.release));
    let messages = if objects.is_empty() {
        Some(Vec::new())
    } else {
        tokio::time::timeout(LOOK_TIMEOUT, messages(cluster, plan)).await.ok().and_then(Result::ok)
    };
    Ok(DownPreview { objects, messages })
}

async fn messages(cluster: &Cluster, plan: &DownPlan) -> Result<Vec<(String, u64)>, Error> {
    let session = Session::open(cluster, &plan.release, "kubectl-workqueue down").await?;
    // The broker's own tool knows all queues, and counts what workers hold, but lags by seconds,
    // and the user may lack the right to run it; AMQP is exact and has to be told the names.
    let listed = cluster.broker_queues(session.pod()).await.unwrap_or_default();
    let mut messages: BTreeMap<String, u64> = listed.into_iter().collect();
    let known: Vec<QueueName> = messages.keys().filter_map(|name| name.parse().ok()).collect();
    for name in known.into_iter().chain([plan.queue.clone(), plan.queue.failed()]) {
        let depth =
            topology::reported_depth(&session.broker, &name).await.map_err(|error| session.explain(error))?;
        let Depth { ready, consumers } = depth.unwrap_or_default();
        let count = messages.entry(name.to_string()).or_default();
        // Without a consumer nobody holds a message, and what AMQP counts is all there is.
        *count = if consumers == 0 { ready.into() } else { u64::from(ready).max(*count) };
    }
    session.close().await;
    Ok(messages.into_iter().filter(|(_, messages)| *messages > 0).collect())
}

/// Deletes, and waits until all of it is gone.
///
/// # Errors
/// What the cluster refuses, and the deadline with what is still there.
pub async fn down(
    cluster: &Cluster,
    plan: &DownPlan,
    objects: &[ObjectRef],
    observer: &dyn Observer,
) -> Result<(), Error> {
    let deadline = deadline_after(plan.timeout);
    for object in objects {
        cluster.delete(object, plan.dry_run).await?;
        observer.on(Event::Object { object, change: ObjectChange::Deleted });
    }
    if !plan.dry_run {
        let waiting = |left: &str| observer.on(Event::Waiting(left));
        cluster.wait_gone(&plan.release, plan.keep_data, deadline, waiting).await?;
    }
    Ok(())
}
