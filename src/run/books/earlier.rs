//! The other runs of a queue that nobody has closed: those that nobody attached to, and those at work.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::close::all_pages;
use super::closing;
use super::open::Own;
use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::notice::Observer;
use crate::queue::connection::BrokerConnection;
use workqueue_amqp as broker;
use workqueue_amqp::{Broker, ledger};
use workqueue_core::ledger::{Book, BookRun, ClosedRun, ItemSet};
use workqueue_core::names::{QueueName, ReleaseName};

/// How long a run may take from the opening of its books to its Job.
const OPENING: Duration = Duration::from_secs(120);

/// Closes the runs of a queue whose workers are gone. `own` are items that were enqueued since. Returns the
/// book.
///
/// # Errors
/// Those of the cluster and the broker.
pub(crate) async fn close_earlier(
    cluster: &Cluster,
    release: &ReleaseName,
    connection: &BrokerConnection,
    queue: &QueueName,
    own: Own<'_>,
    observer: &dyn Observer,
) -> Result<Book, Error> {
    let explain = |error| connection.explain(error);
    let broker = &connection.broker;
    let book = ledger::read_marked(broker, queue).await.map_err(explain)?.unwrap_or_default();
    if unclosed(&book).next().is_none() {
        return Ok(book);
    }
    let jobs = cluster.runs(release).await?;
    for run in unclosed(&book) {
        if is_over(cluster, &jobs, run).await? {
            let open = own.others(&book.open);
            close_alone(broker, queue, run, &open, observer).await.map_err(explain)?;
        }
    }
    Ok(ledger::read_marked(broker, queue).await.map_err(explain)?.unwrap_or_default())
}

/// Closes a run whose workers are gone, without judging it: of the items that are open, those that it has
/// not settled stay so.
///
/// # Errors
/// Lost connections, and refusals.
pub(crate) async fn close_alone(
    broker: &Broker,
    queue: &QueueName,
    run: &BookRun,
    open: &ItemSet,
    observer: &dyn Observer,
) -> Result<(), broker::Error> {
    let pages = if run.ledger { all_pages(broker, queue, &run.run, observer).await? } else { None };
    let pages = pages.unwrap_or_default();
    let settled = pages.sum.settled();
    let left = open.clone().without(&settled).len();
    let closed = ClosedRun { left, ..closing::as_ledger_tells(&pages) };
    closing::write(broker, queue, run, settled, closed).await
}

/// The items that other unclosed runs have done so far.
///
/// # Errors
/// Lost connections, and refusals.
pub(super) async fn done_elsewhere(
    broker: &Broker,
    queue: &QueueName,
    book: &Book,
    run: &str,
) -> Result<ItemSet, broker::Error> {
    let mut done = ItemSet::default();
    for other in unclosed(book).filter(|other| other.ledger && other.run != run) {
        if let Some(pages) = ledger::read_pages_marked(broker, queue, &other.run).await? {
            done.add(&pages.sum.done);
        }
    }
    Ok(done)
}

fn unclosed(book: &Book) -> impl Iterator<Item = &BookRun> {
    book.runs.iter().filter(|run| run.closed.is_none())
}

/// Whether no pod of a run can settle items any more. One without a Job may be about to get it.
async fn is_over(cluster: &Cluster, jobs: &[JobState], run: &BookRun) -> Result<bool, Error> {
    let job = jobs.iter().find(|job| job.run == run.run);
    let may_work = match job {
        Some(job) => job.end.is_none(),
        None => {
            Timestamp::now().duration_since(run.opened)
                < SignedDuration::try_from(OPENING).unwrap_or_default()
        }
    };
    if may_work {
        return Ok(false);
    }
    let named = JobState { run: run.run.clone(), ..JobState::default() };
    Ok(cluster.pods_left(job.unwrap_or(&named)).await? == 0)
}
