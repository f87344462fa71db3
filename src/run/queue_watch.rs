//! Counts the items of a run while it goes on: those that wait and that have failed in its queues, and
//! those that are done in its ledger.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::notice::RunCounts;
use crate::queue::connection::BrokerConnection;
use workqueue_amqp as broker;
use workqueue_amqp::{ledger, outputs, topology};
use workqueue_core::names::{QueueName, ReleaseName};

/// Time between two counts. Counting is cheap for the broker and delivers no messages.
const COUNT_EVERY: Duration = Duration::from_secs(2);

/// Time between two looks into the ledger, from its newest sum on.
const READ_EVERY: Duration = Duration::from_secs(5);

/// How long a look into it may take.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The connection's name in the broker's own tools.
const PURPOSE: &str = "kubectl-workqueue run";

/// How long no output has to come or go before the broker is asked whether it takes more.
const IDLE: Duration = Duration::from_secs(10);

/// Pause after an answer that it does: asking leaves an empty message there.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// Counts once.
///
/// # Errors
/// [`Error::NoRun`] for a Job without a valid queue name; what the broker refuses.
pub async fn count(connection: &BrokerConnection, job: &JobState) -> Result<RunCounts, Error> {
    let Ok(queue) = job.queue.parse::<QueueName>() else { return Err(Error::no_run(&job.run)) };
    let ready = |queue: QueueName| async move {
        let depth = topology::depth(&connection.broker, &queue).await;
        Ok::<_, Error>(depth.map_err(|error| connection.explain(error))?.unwrap_or_default().ready)
    };
    let (failed, waiting) = (ready(queue.failed()).await?, ready(queue).await?);
    Ok(RunCounts {
        waiting,
        failed: failed.saturating_sub(job.failed_before),
        done: None,
        outputs_full: false,
    })
}

/// Finds out whether the broker takes no more outputs of a run. No count tells, so the broker is asked with
/// a message, if for some time nothing has come or gone.
#[derive(Debug, Default)]
struct OutputsWatch {
    /// Messages at the last count, and since when.
    messages: Option<(u32, Instant)>,
    /// When the broker last took the message that asked.
    had_room: Option<Instant>,
    full: bool,
}

impl OutputsWatch {
    async fn are_full(&mut self, connection: &BrokerConnection, job: &JobState) -> Result<bool, Error> {
        let Ok(queue) = job.queue.parse::<QueueName>() else { return Ok(false) };
        let (broker, failed) = (&connection.broker, |error| connection.explain(error));
        let depth = topology::reported_depth(broker, &queue.outputs(&job.run)).await.map_err(failed)?;
        let messages = depth.unwrap_or_default().ready;
        let now = Instant::now();
        let since = self.messages.filter(|(before, _)| *before == messages).map_or(now, |(_, since)| since);
        self.messages = Some((messages, since));
        let is_idle = messages > 0 && since.elapsed() >= IDLE;
        let asked_lately = self.had_room.is_some_and(|asked| asked.elapsed() < ASK_EVERY);
        if !is_idle || asked_lately {
            self.full &= is_idle;
            return Ok(self.full);
        }
        self.full = match outputs::are_full(broker, &queue, &job.run).await {
            Err(broker::Error::NoQueue(_)) => false,
            answer => answer.map_err(failed)?,
        };
        if !self.full {
            self.had_room = Some(now);
        }
        Ok(self.full)
    }
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
    let mut connection = BrokerConnection::open(cluster, release, PURPOSE).await?;
    let (mut done, mut read_at) = (None, None::<Instant>);
    let mut outputs = OutputsWatch::default();
    loop {
        let mut counts = count(&connection, job).await?;
        counts.outputs_full = job.outputs && outputs.are_full(&connection, job).await?;
        // Without a receiver this task is about to be aborted.
        counts_tx.send(QueueCount::Counted(RunCounts { done, ..counts })).await.ok();
        if job.ledger && read_at.is_none_or(|at| at.elapsed() >= READ_EVERY) {
            match tokio::time::timeout(READ_TIMEOUT, done_items(&connection, job)).await {
                Ok(Ok(items)) => done = items.or(done),
                // A stream that starts breaks the connection: the ledger says more later.
                _ => connection = BrokerConnection::open(cluster, release, PURPOSE).await?,
            }
            read_at = Some(Instant::now());
        }
        tokio::time::sleep(COUNT_EVERY).await;
    }
}

/// Items that are done, as the ledger of the run says; `None` if it says nothing yet.
async fn done_items(connection: &BrokerConnection, job: &JobState) -> Result<Option<u64>, Error> {
    let Ok(queue) = job.queue.parse::<QueueName>() else { return Ok(None) };
    let pages = ledger::read_pages(&connection.broker, &queue, &job.run).await;
    let pages = pages.map_err(|error| connection.explain(error))?;
    Ok(Some(pages.map_or(0, |pages| pages.sum.done.len() + pages.sum.foreign_done)))
}
