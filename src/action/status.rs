//! The state of a release: its broker, its queue, its runs.

use super::Error;
use super::session::Session;
use crate::broker::topology::{self, Depth};
use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::names::{QueueName, ReleaseName};

/// What `status` shows.
#[derive(Debug)]
pub struct StatusReport {
    /// The broker's pod.
    pub broker: String,
    /// The queues that were asked for and exist, with their depths.
    pub queues: Vec<(QueueName, Depth)>,
    /// The runs, oldest first.
    pub runs: Vec<JobState>,
}

/// Looks at a release.
///
/// # Errors
/// No broker, none ready, and what cluster and broker refuse.
pub async fn status(
    cluster: &Cluster,
    release: &ReleaseName,
    queue: &QueueName,
) -> Result<StatusReport, Error> {
    let runs = cluster.jobs(release).await?;
    let session = Session::open(cluster, release, "kubectl-workqueue status").await?;
    let mut names = vec![queue.clone()];
    names.extend(runs.iter().filter_map(|run| run.queue.parse().ok()));
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    let mut queues = Vec::new();
    for name in names {
        for name in [name.clone(), name.failed()] {
            let depth = topology::depth(&session.broker, &name).await;
            if let Some(depth) = depth.map_err(|error| session.explain(error))? {
                queues.push((name, depth));
            }
        }
    }
    let broker = session.pod().to_owned();
    session.close().await;
    Ok(StatusReport { broker, queues, runs })
}
