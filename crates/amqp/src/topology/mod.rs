//! The queues of a work queue: declared once with everything that keeps items safe, then counted and
//! purged.

mod count;
mod declare;

pub use count::{Depth, depth, exists, purge, reported_depth};
pub(crate) use declare::ensure_failed;
pub use declare::{Ensured, QueueSpec, ensure, ensure_results};
