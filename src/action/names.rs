//! Names in a cluster, for completion: quick, and silent about what cannot be had.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::names::ReleaseName;

/// How long the broker may take to list its queues; those of the runs are there sooner.
const BROKER_TIMEOUT: Duration = Duration::from_millis(1800);

/// The queues of a release: those of its runs, and those that its broker lists.
pub async fn queues(cluster: &Cluster, release: &ReleaseName) -> BTreeSet<String> {
    let of_broker = async {
        let pod = cluster.broker_pod(release).await.ok()?.pod;
        cluster.broker_queues(&pod).await.ok()
    };
    let (jobs, listed) = tokio::join!(cluster.jobs(release), tokio::time::timeout(BROKER_TIMEOUT, of_broker));
    let of_runs = jobs.unwrap_or_default().into_iter().map(|job| job.queue);
    let listed = listed.ok().flatten().unwrap_or_default();
    of_runs.chain(listed.into_iter().map(|(queue, _)| queue)).filter(|queue| !queue.is_empty()).collect()
}

/// The runs of a release, each with its queue and state in a few words.
pub async fn runs(cluster: &Cluster, release: &ReleaseName) -> Vec<(String, String)> {
    let jobs = cluster.jobs(release).await.unwrap_or_default();
    let described = jobs.into_iter().rev().map(|job| {
        let state = if job.end.is_some() { "ended" } else { "running" };
        (job.run, format!("queue {}, {state}", job.queue))
    });
    described.collect()
}
