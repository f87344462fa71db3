//! Names in a cluster, for completion: quick, and silent about what cannot be had.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::failed;
use crate::queue::connection::BrokerConnection;
use workqueue_core::names::{QueueName, ReleaseName};

/// How long the broker may take to list its queues; those of the runs are there sooner.
const BROKER_TIMEOUT: Duration = Duration::from_millis(1800);

/// The queues of a release: those of its runs, and those that its broker lists.
pub async fn queues(cluster: &Cluster, release: &ReleaseName) -> BTreeSet<String> {
    let of_broker = async {
        let pod = cluster.broker_pod(release).await.ok()?.pod;
        cluster.broker_queues(&pod).await.ok()
    };
    let (jobs, listed) = tokio::join!(cluster.runs(release), tokio::time::timeout(BROKER_TIMEOUT, of_broker));
    let of_runs = jobs.unwrap_or_default().into_iter().map(|job| job.queue);
    let listed = listed.ok().flatten().unwrap_or_default();
    of_runs.chain(listed.into_iter().map(|(queue, _)| queue)).filter(|queue| !queue.is_empty()).collect()
}

/// The runs of a release, each with its queue and state in a few words.
pub async fn runs(cluster: &Cluster, release: &ReleaseName) -> Vec<(String, String)> {
    let jobs = cluster.runs(release).await.unwrap_or_default();
    let described = jobs.into_iter().rev().map(|job| {
        let state = if job.end.is_some() { "ended" } else { "running" };
        (job.run, format!("queue {}, {state}", job.queue))
    });
    described.collect()
}

/// Failed items that are looked at: more would not fit a terminal.
const FAILED_LOOKED_AT: usize = 200;

/// The ids of failed items of a queue, each with its reason.
pub async fn failed_items(
    cluster: &Cluster,
    release: &ReleaseName,
    queue: &QueueName,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let Ok(session) = BrokerConnection::open(cluster, release, "kubectl-workqueue completion").await else {
        return found;
    };
    let looked = failed::look(&session, queue, |message| {
        found.push((message.id, message.history.reason));
        found.len() < FAILED_LOOKED_AT
    });
    // What was found before an error is as good.
    looked.await.ok();
    session.close().await;
    found
}
