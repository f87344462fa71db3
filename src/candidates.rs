//! Names in a cluster, for shell completion: quick, and silent about errors.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::failed;
use crate::queue::connection::BrokerConnection;
use workqueue_core::names::{QueueName, ReleaseName};

/// How long the broker may take to list its queues. Without an answer, only those of the runs are
/// offered.
const BROKER_TIMEOUT: Duration = Duration::from_millis(1800);

/// The queues of a release: those of its runs, and those that its broker lists.
pub async fn queues(cluster: &Cluster, release: &ReleaseName) -> BTreeSet<String> {
    let from_broker = async {
        let pod = cluster.broker_pod(release).await.ok()?.pod;
        cluster.broker_queues(&pod).await.ok()
    };
    let (jobs, listed) =
        tokio::join!(cluster.runs(release), tokio::time::timeout(BROKER_TIMEOUT, from_broker));
    let from_runs = jobs.unwrap_or_default().into_iter().map(|job| job.queue);
    let listed = listed.ok().flatten().unwrap_or_default();
    from_runs
        .chain(listed.into_iter().map(|queue| queue.name))
        .filter(|queue| !queue.is_empty() && !QueueName::is_bookkeeping(queue))
        .collect()
}

/// The runs of a release, each with a short description of its queue and state.
pub async fn runs(cluster: &Cluster, release: &ReleaseName) -> Vec<(String, String)> {
    let jobs = cluster.runs(release).await.unwrap_or_default();
    let described = jobs.into_iter().rev().map(|job| {
        let state = if job.end.is_some() { "ended" } else { "running" };
        (job.run, format!("queue {}, {state}", job.queue))
    });
    described.collect()
}

/// The most failed items to offer: more would not fit on a terminal.
const MAX_FAILED_ITEMS: usize = 200;

/// The ids of failed items of a queue, each with its reason.
pub async fn failed_items(
    cluster: &Cluster,
    release: &ReleaseName,
    queue: &QueueName,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let Ok(connection) = BrokerConnection::open(cluster, release, "kubectl-workqueue completion").await
    else {
        return found;
    };
    let reading = failed::read(&connection, queue, |message| {
        found.push((message.id, message.history.reason));
        found.len() < MAX_FAILED_ITEMS
    });
    // What was found before an error is still useful.
    reading.await.ok();
    connection.close().await;
    found
}
