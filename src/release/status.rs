//! The state of a release: its broker, its queue, its runs.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::queue::connection::BrokerConnection;
use crate::results::progress::{RunProgress, progress};
use workqueue_amqp::topology::{self, Depth};
use workqueue_core::names::{QueueName, ReleaseName};

/// How long the records of one queue may be read.
const READING_TIMEOUT: Duration = Duration::from_secs(5);

/// What `status` shows.
#[derive(Debug)]
pub struct StatusReport {
    /// The broker's pod.
    pub broker: String,
    /// The queues that were asked for and exist, with their depths.
    pub queues: Vec<(QueueName, Depth)>,
    /// The runs, oldest first.
    pub runs: Vec<RunStatus>,
}

/// A run as `status` shows it.
#[derive(Debug)]
pub struct RunStatus {
    /// Its Job.
    pub job: JobState,
    /// What its workers have recorded, if they record.
    pub progress: Option<RunProgress>,
    /// Items of it that the broker itself gave up, as far as the queue of failed items tells: those
    /// there that no worker has recorded.
    pub given_up: u64,
    /// Items that wait in its queue; `None` once it is over.
    pub left: Option<u64>,
    /// Items that workers hold, as the broker's tool says, some seconds late; `None` if it is over,
    /// or the tool cannot be asked.
    pub held: Option<u64>,
}

impl RunStatus {
    /// How long it will take from now.
    pub fn time_left(&self) -> Option<Duration> {
        self.progress.as_ref()?.time_for(self.left? + self.held.unwrap_or(0))
    }
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
    let jobs = cluster.runs(release).await?;
    let mut names = vec![queue.clone()];
    names.extend(jobs.iter().filter_map(|job| job.queue.parse().ok()));
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    let look = async |session: &BrokerConnection| look(cluster, session, &names, &jobs).await;
    let Seen { broker, queues, counted, held } =
        BrokerConnection::ask(cluster, release, "kubectl-workqueue status", look).await?;
    let left = |job: &JobState| {
        let depth = queues.iter().find(|(name, _)| name.as_str() == job.queue);
        depth.filter(|_| job.end.is_none()).map(|(_, depth)| depth.ready.into())
    };
    let failed_now = |queue: &str| {
        let name = queue.parse::<QueueName>().ok()?.failed();
        queues.iter().find(|(other, _)| *other == name).map(|(_, depth)| depth.ready)
    };
    let recorded = |job: &JobState| counted.get(&job.run).map_or(0, |progress| progress.failed);
    let given_up: Vec<u64> = (0..jobs.len()).map(|at| given_up(&jobs[at..], failed_now, recorded)).collect();
    let runs = jobs.into_iter().zip(given_up).map(|(job, given_up)| RunStatus {
        progress: counted.get(&job.run).cloned(),
        given_up,
        left: left(&job),
        held: held.get(&job.queue).copied().filter(|_| job.end.is_none()),
        job,
    });
    let runs = runs.collect();
    Ok(StatusReport { broker, queues, runs })
}

/// What the broker tells.
struct Seen {
    broker: String,
    queues: Vec<(QueueName, Depth)>,
    /// By run.
    counted: HashMap<String, RunProgress>,
    /// By queue.
    held: HashMap<String, u64>,
}

async fn look(
    cluster: &Cluster,
    session: &BrokerConnection,
    names: &[QueueName],
    jobs: &[JobState],
) -> Result<Seen, Error> {
    let mut queues = Vec::new();
    for name in names.iter().flat_map(|name| [name.clone(), name.failed()]) {
        let depth = topology::depth(&session.broker, &name).await;
        if let Some(depth) = depth.map_err(|error| session.explain(error))? {
            queues.push((name, depth));
        }
    }
    let (counted, held) = tokio::join!(count(session, names, jobs), held(cluster, session, jobs));
    Ok(Seen { broker: session.pod().to_owned(), queues, counted: counted?, held })
}

/// Failed items that came with the first of these runs (up to the next one on its queue) and that no
/// worker has recorded. Items that were retried or purged meanwhile are missing in it.
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

/// RunCounts the records of the runs, from the start of a queue's oldest one on.
async fn count(
    session: &BrokerConnection,
    queues: &[QueueName],
    jobs: &[JobState],
) -> Result<HashMap<String, RunProgress>, Error> {
    let mut counted = HashMap::new();
    for queue in queues {
        let of_queue = jobs.iter().filter(|job| job.queue == queue.as_str());
        let mut created: Vec<Option<Timestamp>> =
            of_queue.map(|job| job.created.as_ref()?.parse().ok()).collect();
        // None comes first, and means all records.
        created.sort();
        if let Some(&since) = created.first() {
            counted.extend(progress(session, queue, since, READING_TIMEOUT).await?);
        }
    }
    Ok(counted)
}

/// Items that workers hold, by queue. AMQP does not tell; the broker's tool need not be allowed.
async fn held(cluster: &Cluster, session: &BrokerConnection, jobs: &[JobState]) -> HashMap<String, u64> {
    if jobs.iter().all(|job| job.end.is_some()) {
        return HashMap::new();
    }
    cluster.unacked_messages(session.pod()).await.unwrap_or_default().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_items_without_a_record_were_given_up_by_the_broker() {
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
