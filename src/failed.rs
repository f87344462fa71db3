//! Lists, retries, counts and deletes failed items.

use std::collections::BTreeSet;
use std::pin::Pin;

use crate::error::Error;
use crate::queue::book;
use crate::queue::connection::BrokerConnection;
use workqueue_amqp::failed_queue::{self, FailedReader};
use workqueue_amqp::failed_retry::Retrier;
use workqueue_amqp::{FailedMessage, topology};
use workqueue_core::ledger::BookEntry;
use workqueue_core::names::QueueName;

/// Passes every failed item to `visit` until it returns `false`. The items stay in their queue.
pub async fn read(
    connection: &BrokerConnection,
    queue: &QueueName,
    mut visit: impl FnMut(FailedMessage) -> bool,
) -> Result<(), Error> {
    let explain = |error| connection.explain(error);
    let reader = FailedReader::open(&connection.broker, queue).await.map_err(explain)?;
    let Some(mut reader) = reader else { return Ok(()) };
    let reading = async {
        while let Some(message) = reader.next().await? {
            reader.keep(&message).await?;
            if !visit(message) {
                break;
            }
        }
        Ok(())
    };
    let result = reading.await;
    let closed = reader.close().await;
    result.and(closed).map_err(explain)
}

/// Which items to retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    All,
    Ids(BTreeSet<String>),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryReport {
    /// Items moved back to their queue.
    pub retried: u64,
    /// Ids that no failed item has. After an interrupt, those that were not found so far.
    pub missing: BTreeSet<String>,
    /// Whether the user stopped the retry.
    pub interrupted: bool,
}

/// Moves failed items back to their queue. An item is deleted from the failed ones once the broker
/// has confirmed its copy: after a crash it may be in both queues, but never in neither. The report
/// is exact even if an error ends the retry.
pub async fn retry(
    connection: &BrokerConnection,
    queue: &QueueName,
    selection: &Selection,
    interrupt: impl Future<Output = ()>,
) -> (RetryReport, Result<(), Error>) {
    let mut report = RetryReport::default();
    if let Selection::Ids(ids) = selection {
        report.missing = ids.clone();
    }
    let result = move_back(connection, queue, selection, interrupt, &mut report).await;
    (report, result)
}

async fn move_back(
    connection: &BrokerConnection,
    queue: &QueueName,
    selection: &Selection,
    interrupt: impl Future<Output = ()>,
    report: &mut RetryReport,
) -> Result<(), Error> {
    let explain = |error| connection.explain(error);
    let mut retrier = Retrier::open(&connection.broker, queue).await.map_err(explain)?;
    let reader = FailedReader::open(&connection.broker, queue).await.map_err(explain)?;
    let Some(mut reader) = reader else { return Ok(()) };
    let moving = async {
        let mut interrupt = std::pin::pin!(interrupt);
        loop {
            let taken = take(&mut reader, &mut retrier, selection, interrupt.as_mut(), report);
            let goes_on = taken.await.map_err(explain)?;
            // In the book first: what stays in the queue of failed items is found there.
            let items = retrier.items();
            if !items.is_empty() {
                book::note(connection, queue, BookEntry::Retried(items)).await?;
            }
            report.retried += retrier.settle(&mut reader).await.map_err(explain)?;
            if !goes_on {
                return Ok(());
            }
        }
    };
    let moved = moving.await;
    let closed = reader.close().await.map_err(explain);
    moved.and(closed)
}

/// Takes as many items as are published together. Returns whether there may be more.
async fn take(
    reader: &mut FailedReader,
    retrier: &mut Retrier,
    selection: &Selection,
    mut interrupt: Pin<&mut impl Future<Output = ()>>,
    report: &mut RetryReport,
) -> Result<bool, workqueue_amqp::Error> {
    while !retrier.is_full() {
        let message = tokio::select! {
            biased;
            () = interrupt.as_mut() => {
                report.interrupted = true;
                return Ok(false);
            }
            message = reader.next() => message?,
        };
        let Some(message) = message else { return Ok(false) };
        if let Selection::Ids(ids) = selection {
            if !ids.contains(&message.id) {
                reader.keep(&message).await?;
                continue;
            }
            report.missing.remove(&message.id);
        }
        retrier.take(message);
    }
    Ok(true)
}

/// The number of failed items, without those that somebody holds at this moment.
pub async fn count(connection: &BrokerConnection, queue: &QueueName) -> Result<u32, Error> {
    let depth = topology::depth(&connection.broker, &queue.failed()).await;
    Ok(depth.map_err(|error| connection.explain(error))?.unwrap_or_default().ready)
}

/// Deletes all failed items and returns how many there were.
pub async fn purge(connection: &BrokerConnection, queue: &QueueName) -> Result<u64, Error> {
    connection.require_login_to_run()?;
    let purged = failed_queue::purge(&connection.broker, queue).await;
    let purged = purged.map_err(|error| connection.explain(error))?;
    if purged > 0 {
        book::note(connection, queue, BookEntry::FailedPurged(purged)).await?;
    }
    Ok(purged)
}
