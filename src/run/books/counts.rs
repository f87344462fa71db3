//! Judges a run by counts, where there is no ledger.

use std::time::Duration;

use tokio::time::Instant;

use super::close::of_closed;
use super::closing;
use super::remains::failed_since;
use super::verdict::{Proof, Verdict};
use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::notice::{Notice, Observer, Wait};
use crate::queue::connection::BrokerConnection;
use crate::results::progress::{RunProgress, progress};
use workqueue_amqp as broker;
use workqueue_amqp::consumer::DEAD_AFTER;
use workqueue_amqp::ledger::{self, Pages};
use workqueue_amqp::topology::{self, Depth};
use workqueue_amqp::{Broker, result_stream};
use workqueue_core::ledger::{BookRun, ClosedRun, ItemSet};
use workqueue_core::names::QueueName;
use workqueue_core::words::{count, were};

/// How long a dead worker may count as a consumer, and hold outcomes: until the broker must have noticed.
pub(super) const WORKERS_GONE: Duration = Duration::from_secs(DEAD_AFTER.as_secs() + 15);

/// Time between two looks at the queue.
const PAUSE: Duration = Duration::from_millis(500);

/// How long the tool's count of held messages lags behind, at most.
const TOOL_LAG: Duration = Duration::from_secs(6);

/// How long reading the run's records may take.
const RECORDS_TIMEOUT: Duration = Duration::from_secs(5);

/// The depth of the queue of a run that has ended, once it has no consumers: until then somebody may
/// hold items. Workers that are dead count as consumers for a while. Gives up after that time.
///
/// # Errors
/// Those of the broker connection.
pub(super) async fn settle_down(
    connection: &BrokerConnection,
    queue: &QueueName,
    observer: &dyn Observer,
) -> Result<Depth, Error> {
    let started = Instant::now();
    loop {
        let depth = topology::depth(&connection.broker, queue).await;
        let depth = depth.map_err(|error| connection.explain(error))?.unwrap_or_default();
        if depth.consumers == 0 || started.elapsed() > WORKERS_GONE {
            return Ok(depth);
        }
        observer.on(Notice::Waiting(Wait::Consumers { queue, consumers: depth.consumers }));
        tokio::time::sleep(PAUSE).await;
    }
}

/// Judges a run without a ledger. Exact only once nobody holds items.
///
/// # Errors
/// Those of the broker connection.
pub(super) async fn judge_by_counts(
    cluster: &Cluster,
    connection: &BrokerConnection,
    queue: &QueueName,
    job: &JobState,
    observer: &dyn Observer,
) -> Result<Verdict, Error> {
    let explain = |error| connection.explain(error);
    let book = ledger::read_marked(&connection.broker, queue).await.map_err(explain)?;
    let run = book.as_ref().and_then(|book| book.run(&job.run));
    if let Some(run) = run
        && let Some(closed) = &run.closed
    {
        return Ok(of_closed(run, closed, None));
    }
    if !topology::exists(&connection.broker, queue).await.map_err(explain)? {
        return Ok(Verdict::unproven(format!("queue {queue} is gone")));
    }
    let depth = settle_down(connection, queue, observer).await?;
    let failed_depth = settle_down(connection, &queue.failed(), observer).await?;
    let failed = failed_since(connection, queue, job, run).await?;
    let (ready, purged) = (u64::from(depth.ready), run.map_or(0, |run| run.purged));
    let is_held = depth.ready == 0 && depth.consumers > 0 && !holds_nothing(cluster, connection, queue).await;
    let held_by = |queue: &QueueName, consumers| {
        format!("{} of queue {queue} may hold items", count(consumers, "consumer"))
    };
    let doubt = match (is_held, failed_depth.consumers, purged) {
        (true, ..) => Some(held_by(queue, depth.consumers)),
        (_, consumers @ 1.., _) => Some(held_by(&queue.failed(), consumers)),
        (.., 1..) => Some(format!("{} purged from queue {queue}", were(purged, "item"))),
        _ => None,
    };
    let recorded = recorded(connection, queue, job).await;
    let total = if job.is_coarse() { job.succeeded } else { job.items.unwrap_or(0) };
    let verdict = Verdict {
        proof: if doubt.is_some() { Proof::None } else { Proof::Counts },
        doubt,
        done: Some(recorded.unwrap_or_else(|| u64::from(total).saturating_sub(failed + ready))),
        failed,
        failed_ids: Vec::new(),
        ready: Some(ready),
        missing: 0,
        missing_ids: Vec::new(),
        purged,
        repeats: None,
        leftover: 0,
        cut: 0,
        cut_ids: Vec::new(),
    };
    if let (Some(book), Some(run)) = (&book, run)
        && verdict.proof == Proof::Counts
    {
        let closing = close(&connection.broker, queue, run, &book.open, &verdict);
        closing.await.map_err(explain)?;
    }
    Ok(verdict)
}

/// Closes the run in the book: what is open is done or has failed if the queue is empty. Otherwise
/// nobody knows which items it is.
async fn close(
    broker: &Broker,
    queue: &QueueName,
    run: &BookRun,
    open: &ItemSet,
    verdict: &Verdict,
) -> Result<(), broker::Error> {
    let closed = ClosedRun {
        done: verdict.done.unwrap_or(0),
        failed: verdict.failed,
        left: verdict.ready.unwrap_or(0),
        ..closing::as_ledger_tells(&Pages::default())
    };
    let settled = if closed.left == 0 { open.clone() } else { ItemSet::default() };
    closing::write(broker, queue, run, settled, closed).await
}

/// Whether the broker's tool says twice that consumers hold no message. It lags by seconds, and the
/// user may not be allowed to run it.
pub(super) async fn holds_nothing(
    cluster: &Cluster,
    connection: &BrokerConnection,
    queue: &QueueName,
) -> bool {
    for look in 0..2 {
        if look > 0 {
            tokio::time::sleep(TOOL_LAG).await;
        }
        let listed = cluster.broker_queues(connection.pod()).await.unwrap_or_default();
        let held = listed.iter().find(|listed| listed.name == queue.as_str());
        if held.is_none_or(|listed| listed.unacked > 0) {
            return false;
        }
    }
    true
}

/// Items recorded as done; `None` if the workers keep no records, or if there was no time to read them
/// all.
async fn recorded(connection: &BrokerConnection, queue: &QueueName, job: &JobState) -> Option<u64> {
    let created = job.created.as_ref().and_then(|created| created.parse().ok());
    match progress(connection, queue, created, RECORDS_TIMEOUT).await.ok()?.remove(&job.run) {
        Some(RunProgress { done, partial, .. }) => (!partial).then_some(done),
        // In coarse mode the pods may run the image's own command, which keeps no records.
        None if job.is_coarse() => None,
        None => result_stream::end(&connection.broker, queue).await.ok()?.map(|_| 0),
    }
}
