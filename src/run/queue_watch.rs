//! Counts the items of a run's queue while the run goes on: in fine mode the Job's state does not
//! show how many items are done.

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

/// Time between two counts. Counting is cheap for the broker and delivers no messages.
const COUNT_EVERY: Duration = Duration::from_secs(2);

/// Counts once.
///
/// # Errors
/// [`Error::NoRun`] for a Job without a valid queue name; what the broker refuses.
pub async fn count(connection: &BrokerConnection, job: &JobState) -> Result<RunCounts, Error> {
    let Ok(queue) = job.queue.parse::<QueueName>() else { return Err(Error::NoRun(Some(job.run.clone()))) };
    let ready = |queue: QueueName| async move {
        let depth = topology::depth(&connection.broker, &queue).await;
        Ok::<_, Error>(depth.map_err(|error| connection.explain(error))?.unwrap_or_default().ready)
    };
    let (failed, waiting) = (ready(queue.failed()).await?, ready(queue).await?);
    Ok(RunCounts { waiting, failed: failed.saturating_sub(job.failed_before) })
}

/// The outcome of one count.
#[derive(Debug)]
pub enum QueueCount {
    Counted(RunCounts),
    /// The broker could not be reached; holds the reason.
    Away(String),
}

/// Counts repeatedly, over one connection as long as it lasts. Dropping it ends the counting.
pub struct QueueWatch {
    counts_rx: mpsc::Receiver<QueueCount>,
    task: JoinHandle<()>,
}

impl QueueWatch {
    pub fn start(cluster: &Cluster, release: &ReleaseName, job: &JobState) -> Self {
        let (counts_tx, counts_rx) = mpsc::channel(1);
        let (cluster, release, job) = (cluster.clone(), release.clone(), job.clone());
        let task = tokio::spawn(async move {
            loop {
                // Either the broker comes back, or the run ends without these numbers.
                if let Err(error) = count_repeatedly(&cluster, &release, &job, &counts_tx).await {
                    counts_tx.send(QueueCount::Away(error.to_string())).await.ok();
                }
                tokio::time::sleep(COUNT_EVERY).await;
            }
        });
        Self { counts_rx, task }
    }

    /// The next count. Safe to cancel.
    pub async fn next(&mut self) -> Option<QueueCount> {
        self.counts_rx.recv().await
    }
}

impl Drop for QueueWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts over one connection until it fails.
async fn count_repeatedly(
    cluster: &Cluster,
    release: &ReleaseName,
    job: &JobState,
    counts_tx: &mpsc::Sender<QueueCount>,
) -> Result<(), Error> {
    let connection = BrokerConnection::open(cluster, release, "kubectl-workqueue run").await?;
    loop {
        let counts = count(&connection, job).await?;
        // Without a receiver this task is about to be aborted.
        counts_tx.send(QueueCount::Counted(counts)).await.ok();
        tokio::time::sleep(COUNT_EVERY).await;
    }
}
