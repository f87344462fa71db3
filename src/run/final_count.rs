//! Counts what a run has left in its queues and what it has recorded as done.
//!
//! A completed Job does not mean that all items are done: a tool such as `amqp-consume` may exit
//! with 0 although its program failed, and others may have taken items from the queue.

use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::notice::RunCounts;
use crate::queue::connection::BrokerConnection;
use crate::results::progress::{RunProgress, progress};
use crate::run::queue_watch;
use workqueue_amqp::result_stream;
use workqueue_core::names::{QueueName, ReleaseName};

/// How long to wait for a broker that is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the whole count may take.
const TIMEOUT: Duration = Duration::from_secs(75);

/// How long reading the run's records may take.
const RECORDS_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct FinalCount {
    pub counts: RunCounts,
    /// Items recorded as done; `None` if the workers keep no records, or if there was no time to
    /// read them all.
    pub recorded: Option<u64>,
}

/// Counts at the end of a run; `None` if the broker does not answer in time.
pub(crate) async fn final_count(
    cluster: &Cluster,
    release: &ReleaseName,
    job: &JobState,
) -> Option<FinalCount> {
    tokio::time::timeout(TIMEOUT, count(cluster, release, job)).await.ok()?.ok()
}

async fn count(cluster: &Cluster, release: &ReleaseName, job: &JobState) -> Result<FinalCount, Error> {
    let deadline = Some(Instant::now() + CONNECT_TIMEOUT);
    let connection =
        BrokerConnection::open_when_ready(cluster, release, "kubectl-workqueue run", deadline).await?;
    let counts = queue_watch::count(&connection, job).await?;
    let recorded = recorded(&connection, job).await;
    connection.close().await;
    Ok(FinalCount { counts, recorded })
}

async fn recorded(connection: &BrokerConnection, job: &JobState) -> Option<u64> {
    let queue: QueueName = job.queue.parse().ok()?;
    let created = job.created.as_ref().and_then(|created| created.parse().ok());
    match progress(connection, &queue, created, RECORDS_TIMEOUT).await.ok()?.remove(&job.run) {
        Some(RunProgress { done, partial, .. }) => (!partial).then_some(done),
        // In coarse mode the pods may run the image's own command, which keeps no records.
        None if job.is_coarse() => None,
        None => result_stream::end(&connection.broker, &queue).await.ok()?.map(|_| 0),
    }
}
