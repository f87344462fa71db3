//! The state of a release: its broker, its queues, its runs.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::queue::connection::BrokerConnection;
use crate::results::progress::{RunProgress, progress};
use workqueue_amqp::ledger::{self, Pages};
use workqueue_amqp::topology::{self, Depth};
use workqueue_core::names::{QueueName, ReleaseName};

/// Records of this time are enough for a rate.
const RECENTLY: SignedDuration = SignedDuration::from_secs(120);

/// How long reading the records of one queue may take.
const RECORDS_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct StatusReport {
    /// The broker's pod.
    pub broker: String,
    /// The requested queue, those of the runs, and their queues of failed items, as far as they exist.
    pub queues: Vec<(QueueName, Depth)>,
    /// The runs, oldest first.
    pub runs: Vec<RunStatus>,
    /// The runs in the books of the queues, those whose Jobs are gone among them.
    pub ledgers: Vec<LedgerStatus>,
}

/// A run in the book of its queue.
#[derive(Debug)]
pub struct LedgerStatus {
    pub queue: QueueName,
    pub run: String,
    pub opened: Timestamp,
    /// Whether it has been judged.
    pub closed: bool,
    /// The size of its ledger in bytes; 0 without one.
    pub bytes: u64,
}

#[derive(Debug)]
pub struct RunStatus {
    pub job: JobState,
    /// From its ledger or else from its records; `None` if there are none.
    pub progress: Option<RunProgress>,
    /// Items of the run that the broker itself dead-lettered: those in the queue of failed items of
    /// which no worker has a record.
    pub given_up: u64,
    /// Items waiting in its queue; `None` once the run has ended.
    pub left: Option<u64>,
    /// Items that workers hold, as reported by the broker's tool some seconds late; `None` once the
    /// run has ended, or if the tool cannot be run.
    pub held: Option<u64>,
}

impl RunStatus {
    /// The estimated time until the run ends.
    pub fn time_left(&self) -> Option<Duration> {
        self.progress.as_ref()?.time_for(self.left? + self.held.unwrap_or(0))
    }
}

/// Gathers the state of a release and of all runs that it knows.
///
/// # Errors
/// A broker that is missing or not ready; what the cluster or the broker refuse.
pub async fn status(
    cluster: &Cluster,
    release: &ReleaseName,
    queue: &QueueName,
) -> Result<StatusReport, Error> {
    let jobs = cluster.runs(release).await?;
    let mut names = vec![queue.clone()];
    names.extend(jobs.iter().filter_map(|job| job.queue.parse().ok()));
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    let query = async |connection: &BrokerConnection| query(cluster, connection, &names, &jobs).await;
    let BrokerState { broker, queues, progress, ledgers, held } =
        BrokerConnection::query(cluster, release, "kubectl-workqueue status", query).await?;
    let left = |job: &JobState| {
        let depth = queues.iter().find(|(name, _)| name.as_str() == job.queue);
        depth.filter(|_| job.end.is_none()).map(|(_, depth)| depth.ready.into())
    };
    let failed_now = |queue: &str| {
        let name = queue.parse::<QueueName>().ok()?.failed();
        queues.iter().find(|(other, _)| *other == name).map(|(_, depth)| depth.ready)
    };
    let recorded = |job: &JobState| progress.get(&job.run).map_or(0, |progress| progress.failed);
    let given_up: Vec<u64> = (0..jobs.len()).map(|at| given_up(&jobs[at..], failed_now, recorded)).collect();
    let runs = jobs.into_iter().zip(given_up).map(|(job, given_up)| RunStatus {
        progress: progress.get(&job.run).cloned(),
        given_up,
        left: left(&job),
        held: held.get(&job.queue).copied().filter(|_| job.end.is_none()),
        job,
    });
    let runs = runs.collect();
    Ok(StatusReport { broker, queues, runs, ledgers })
}

struct BrokerState {
    /// The broker's pod.
    broker: String,
    queues: Vec<(QueueName, Depth)>,
    /// By run.
    progress: HashMap<String, RunProgress>,
    ledgers: Vec<LedgerStatus>,
    /// By queue.
    held: HashMap<String, u64>,
}

async fn query(
    cluster: &Cluster,
    connection: &BrokerConnection,
    names: &[QueueName],
    jobs: &[JobState],
) -> Result<BrokerState, Error> {
    let mut queues = Vec::new();
    for name in names.iter().flat_map(|name| [name.clone(), name.failed()]) {
        let depth = topology::depth(&connection.broker, &name).await;
        if let Some(depth) = depth.map_err(|error| connection.explain(error))? {
            queues.push((name, depth));
        }
    }
    // The broker's tool takes long to start: what can be read meanwhile is.
    let (progress, held, found) = tokio::join!(
        progress_of_runs(connection, names, jobs),
        held(cluster, connection, jobs),
        ledgers_of(connection, names)
    );
    let (mut progress, mut ledgers) = (progress?, Vec::new());
    for found in found? {
        if let Some((done, failed)) = found.outcomes {
            let progress = progress.entry(found.status.run.clone()).or_default();
            (progress.done, progress.failed, progress.partial) = (done, failed, false);
        }
        ledgers.push(found.status);
    }
    Ok(BrokerState { broker: connection.pod().to_owned(), queues, progress, ledgers, held })
}

/// A run in the book of its queue, and how many of its items are done and have failed.
struct FoundLedger {
    status: LedgerStatus,
    outcomes: Option<(u64, u64)>,
}

/// The runs in the books of the queues.
async fn ledgers_of(connection: &BrokerConnection, queues: &[QueueName]) -> Result<Vec<FoundLedger>, Error> {
    let mut found = Vec::new();
    for queue in queues {
        found.extend(ledgers_of_queue(connection, queue).await?);
    }
    Ok(found)
}

/// The runs in the book of a queue. Only the ledgers of those that nobody has closed are read.
async fn ledgers_of_queue(
    connection: &BrokerConnection,
    queue: &QueueName,
) -> Result<Vec<FoundLedger>, Error> {
    let explain = |error| connection.explain(error);
    let book = ledger::look(&connection.broker, queue).await.map_err(explain)?.unwrap_or_default();
    let mut found = Vec::new();
    for run in book.runs {
        let (mut outcomes, mut bytes) = (None, 0);
        if let Some(closed) = &run.closed {
            (outcomes, bytes) = (Some((closed.done, closed.failed - closed.dead_lettered)), closed.bytes);
        } else if run.ledger {
            let pages = ledger::read_pages(&connection.broker, queue, &run.run).await.map_err(explain)?;
            let Pages { sum, bytes: read, .. } = pages.unwrap_or_default();
            let failed = sum.only_failed().len() + sum.foreign_failed;
            (outcomes, bytes) = (Some((sum.done.len() + sum.foreign_done, failed)), read);
        }
        let (closed, opened) = (run.closed.is_some(), run.opened);
        let status = LedgerStatus { queue: queue.clone(), run: run.run, opened, closed, bytes };
        found.push(FoundLedger { status, outcomes });
    }
    Ok(found)
}

/// Items that failed during the first of these runs (before the next one on its queue) and of which no
/// worker has a record. Items that were retried or purged since then are missing from the number.
fn given_up(
    runs: &[JobState],
    failed_now: impl Fn(&str) -> Option<u32>,
    recorded: impl Fn(&JobState) -> u64,
) -> u64 {
    let Some((run, later)) = runs.split_first() else { return 0 };
    let next = later.iter().find(|other| other.queue == run.queue);
    let after = next.map_or_else(|| failed_now(&run.queue).unwrap_or(0), |next| next.failed_before);
    u64::from(after.saturating_sub(run.failed_before)).saturating_sub(recorded(run))
}

/// Counts the records of the runs, by run. Reads each queue's records from the start of its oldest run;
/// where there is a ledger, only the latest ones, for the rate.
async fn progress_of_runs(
    connection: &BrokerConnection,
    queues: &[QueueName],
    jobs: &[JobState],
) -> Result<HashMap<String, RunProgress>, Error> {
    let mut runs = HashMap::new();
    for queue in queues {
        let of_queue = jobs.iter().filter(|job| job.queue == queue.as_str());
        let recently = Timestamp::now() - RECENTLY;
        let since = |job: &JobState| {
            let created = job.created.as_ref()?.parse::<Timestamp>().ok();
            if job.ledger { created.max(Some(recently)) } else { created }
        };
        // None is the least and means all records.
        if let Some(since) = of_queue.map(since).min() {
            runs.extend(progress(connection, queue, since, RECORDS_TIMEOUT).await?);
        }
    }
    Ok(runs)
}

/// Items that workers hold, by queue. AMQP does not tell; the broker's tool does, if the user is
/// allowed to run it.
async fn held(cluster: &Cluster, connection: &BrokerConnection, jobs: &[JobState]) -> HashMap<String, u64> {
    if jobs.iter().all(|job| job.end.is_some()) {
        return HashMap::new();
    }
    let listed = cluster.broker_queues(connection.pod()).await.unwrap_or_default();
    listed.into_iter().map(|queue| (queue.name, queue.unacked)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_items_without_a_record_were_dead_lettered_by_the_broker() {
        let run = |queue: &str, failed_before: u32| JobState {
            queue: queue.to_owned(),
            failed_before,
            ..JobState::default()
        };
        let runs = [run("a", 2), run("b", 0), run("a", 7)];
        let failed_now = |queue: &str| (queue == "a").then_some(8);
        let counts = |recorded: u64| -> Vec<u64> {
            (0..runs.len()).map(|at| given_up(&runs[at..], failed_now, |_| recorded)).collect()
        };
        assert_eq!(counts(0), [5, 0, 1]);
        assert_eq!(counts(4), [1, 0, 0]);
    }
}
