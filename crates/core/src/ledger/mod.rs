//! The books of a queue: what was enqueued, which runs worked on it, and how each item ended.
//!
//! An [`ItemSet`] holds items by their identity: batch and number. A [`LedgerPage`] says how items
//! ended; the pages of a run, merged, say it of all its items, and a sum says it of all pages before
//! it. A [`Book`] adds up the entries of
//! `QUEUE.ledger` to the items that are still open.

mod book;
mod item_set;
mod page;
mod sum;

pub use book::{Book, BookEntry, BookRun, ClosedRun};
pub use item_set::{ItemId, ItemSet};
pub use page::LedgerPage;
pub use sum::{Adding, LedgerMessage};

/// A message of a ledger that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("it is not an entry of a ledger: {0}")]
pub struct LedgerError(#[from] serde_json::Error);
