//! Closes the books of a run that has ended: takes what its workers have left to be written, judges,
//! and writes down the result.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::counts::{judge_by_counts, settle_down};
use super::earlier::settled_elsewhere;
use super::verdict::{Evidence, Verdict};
use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::notice::{Notice, Observer, Wait};
use crate::queue::connection::{BrokerConnection, is_transient};
use workqueue_amqp as broker;
use workqueue_amqp::consumer::DEAD_AFTER;
use workqueue_amqp::failed_queue::FailedReader;
use workqueue_amqp::ledger::{self, Pages, Rest};
use workqueue_amqp::topology::{self, Depth};
use workqueue_amqp::{Broker, peek};
use workqueue_core::ledger::{Book, BookEntry, BookRun, ClosedRun, ItemId, ItemSet, LedgerPage};
use workqueue_core::names::{QueueName, ReleaseName};

/// How long a broker may be away, or the leader of a queue silent, before the run stays unproven.
const LONGEST: Duration = Duration::from_secs(180);

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_secs(2);

/// How long a worker may still hold outcomes: until the broker must have noticed its death.
const OUTCOMES_HELD: Duration = Duration::from_secs(DEAD_AFTER.as_secs() + 15);

/// The most messages in the queue that are looked at to tell copies of done items from others.
const LOOKED_AT: u64 = 100;

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
        judge_by_ledger(&connection, &queue, job, observer).await
    } else {
        judge_by_counts(cluster, &connection, &queue, job, observer).await
    };
    connection.close().await;
    verdict
}

/// Judges by the ledger. Workers that still leave may settle items meanwhile, so that what is missing is
/// looked for again once they have left.
async fn judge_by_ledger(
    connection: &BrokerConnection,
    queue: &QueueName,
    job: &JobState,
    observer: &dyn Observer,
) -> Result<Verdict, Error> {
    let mut found = find(connection, queue, job, observer).await?;
    if found.as_ref().is_ok_and(|books| !books.is_settled()) {
        settle_down(connection, queue, observer).await?;
        found = find(connection, queue, job, observer).await?;
    }
    match found {
        Ok(books) => books.judge(connection, queue, job).await,
        Err(gone) => Ok(Verdict::unproven(gone)),
    }
}

/// The books of a run, with all outcomes that its workers have published.
struct Books {
    book: Book,
    run: BookRun,
    /// The items that the run is to settle.
    open: ItemSet,
    pages: Pages,
}

/// Finds the books of a run, or what of them is gone.
async fn find(
    connection: &BrokerConnection,
    queue: &QueueName,
    job: &JobState,
    observer: &dyn Observer,
) -> Result<Result<Books, String>, Error> {
    let explain = |error| connection.explain(error);
    let (broker, name) = (&connection.broker, &job.run);
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
    let elsewhere = settled_elsewhere(broker, queue, &book, name).await.map_err(explain)?;
    Ok(Ok(Books { open: open_items(&book, &run, &pages.sum).without(&elsewhere), book, run, pages }))
}

impl Books {
    /// Whether every item has an outcome, and all of them are known by their identity.
    fn is_settled(&self) -> bool {
        let sum = &self.pages.sum;
        let unsettled = self.open.clone().without(&sum.settled());
        unsettled.is_empty() && sum.foreign_done + sum.foreign_failed == 0
    }

    /// Judges, and closes the run in the book unless that was done before.
    async fn judge(
        &self,
        connection: &BrokerConnection,
        queue: &QueueName,
        job: &JobState,
    ) -> Result<Verdict, Error> {
        let explain = |error| connection.explain(error);
        let (run, sum) = (&self.run, &self.pages.sum);
        let depth = topology::depth(&connection.broker, queue).await.map_err(explain)?.unwrap_or_default();
        let failed = failed_messages(connection, queue, job, &self.open, sum).await?;
        let waiting_copies = copies_in_queue(connection, queue, depth, sum).await?;
        let evidence = Evidence {
            run,
            open: &self.open,
            repeated: self.book.repeated,
            pages: sum,
            dead_lettered: &failed.dead_lettered,
            ready: u64::from(depth.ready) - waiting_copies,
            consumers: depth.consumers.into(),
            leftover: waiting_copies + failed.copies,
        };
        let verdict = evidence.judge();
        let unsettled = evidence.without_outcome();
        // As long as somebody may hold an item, its outcome may still come.
        if run.closed.is_none() && (unsettled.is_empty() || depth.consumers == 0) {
            let missing = if evidence.ready == 0 { unsettled } else { ItemSet::default() };
            let (dead_lettered, left) = (&failed.dead_lettered, Some(evidence.ready));
            let closing =
                write_closed(&connection.broker, queue, run, &self.pages, dead_lettered, missing, left);
            closing.await.map_err(explain)?;
        }
        Ok(match &run.closed {
            Some(closed) => as_closed(verdict, closed),
            None => verdict,
        })
    }
}

/// What the queue of failed items tells of a run.
#[derive(Default)]
struct FailedMessages {
    /// Items without an outcome that are there: the broker has moved them.
    dead_lettered: ItemSet,
    /// Copies of items that are done.
    copies: u64,
}

/// Reads the queue of failed items if it may tell something: an item has no outcome, or there are more
/// messages than have failed.
async fn failed_messages(
    connection: &BrokerConnection,
    queue: &QueueName,
    job: &JobState,
    open: &ItemSet,
    sum: &LedgerPage,
) -> Result<FailedMessages, Error> {
    let depth = topology::depth(&connection.broker, &queue.failed()).await;
    let depth = depth.map_err(|error| connection.explain(error))?.unwrap_or_default();
    let since = u64::from(depth.ready.saturating_sub(job.failed_before));
    let more = since.saturating_sub(sum.only_failed().len() + sum.foreign_failed);
    let unsettled = open.clone().without(&sum.settled());
    if more == 0 {
        return Ok(FailedMessages::default());
    }
    let found = failed_ids(connection, queue).await?;
    let copies = found.common(&sum.done).min(more);
    Ok(FailedMessages { dead_lettered: common(&unsettled, &found), copies })
}

/// What the book expected of a run: what is open now; of a run that was closed before, what it has
/// settled, and what was missing then.
fn open_items(book: &Book, run: &BookRun, pages: &LedgerPage) -> ItemSet {
    let Some(closed) = &run.closed else { return book.open.clone() };
    let mut open = pages.settled();
    open.add(&closed.missing);
    open
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
    ledger::take_rest(broker, queue, run, OUTCOMES_HELD, waiting).await
}

/// The verdict on a run that was closed before: what was counted then, since later runs have changed the
/// queue.
fn as_closed(verdict: Verdict, closed: &ClosedRun) -> Verdict {
    Verdict {
        done: Some(closed.done),
        failed: closed.failed,
        ready: Some(closed.left),
        missing: closed.missing.len(),
        ..verdict
    }
}

/// Closes a run in the book. Nobody has counted what is `left` in the queue if that is `None`: then it is
/// what the book knew when the run began, without what has an outcome.
pub(super) async fn write_closed(
    broker: &Broker,
    queue: &QueueName,
    run: &BookRun,
    pages: &Pages,
    dead_lettered: &ItemSet,
    missing: ItemSet,
    left: Option<u64>,
) -> Result<(), broker::Error> {
    let sum = &pages.sum;
    let mut settled = sum.settled();
    settled.add(dead_lettered);
    let entry = BookEntry::Closed {
        run: run.run.clone(),
        time: Timestamp::now(),
        done: sum.done.len() + sum.foreign_done,
        failed: settled.len() - sum.done.len() + sum.foreign_failed,
        left: left.unwrap_or(run.known.saturating_sub(settled.len())),
        settled,
        missing,
        bytes: pages.bytes,
    };
    ledger::append(broker, queue, &[entry]).await?;
    // All of it is in the ledger.
    topology::delete(broker, &queue.outcomes(&run.run)).await
}

/// The items in the queue of failed items. They stay there.
async fn failed_ids(connection: &BrokerConnection, queue: &QueueName) -> Result<ItemSet, Error> {
    let explain = |error| connection.explain(error);
    let mut found = ItemSet::default();
    let reader = FailedReader::open(&connection.broker, queue).await.map_err(explain)?;
    let Some(mut reader) = reader else { return Ok(found) };
    while let Some(message) = reader.next().await.map_err(explain)? {
        if let Some(item) = ItemId::parse(&message.id) {
            found.insert(item);
        }
        reader.keep(&message).await.map_err(explain)?;
    }
    reader.close().await.map_err(explain)?;
    Ok(found)
}

/// How many messages of the queue are copies of items that are done. A long queue is not looked at.
async fn copies_in_queue(
    connection: &BrokerConnection,
    queue: &QueueName,
    depth: Depth,
    pages: &LedgerPage,
) -> Result<u64, Error> {
    if depth.ready == 0 || u64::from(depth.ready) > LOOKED_AT {
        return Ok(0);
    }
    let mut copies = 0;
    let count = |message: peek::PeekedMessage| {
        let item = message.id.as_deref().and_then(ItemId::parse);
        copies += u64::from(item.is_some_and(|item| pages.done.contains(item)));
        true
    };
    let peeked = peek::peek(&connection.broker, queue, Some(LOOKED_AT), count).await;
    peeked.map_err(|error| connection.explain(error))?;
    Ok(copies.min(depth.ready.into()))
}

fn common(one: &ItemSet, other: &ItemSet) -> ItemSet {
    one.clone().without(&one.clone().without(other))
}
