//! Opens the books of a run.

use jiff::Timestamp;

use super::earlier::close_earlier;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::notice::{Observer, Warning};
use crate::queue::connection::BrokerConnection;
use workqueue_amqp as broker;
use workqueue_amqp::{Broker, ledger, topology};
use workqueue_core::ledger::{Book, BookEntry, ItemSet};
use workqueue_core::names::{QueueName, ReleaseName};

/// A run that is about to start.
pub(crate) struct Opening<'a> {
    pub queue: &'a QueueName,
    pub run: &'a str,
    /// Items in the queue, as its leader counted them.
    pub items: u64,
    /// Those that the same command enqueues.
    pub own: Own<'a>,
    /// Whether its workers keep a ledger, if there is one.
    pub ledger: bool,
}

/// The items of the command that starts a run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Own<'a> {
    /// It has enqueued these.
    Items(&'a ItemSet),
    /// It enqueues this batch, and nobody knows yet how many of its items are in the book.
    Batch(&'a str),
}

impl Own<'_> {
    /// Of some items, those of others.
    pub(crate) fn others(self, items: &ItemSet) -> ItemSet {
        let mut others = items.clone();
        match self {
            Self::Items(own) => others.subtract(own),
            Self::Batch(own) => others.remove_batch(own),
        }
        others
    }
}

/// Opens the books of a run. Returns whether there is a ledger that its workers keep.
///
/// # Errors
/// Those of the cluster and the broker. A broker without streams has no books, which is no error.
pub(crate) async fn open(
    cluster: &Cluster,
    release: &ReleaseName,
    connection: &BrokerConnection,
    opening: &Opening<'_>,
    observer: &dyn Observer,
) -> Result<bool, Error> {
    let explain = |error| connection.explain(error);
    let (broker, queue) = (&connection.broker, opening.queue);
    match declare(broker, opening).await {
        Err(broker::Error::Refused { reason, .. }) => {
            observer.warn(Warning::NoLedger { reason: &reason });
            return Ok(false);
        }
        declared => declared.map_err(explain)?,
    }
    let book = close_earlier(cluster, release, connection, queue, opening.own, observer).await?;
    let mut entries = Vec::new();
    // A run at work may hold what is not in the queue.
    let is_alone = book.runs.iter().all(|run| run.closed.is_some());
    let mut unknown = 0;
    if let Some(gone) = gone_before(&book, opening).filter(|_| is_alone) {
        observer.warn(Warning::GoneBefore { queue, items: gone.number, ids: &gone.first_ids() });
        match gone.items {
            Some(items) => entries.push(BookEntry::WrittenOff(items)),
            None => unknown = gone.number,
        }
    }
    entries.push(BookEntry::Opened {
        run: opening.run.to_owned(),
        time: Timestamp::now(),
        items: opening.items,
        gone: unknown,
        ledger: opening.ledger,
    });
    ledger::append(broker, queue, &entries).await.map_err(explain)?;
    Ok(opening.ledger)
}

async fn declare(broker: &Broker, opening: &Opening<'_>) -> Result<(), broker::Error> {
    topology::ensure_book(broker, opening.queue).await?;
    if opening.ledger {
        topology::ensure_ledger(broker, opening.queue, opening.run).await?;
    }
    Ok(())
}

/// Items that are in the book and not in the queue.
struct Gone {
    number: u64,
    /// Which; `None` if nobody knows.
    items: Option<ItemSet>,
}

impl Gone {
    fn first_ids(&self) -> Vec<String> {
        let ids = self.items.iter().flat_map(ItemSet::iter).map(|item| item.to_string());
        ids.take(5).collect()
    }
}

/// If the queue holds no more than what this command has enqueued, all that was there before is gone.
fn gone_before(book: &Book, opening: &Opening<'_>) -> Option<Gone> {
    let others = opening.own.others(&book.open);
    let (number, is_own) = match opening.own {
        Own::Items(own) => (book.open.len().saturating_sub(opening.items), opening.items <= own.len()),
        Own::Batch(_) => (others.len().saturating_sub(opening.items), opening.items == 0),
    };
    let items = is_own.then_some(others).filter(|items| !items.is_empty());
    (number > 0).then_some(Gone { number, items })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_that_are_gone_before_a_run_are_known_if_only_its_own_are_left() {
        let [old, own] = ["bbbbbbbb", "k2x9bcdf"].map(|batch| ItemSet::range(batch, 1, 3));
        let queue: QueueName = "job1".parse().expect("legal");
        let mut book = Book::default();
        book.open.add(&old);
        book.open.add(&own);
        let gone = |items| {
            let opening = Opening { queue: &queue, run: "r1", items, own: Own::Items(&own), ledger: true };
            gone_before(&book, &opening).map(|gone| (gone.number, gone.items))
        };
        let own_batch = |batch| {
            let opening =
                Opening { queue: &queue, run: "r1", items: 0, own: Own::Batch(batch), ledger: true };
            gone_before(&book, &opening).map(|gone| (gone.number, gone.items))
        };
        assert_eq!(own_batch("k2x9bcdf"), Some((3, Some(old.clone()))), "its own are in no queue yet");
        assert_eq!(gone(6), None);
        assert_eq!(gone(9), None, "others were enqueued by somebody else");
        assert_eq!(gone(4), Some((2, None)), "nobody knows which two of the old ones");
        assert_eq!(gone(3), Some((3, Some(old))));
    }
}
