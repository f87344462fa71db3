//! The book of a queue: the entries of `QUEUE.ledger`, added up.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ItemSet, LedgerError};

/// One message of `QUEUE.ledger`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum BookEntry {
    /// The broker has confirmed these items.
    Enqueued {
        /// The items.
        items: ItemSet,
        /// How many of them may be in the queue twice.
        repeated: u64,
    },
    /// These failed items were moved back into the queue.
    Retried(ItemSet),
    /// So many items were deleted from the queue.
    Purged(u64),
    /// So many failed items were deleted.
    FailedPurged(u64),
    /// These items were in the queue once and are not any more, and nobody has settled them.
    WrittenOff(ItemSet),
    /// A run is about to start.
    Opened {
        /// The run.
        run: String,
        /// When.
        time: Timestamp,
        /// Items in the queue, as its leader counted them.
        items: u64,
        /// Items of the book that were not in the queue, without a ledger that says why.
        #[serde(default)]
        gone: u64,
        /// Whether its workers keep a ledger.
        ledger: bool,
    },
    /// A run has ended, and its items were judged.
    Closed {
        /// The run.
        run: String,
        /// The items whose outcome is known.
        settled: ItemSet,
        /// How it ended.
        #[serde(flatten)]
        closed: ClosedRun,
    },
    /// A run's ledger was deleted.
    Deleted(String),
    /// Somebody looked: a reader that has seen its own mark has seen everything before it.
    Mark,
}

impl BookEntry {
    /// The entry as a message.
    pub fn to_json(&self) -> Vec<u8> {
        // Only a map with keys that are no strings could fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`LedgerError`] for anything but an entry.
    pub fn from_json(json: &[u8]) -> Result<Self, LedgerError> {
        Ok(serde_json::from_slice(json)?)
    }
}

/// The entries of a queue's book, added up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Book {
    /// Items that were enqueued or retried, and that no closed run has settled.
    pub open: ItemSet,
    /// Items that are open no longer. An enqueue that ends later, or is resumed, names them again.
    accounted: ItemSet,
    /// How many items may be in the queue twice.
    pub repeated: u64,
    /// The runs, oldest first.
    pub runs: Vec<BookRun>,
}

/// How a run ended, as the book of its queue has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClosedRun {
    /// When it was closed.
    pub time: Timestamp,
    /// The items that are gone from the queue without an outcome.
    #[serde(default, skip_serializing_if = "ItemSet::is_empty")]
    pub missing: ItemSet,
    /// Items that are done, those of others among them.
    pub done: u64,
    /// Items that failed, those of others among them.
    pub failed: u64,
    /// Of these, the ones that the broker has moved to the queue of failed items.
    pub dead_lettered: u64,
    /// Items without an outcome that are not missing: they were left in the queue.
    pub left: u64,
    /// Whether each item was known by its identity.
    pub by_items: bool,
    /// The size of its ledger in bytes.
    pub bytes: u64,
}

/// A run in the book of its queue.
#[derive(Debug, Clone, PartialEq)]
pub struct BookRun {
    /// Its name.
    pub run: String,
    /// When it was opened.
    pub opened: Timestamp,
    /// Items in the queue then, as its leader counted them.
    pub items: u64,
    /// Items that the book knew then.
    pub known: u64,
    /// Of these, the ones that were not in the queue, without a ledger that says why.
    pub gone: u64,
    /// Whether its workers keep a ledger.
    pub ledger: bool,
    /// How it ended, once it is closed.
    pub closed: Option<ClosedRun>,
    /// Items that somebody deleted from the queue while it was open.
    pub purged: u64,
    /// Failed items that somebody retried or deleted while it was open.
    pub failed_removed: u64,
}

impl Book {
    /// Adds the next entry.
    pub fn take(&mut self, entry: BookEntry) {
        match entry {
            BookEntry::Enqueued { items, repeated } => {
                self.open.add(&items.without(&self.accounted));
                self.repeated += repeated;
            }
            BookEntry::Retried(items) => {
                self.accounted.subtract(&items);
                self.open.add(&items);
                self.unclosed().for_each(|of| of.failed_removed += items.len());
            }
            BookEntry::FailedPurged(items) => {
                self.unclosed().for_each(|of| of.failed_removed += items);
            }
            BookEntry::WrittenOff(items) => self.account(&items),
            BookEntry::Purged(items) => self.purged(items),
            BookEntry::Opened { run, time, items, gone, ledger } => {
                let known = self.open.len();
                // Whoever got no answer writes it again.
                self.runs.retain(|of| of.run != run);
                self.runs.push(BookRun {
                    run,
                    opened: time,
                    items,
                    known,
                    gone,
                    ledger,
                    closed: None,
                    purged: 0,
                    failed_removed: 0,
                });
            }
            BookEntry::Closed { run, settled, closed } => {
                // Two may have closed it at the same time: what happened since the first counts.
                let Some(of) = self.runs.iter_mut().find(|of| of.run == run && of.closed.is_none()) else {
                    return;
                };
                let accounted = [settled, closed.missing.clone()];
                of.closed = Some(closed);
                self.repeated = 0;
                accounted.iter().for_each(|items| self.account(items));
            }
            BookEntry::Deleted(run) => self.runs.retain(|of| of.run != run),
            BookEntry::Mark => {}
        }
    }

    fn account(&mut self, items: &ItemSet) {
        self.open.subtract(items);
        self.accounted.add(items);
    }

    /// Without a run, nothing is held by anybody: the whole queue was deleted. With one, nobody knows
    /// which items it was.
    fn purged(&mut self, items: u64) {
        if self.unclosed().next().is_none() {
            self.account(&self.open.clone());
        }
        self.unclosed().for_each(|of| of.purged += items);
    }

    fn unclosed(&mut self) -> impl Iterator<Item = &mut BookRun> {
        self.runs.iter_mut().filter(|of| of.closed.is_none())
    }

    /// A run that is in the book.
    pub fn run(&self, name: &str) -> Option<&BookRun> {
        self.runs.iter().find(|of| of.run == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn batch(last: u32) -> ItemSet {
        ItemSet::range("k2x9bcdf", 1, last)
    }

    fn enqueued(last: u32) -> BookEntry {
        BookEntry::Enqueued { items: batch(last), repeated: 0 }
    }

    fn opened(run: &str, items: u64) -> BookEntry {
        BookEntry::Opened { run: run.to_owned(), time: at(1), items, gone: 0, ledger: true }
    }

    fn closed(settled: ItemSet, missing: ItemSet) -> BookEntry {
        let closed = ClosedRun {
            time: at(2),
            missing,
            done: settled.len(),
            failed: 0,
            dead_lettered: 0,
            left: 2,
            by_items: true,
            bytes: 100,
        };
        BookEntry::Closed { run: "r1".to_owned(), settled, closed }
    }

    fn book(entries: Vec<BookEntry>) -> Book {
        let mut book = Book::default();
        for entry in entries {
            // What is read is what was written.
            book.take(BookEntry::from_json(&entry.to_json()).expect("what was written"));
        }
        book
    }

    #[test]
    fn what_a_closed_run_has_settled_is_open_no_longer() {
        let closed = closed(batch(7), ItemSet::range("k2x9bcdf", 8, 8));
        let book = book(vec![
            enqueued(10),
            opened("r1", 12),
            closed,
            BookEntry::Mark,
            BookEntry::Retried(batch(1)),
            // An enqueue that ends later names what was settled meanwhile.
            enqueued(10),
        ]);
        assert_eq!(book.open.iter().map(|item| item.number).collect::<Vec<_>>(), [1, 9, 10]);
        let run = book.run("r1").expect("it was opened");
        let closed = run.closed.as_ref().expect("it was closed");
        assert_eq!((run.items, run.known, closed.done, closed.bytes), (12, 10, 7, 100));
    }

    #[test]
    fn a_purge_clears_the_book_unless_a_run_is_open() {
        let idle = book(vec![enqueued(10), BookEntry::Purged(10)]);
        assert!(idle.open.is_empty());
        let running = book(vec![enqueued(10), opened("r1", 10), BookEntry::Purged(3)]);
        assert_eq!((running.open.len(), running.runs[0].purged), (10, 3));
    }

    #[test]
    fn a_run_that_two_have_closed_is_closed_once() {
        let closed = || closed(batch(4), ItemSet::default());
        let book = book(vec![enqueued(4), opened("r1", 4), closed(), BookEntry::Retried(batch(1)), closed()]);
        assert_eq!(book.open, batch(1), "what was retried stays open");
    }

    #[test]
    fn entries_can_be_written_off_and_runs_deleted() {
        let book = book(vec![
            enqueued(10),
            BookEntry::WrittenOff(batch(9)),
            opened("r1", 1),
            BookEntry::Deleted("r1".to_owned()),
        ]);
        assert_eq!((book.open.len(), book.runs.len()), (1, 0));
        assert!(BookEntry::from_json(b"{\"other\": 1}").is_err());
    }
}
