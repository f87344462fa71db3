//! Closes the books of a run that has ended: takes what its workers have left to be written, judges,
//! and writes down the result.

use std::time::Duration;

use tokio::time::Instant;

use super::closing;
use super::counts::{WORKERS_GONE, holds_nothing, judge_by_counts, settle_down};
use super::earlier::done_elsewhere;
use super::remains;
use super::verdict::{Evidence, Proof, Verdict, first};
use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::notice::{Notice, Observer, Wait};
use crate::queue::connection::{BrokerConnection, is_transient};
use workqueue_amqp as broker;
use workqueue_amqp::ledger::{self, Pages, Rest};
use workqueue_amqp::{Broker, topology};
use workqueue_core::ledger::{BookRun, ClosedRun, ItemSet, LedgerPage};
use workqueue_core::names::{QueueName, ReleaseName};

/// How long a broker may be away, or the leader of a queue silent, before the run stays unproven.
const LONGEST: Duration = Duration::from_secs(180);

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_secs(2);

/// Closes the books of a run that has ended, and says what became of its items. Without an answer of
/// the broker, nothing is proven.
pub(crate) async fn close(
    cluster: &Cluster,
    release: &ReleaseName,
    job: &JobState,
    observer: &dyn Observer,
) -> Verdict {
    let deadline = Instant::now() + LONGEST;
    loop {
        let error = match try_close(cluster, release, job, deadline, observer).await {
            Ok(verdict) => return verdict,
            Err(error) => error,
        };
        if !is_transient(&error) || Instant::now() > deadline {
            return Verdict::unproven(error.to_string());
        }
        observer.on(Notice::Waiting(Wait::BrokerBack(&error.to_string())));
        tokio::time::sleep(PAUSE).await;
    }
}

async fn try_close(
    cluster: &Cluster,
    release: &ReleaseName,
    job: &JobState,
    deadline: Instant,
    observer: &dyn Observer,
) -> Result<Verdict, Error> {
    let Ok(queue) = job.queue.parse::<QueueName>() else {
        return Ok(Verdict::unproven("its Job names no queue".to_owned()));
    };
    let purpose = "kubectl-workqueue run";
    let connection = BrokerConnection::open_when_ready(cluster, release, purpose, Some(deadline)).await?;
    let verdict = if job.ledger {
        judge_by_ledger(cluster, &connection, &queue, job, observer).await
    } else {
        judge_by_counts(cluster, &connection, &queue, job, observer).await
    };
    connection.close().await;
    verdict
}

/// Judges by the ledger. Workers that still leave may settle items meanwhile, so that what is missing is
/// looked for again once they have left.
async fn judge_by_ledger(
    cluster: &Cluster,
    connection: &BrokerConnection,
    queue: &QueueName,
    job: &JobState,
    observer: &dyn Observer,
) -> Result<Verdict, Error> {
    let mut found = find(connection, queue, &job.run, observer).await?;
    if found.as_ref().is_ok_and(|books| !books.is_settled()) {
        settle_down(connection, queue, observer).await?;
        found = find(connection, queue, &job.run, observer).await?;
    }
    let books = match found {
        Ok(books) => books,
        Err(gone) => return Ok(Verdict::unproven(gone)),
    };
    match &books.run.closed {
        Some(closed) => Ok(of_closed(&books.run, closed, Some(&books.pages.sum))),
        None => books.judge(cluster, connection, queue, job, observer).await,
    }
}

/// The books of a run, with all outcomes that its workers have published.
struct Books {
    run: BookRun,
    /// The items that the run is to settle.
    open: ItemSet,
    /// How many of them may be in the queue twice.
    repeated: u64,
    pages: Pages,
}

/// Finds the books of a run, or what of them is gone.
async fn find(
    connection: &BrokerConnection,
    queue: &QueueName,
    name: &str,
    observer: &dyn Observer,
) -> Result<Result<Books, String>, Error> {
    let explain = |error| connection.explain(error);
    let broker = &connection.broker;
    let rest = take_rest(broker, queue, name, observer).await.map_err(explain)?;
    let pages = ledger::read_pages_marked(broker, queue, name).await.map_err(explain)?;
    let book = ledger::read_marked(broker, queue).await.map_err(explain)?;
    let (Some(pages), Some(book)) = (pages, book) else {
        return Ok(Err(format!("the ledger of run {name} is gone")));
    };
    let Some(run) = book.run(name).cloned() else {
        return Ok(Err(format!("run {name} is not in the book of queue {queue}")));
    };
    if rest == Rest::Gone && run.closed.is_none() {
        return Ok(Err(format!("queue {} is gone, and outcomes with it", queue.outcomes(name))));
    }
    let elsewhere = done_elsewhere(broker, queue, &book, name).await.map_err(explain)?;
    Ok(Ok(Books { run, open: book.open.without(&elsewhere), repeated: book.repeated, pages }))
}

impl Books {
    /// Whether every item has an outcome, and all of them are known by their identity.
    fn is_settled(&self) -> bool {
        let sum = &self.pages.sum;
        let unsettled = self.open.clone().without(&sum.settled());
        let foreign = sum.foreign_done + sum.foreign_failed;
        self.run.closed.is_some() || (unsettled.is_empty() && foreign == 0)
    }

    /// Judges, and closes the run in the book if there is no doubt.
    async fn judge(
        &self,
        cluster: &Cluster,
        connection: &BrokerConnection,
        queue: &QueueName,
        job: &JobState,
        observer: &dyn Observer,
    ) -> Result<Verdict, Error> {
        let explain = |error| connection.explain(error);
        let (run, sum) = (&self.run, &self.pages.sum);
        let Some(mut depth) = topology::depth(&connection.broker, queue).await.map_err(explain)? else {
            return Ok(Verdict::unproven(format!("queue {queue} is gone")));
        };
        if depth.consumers > 0 && !self.is_settled() && holds_nothing(cluster, connection, queue).await {
            depth.consumers = 0;
        }
        // Somebody who reads the failed items holds them for that time.
        settle_down(connection, &queue.failed(), observer).await?;
        let failed = remains::failed(connection, queue, job, run, &self.open, sum).await?;
        let copies = remains::copies(connection, queue, depth, sum).await?;
        let evidence = Evidence {
            run,
            open: &self.open,
            repeated: self.repeated,
            pages: sum,
            dead_lettered: &failed.dead_lettered,
            foreign_dead_lettered: failed.foreign,
            ready: u64::from(depth.ready) - copies,
            consumers: depth.consumers.into(),
            leftover: copies + failed.copies,
        };
        let verdict = evidence.judge();
        let unsettled = evidence.without_outcome();
        // As long as somebody may hold an item, its outcome may still come.
        if verdict.doubt.is_none() && (unsettled.is_empty() || depth.consumers == 0) {
            let closing = self.close(&connection.broker, queue, &verdict, &failed.dead_lettered, unsettled);
            closing.await.map_err(explain)?;
        }
        Ok(verdict)
    }

    /// Closes the run in the book. Without items in the queue, all that have no outcome are missing, or
    /// were gone before the run.
    async fn close(
        &self,
        broker: &Broker,
        queue: &QueueName,
        verdict: &Verdict,
        dead_lettered: &ItemSet,
        unsettled: ItemSet,
    ) -> Result<(), broker::Error> {
        let mut settled = self.pages.sum.settled();
        settled.add(dead_lettered);
        let mut closed = ClosedRun {
            failed: verdict.failed,
            dead_lettered: dead_lettered.len(),
            left: verdict.ready.unwrap_or(0),
            by_items: verdict.proof == Proof::Items,
            ..closing::as_ledger_tells(&self.pages)
        };
        if closed.left == 0 && verdict.missing > 0 {
            closed.missing = unsettled;
        } else if closed.left == 0 {
            settled.add(&unsettled);
        }
        closing::write(broker, queue, &self.run, settled, closed).await
    }
}

/// The verdict on a run that was closed before: what was counted then, since later runs have changed the
/// queue.
pub(super) fn of_closed(run: &BookRun, closed: &ClosedRun, pages: Option<&LedgerPage>) -> Verdict {
    Verdict {
        proof: if closed.by_items { Proof::Items } else { Proof::Counts },
        doubt: None,
        done: Some(closed.done),
        failed: closed.failed,
        failed_ids: pages.map(|pages| first(&pages.only_failed())).unwrap_or_default(),
        ready: Some(closed.left),
        missing: closed.missing.len(),
        missing_ids: first(&closed.missing),
        purged: run.purged,
        repeats: pages.map(|pages| pages.repeats),
        leftover: 0,
        cut: pages.map_or(0, |pages| pages.cut.len() + pages.foreign_cut),
        cut_ids: pages.map(|pages| first(&pages.cut)).unwrap_or_default(),
    }
}

/// The pages of a run, with all outcomes that its workers have published; `None` if its ledger is gone.
pub(super) async fn all_pages(
    broker: &Broker,
    queue: &QueueName,
    run: &str,
    observer: &dyn Observer,
) -> Result<Option<Pages>, broker::Error> {
    match take_rest(broker, queue, run, observer).await {
        Err(broker::Error::NoQueue(_)) => Ok(None),
        Err(error) => Err(error),
        Ok(_) => ledger::read_pages_marked(broker, queue, run).await,
    }
}

async fn take_rest(
    broker: &Broker,
    queue: &QueueName,
    run: &str,
    observer: &dyn Observer,
) -> Result<Rest, broker::Error> {
    let waiting = |waited: Duration| observer.on(Notice::Waiting(Wait::Outcomes(waited)));
    ledger::take_rest(broker, queue, run, WORKERS_GONE, waiting).await
}
