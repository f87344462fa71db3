//! The books of a queue on the broker: reads and writes them.
//!
//! `QUEUE.ledger` holds the entries of the queue's [`Book`](workqueue_core::ledger::Book), and
//! `QUEUE.ledger.RUN` the pages of one run. Workers do not write pages: they publish outcomes to the
//! queue `QUEUE.outcomes.RUN`, and one of them, whom the broker chooses (single active consumer), adds
//! them up to pages. So pages are few and large however small the workers' batches are, and an outcome
//! stays on the broker until a page has it.
//!
//! Some pages are sums of all before them, so that a reading need not start with the first page.
//!
//! A count of a stream lags by seconds, and says nothing about what is under way. A reader that needs
//! the truth publishes a mark, and has read everything once it meets that mark.

mod book;
mod page_writer;
mod pages;
mod rest;
mod taking;
mod writing;

pub use book::{append, look, read_marked};
pub use page_writer::PageWriter;
pub use pages::{Pages, read_pages, read_pages_marked};
pub use rest::{Rest, take_rest};
pub(crate) use taking::Taking;
