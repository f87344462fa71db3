//! Deletes runs: their Jobs, and their ledgers on the broker.

use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::notice::{Deadline, Observer};
use crate::queue::connection::BrokerConnection;
use crate::run::books::close_alone;
use crate::run::find::find_run;
use crate::run::stop::until_pods_ended;
use workqueue_amqp as broker;
use workqueue_amqp::{Broker, ledger, topology};
use workqueue_core::ledger::{Book, BookEntry, BookRun, ItemSet};
use workqueue_core::names::{QueueName, ReleaseName};

/// A run that can be deleted.
#[derive(Debug)]
pub struct Deletable {
    pub run: String,
    /// Its queue.
    pub queue: QueueName,
    /// Its Jobs; `None` if they were deleted before.
    pub job: Option<JobState>,
    /// The run in the book of the queue; `None` if it has no ledger.
    pub entry: Option<BookRun>,
}

/// Finds a run, by its Jobs or in the book of `queue`.
///
/// # Errors
/// [`Error::NoRun`]; those of the cluster and the broker.
pub async fn find(
    cluster: &Cluster,
    release: &ReleaseName,
    queue: &QueueName,
    run: &str,
) -> Result<Deletable, Error> {
    let (job, mut known) = match find_run(cluster, release, run).await {
        Err(Error::NoRun { known, .. }) => (None, known),
        found => (Some(found?), Vec::new()),
    };
    let run = job.as_ref().map_or(run, |job| &job.run).to_owned();
    let queue = job.as_ref().and_then(|job| job.queue.parse().ok()).unwrap_or_else(|| queue.clone());
    let look = async |connection: &BrokerConnection| {
        ledger::look(&connection.broker, &queue).await.map_err(|error| connection.explain(error))
    };
    let book = BrokerConnection::query(cluster, release, "kubectl-workqueue delete", look).await?;
    let entry = book.as_ref().and_then(|book| book.run(&run).cloned());
    if job.is_none() && entry.is_none() {
        let in_book = book.iter().flat_map(|book| &book.runs).map(|run| (run.run.clone(), queue.to_string()));
        let gone: Vec<_> = in_book.filter(|run| !known.contains(run)).collect();
        known.splice(0..0, gone);
        return Err(Error::NoRun { name: Some(run), known });
    }
    Ok(Deletable { run, queue, job, entry })
}

/// Deletes a run. Its pods requeue their items first.
///
/// # Errors
/// [`Error::Deadline`] while pods are left; those of the cluster and the broker.
pub async fn delete(
    cluster: &Cluster,
    release: &ReleaseName,
    found: &Deletable,
    deadline: Deadline,
    observer: &dyn Observer,
) -> Result<(), Error> {
    if let Some(job) = &found.job {
        for name in job.names() {
            cluster.delete_job(name).await?;
        }
        until_pods_ended(cluster, job, deadline, observer).await?;
    }
    let Some(entry) = &found.entry else { return Ok(()) };
    let connection = BrokerConnection::open(cluster, release, "kubectl-workqueue delete").await?;
    let deleting = async {
        if entry.closed.is_none() {
            close_alone(&connection.broker, &found.queue, entry, &ItemSet::default(), observer).await?;
        }
        delete_ledger(&connection.broker, &found.queue, &found.run).await
    };
    let deleted = deleting.await.map_err(|error| connection.explain(error));
    connection.close().await;
    deleted
}

/// Deletes the oldest closed runs of a queue but for `kept`.
///
/// # Errors
/// Those of the cluster and the broker.
pub(super) async fn prune(
    cluster: &Cluster,
    release: &ReleaseName,
    connection: &BrokerConnection,
    queue: &QueueName,
    kept: usize,
) -> Result<(), Error> {
    let explain = |error| connection.explain(error);
    let book = ledger::look(&connection.broker, queue).await.map_err(explain)?.unwrap_or_default();
    for run in obsolete(&book, kept) {
        match find_run(cluster, release, run).await {
            Err(Error::NoRun { .. }) => {}
            job => {
                for name in job?.names() {
                    cluster.delete_job(name).await?;
                }
            }
        }
        delete_ledger(&connection.broker, queue, run).await.map_err(explain)?;
    }
    Ok(())
}

fn obsolete(book: &Book, kept: usize) -> Vec<&str> {
    let closed: Vec<&str> =
        book.runs.iter().filter(|run| run.closed.is_some()).map(|run| run.run.as_str()).collect();
    let number = closed.len().saturating_sub(kept);
    closed.into_iter().take(number).collect()
}

/// Deletes what the broker holds of a run, and the run in the book.
pub(super) async fn delete_ledger(
    broker: &Broker,
    queue: &QueueName,
    run: &str,
) -> Result<(), broker::Error> {
    topology::delete(broker, &queue.outcomes(run)).await?;
    topology::delete(broker, &queue.run_ledger(run)).await?;
    topology::delete(broker, &queue.outputs(run)).await?;
    topology::delete(broker, &queue.input(run)).await?;
    ledger::append(broker, queue, &[BookEntry::Deleted(run.to_owned())]).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use workqueue_core::ledger::ClosedRun;

    #[test]
    fn only_the_oldest_closed_runs_are_obsolete() {
        let mut book = Book::default();
        for run in ["r1", "r2", "r3", "r4"] {
            let (run, time) = (run.to_owned(), Timestamp::UNIX_EPOCH);
            book.take(BookEntry::Opened { run: run.clone(), time, items: 1, gone: 0, ledger: true });
            if run != "r2" {
                let closed = ClosedRun {
                    time,
                    missing: ItemSet::default(),
                    done: 1,
                    failed: 0,
                    dead_lettered: 0,
                    left: 0,
                    by_items: true,
                    bytes: 1,
                };
                book.take(BookEntry::Closed { run, settled: ItemSet::default(), closed });
            }
        }
        assert_eq!(obsolete(&book, 1), ["r1", "r3"]);
        assert!(obsolete(&book, 3).is_empty());
    }
}
