//! The queues of a work queue: declared once with everything that keeps items safe, then counted and
//! purged.
//!
//! [`depth`] answers what is in a queue, and never takes an unknown count for 0. [`reported_depth`] is
//! for streams, and for lists of queues of any type.

mod confirmed;
mod declare;
mod exchange;
mod rehearse;
mod reported;

pub use confirmed::depth;
pub(crate) use confirmed::{ConfirmedDepth, confirmed_depth, depth_on};
pub use declare::{
    DELIVERY_LIMIT, Ensured, QueueSpec, compare, ensure, ensure_book, ensure_input, ensure_ledger,
    ensure_outputs, ensure_results,
};
pub(crate) use declare::{ensure_failed, ensure_starts};
pub(crate) use exchange::exchange_for_worker;
pub use rehearse::rehearse;
pub(crate) use reported::reported_on;
pub use reported::{Depth, delete, exists, purge, reported_depth};
