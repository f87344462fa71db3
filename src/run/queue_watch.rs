//! Watches how a run's queue empties, beside the Job: draining pods do not tell how many items
//! are done.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::notice::RunCounts;
use crate::queue::connection::BrokerConnection;
use workqueue_amqp::topology;
use workqueue_core::names::{QueueName, ReleaseName};

/// Time between two looks. Counting is cheap for the broker, and a look is no delivery.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Counts once.
///
/// # Errors
/// No broker, and what it refuses.
pub async fn count(session: &BrokerConnection, job: &JobState) -> Result<RunCounts, Error> {
    let Ok(queue) = job.queue.parse::<QueueName>() else { return Err(Error::NoRun(Some(job.run.clone()))) };
    let depth = |queue: QueueName| async move {
        let depth = topology::depth(&session.broker, &queue).await;
        Ok::<_, Error>(depth.map_err(|error| session.explain(error))?.unwrap_or_default().ready)
    };
    let (failed, waiting) = (depth(queue.failed()).await?, depth(queue).await?);
    Ok(RunCounts { waiting, failed: failed.saturating_sub(job.failed_before) })
}

/// What came of a look.
#[derive(Debug)]
pub enum Look {
    /// What there was.
    Counts(RunCounts),
    /// The broker could not be asked, and why.
    Away(String),
}

/// Counts again and again, over one connection as long as it holds. Dropping it ends it.
pub struct QueueWatch {
    looks_rx: mpsc::Receiver<Look>,
    task: JoinHandle<()>,
}

impl QueueWatch {
    /// Starts to count.
    pub fn start(cluster: &Cluster, release: &ReleaseName, job: &JobState) -> Self {
        let (looks_tx, looks_rx) = mpsc::channel(1);
        let (cluster, release, job) = (cluster.clone(), release.clone(), job.clone());
        let task = tokio::spawn(async move {
            loop {
                // A broker that is away comes back, or the run ends without these numbers.
                if let Err(error) = look(&cluster, &release, &job, &looks_tx).await {
                    looks_tx.send(Look::Away(error.to_string())).await.ok();
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Self { looks_rx, task }
    }

    /// The next look. Safe to cancel.
    pub async fn next(&mut self) -> Option<Look> {
        self.looks_rx.recv().await
    }
}

impl Drop for QueueWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(
    cluster: &Cluster,
    release: &ReleaseName,
    job: &JobState,
    looks_tx: &mpsc::Sender<Look>,
) -> Result<(), Error> {
    let session = BrokerConnection::open(cluster, release, "kubectl-workqueue run").await?;
    loop {
        // Nobody listens any more: the task is about to be ended.
        looks_tx.send(Look::Counts(count(&session, job).await?)).await.ok();
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
