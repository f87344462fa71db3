//! Names in a cluster, for shell completion and for what somebody may have meant: quick, and silent about
//! errors.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::failed;
use crate::queue::connection::{BrokerConnection, BrokerTarget};
use workqueue_amqp as broker;
use workqueue_core::names::{QueueName, ReleaseName};

/// How long the broker may take to list its queues: while somebody waits for the answer to Tab, and after
/// an error. Without an answer, only those of the runs are known.
pub const SOON: Duration = Duration::from_millis(1800);
const AFTER_AN_ERROR: Duration = Duration::from_secs(8);

/// The queues of a release: those of its runs, and those that its broker lists within a time.
pub async fn queues(cluster: &Cluster, release: &ReleaseName, within: Duration) -> BTreeSet<String> {
    let from_broker = async {
        let pod = cluster.broker_pod(release).await.ok()?.pod;
        cluster.broker_queues(&pod).await.ok()
    };
    let (jobs, listed) = tokio::join!(cluster.runs(release), tokio::time::timeout(within, from_broker));
    let from_runs = jobs.unwrap_or_default().into_iter().map(|job| job.queue);
    let listed = listed.ok().flatten().unwrap_or_default();
    from_runs
        .chain(listed.into_iter().map(|queue| queue.name))
        .filter(|queue| !queue.is_empty() && !QueueName::is_bookkeeping(queue))
        .collect()
}

/// An error as it is; about a queue that does not exist, with the names of those that do.
pub async fn with_queues(target: &BrokerTarget, error: Error) -> Error {
    let Error::Broker(broker::Error::NoQueue(queue)) = error else { return error };
    let found = match target {
        BrokerTarget::Release(cluster, release) => queues(cluster, release, AFTER_AN_ERROR).await,
        BrokerTarget::Direct(_) => BTreeSet::new(),
    };
    let belongs_to_other = |name: &String| {
        let kinds = [".failed", ".results"];
        kinds.iter().any(|kind| name.strip_suffix(kind).is_some_and(|queue| found.contains(queue)))
    };
    let known = found.iter().filter(|name| !belongs_to_other(name)).cloned().collect();
    Error::NoQueue { queue, known }
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
