//! The items that have failed for good: looked at, sent back, deleted.

use std::collections::BTreeSet;

use super::Error;
use super::session::Session;
use workqueue_amqp::failed_queue::{self, FailedReader};
use workqueue_amqp::failed_retry::Retrier;
use workqueue_amqp::{self, FailedMessage, topology};
use workqueue_core::names::QueueName;

/// Looks at every failed item; none is taken out of its queue. `see` says whether to go on.
///
/// # Errors
/// What the broker refuses, and lost connections.
pub async fn look(
    session: &Session,
    queue: &QueueName,
    mut see: impl FnMut(FailedMessage) -> bool,
) -> Result<(), Error> {
    let failed = |error| session.explain(error);
    let Some(mut look) = FailedReader::open(&session.broker, queue).await.map_err(failed)? else {
        return Ok(());
    };
    let seen = async {
        while let Some(message) = look.next().await? {
            look.keep(&message).await?;
            if !see(message) {
                break;
            }
        }
        Ok(())
    };
    let seen = seen.await;
    let closed = look.close().await;
    seen.and(closed).map_err(failed)
}

/// Which items to send back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those with these ids.
    Ids(BTreeSet<String>),
}

/// What was sent back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryReport {
    /// Items that are in their queue again, and no longer among the failed ones.
    pub retried: u64,
    /// Ids that no failed item has; not known if it was interrupted.
    pub missing: BTreeSet<String>,
    /// Whether the user stopped it.
    pub interrupted: bool,
}

/// Sends failed items back to their queue: an item leaves the failed ones once the broker has
/// taken charge of its copy. Where that is cut off, an item may be in both queues, and in none
/// never. The report is exact also when an error ends it.
pub async fn retry(
    session: &Session,
    queue: &QueueName,
    which: &Which,
    interrupt: impl Future<Output = ()>,
) -> (RetryReport, Result<(), Error>) {
    let mut report = RetryReport::default();
    if let Which::Ids(ids) = which {
        report.missing = ids.clone();
    }
    let result = send_back(session, queue, which, interrupt, &mut report).await;
    (report, result.map_err(|error| session.explain(error)))
}

async fn send_back(
    session: &Session,
    queue: &QueueName,
    which: &Which,
    interrupt: impl Future<Output = ()>,
    report: &mut RetryReport,
) -> Result<(), workqueue_amqp::Error> {
    let mut retrier = Retrier::open(&session.broker, queue).await?;
    let Some(mut look) = FailedReader::open(&session.broker, queue).await? else { return Ok(()) };
    let mut interrupt = std::pin::pin!(interrupt);
    let sending = async {
        loop {
            let message = tokio::select! {
                biased;
                () = &mut interrupt => {
                    report.interrupted = true;
                    break;
                }
                message = look.next() => message?,
            };
            let Some(message) = message else { break };
            if let Which::Ids(ids) = which {
                if !ids.contains(&message.id) {
                    look.keep(&message).await?;
                    continue;
                }
                report.missing.remove(&message.id);
            }
            retrier.publish(&message).await?;
            if retrier.is_full() {
                report.retried += retrier.settle(&mut look).await?;
            }
        }
        report.retried += retrier.settle(&mut look).await?;
        Ok(())
    };
    let sent = sending.await;
    let closed = look.close().await;
    sent.and(closed)
}

/// Items that have failed and that nobody holds at this moment.
///
/// # Errors
/// What the broker refuses, and lost connections.
pub async fn count(session: &Session, queue: &QueueName) -> Result<u32, Error> {
    let depth = topology::depth(&session.broker, &queue.failed()).await;
    Ok(depth.map_err(|error| session.explain(error))?.unwrap_or_default().ready)
}

/// Deletes all failed items; gives how many.
///
/// # Errors
/// What the broker refuses, and lost connections.
pub async fn purge(session: &Session, queue: &QueueName) -> Result<u64, Error> {
    failed_queue::purge(&session.broker, queue).await.map_err(|error| session.explain(error))
}
