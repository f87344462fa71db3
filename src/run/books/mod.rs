//! The books of a run: opened before its Job is created, and closed once it has ended. What a report or
//! an exit code says of a run's items comes from here.

mod close;
mod closing;
mod counts;
mod earlier;
mod open;
mod remains;
pub(crate) mod room;
mod verdict;

pub(crate) use close::close;
pub(crate) use earlier::close_alone;
pub(crate) use open::{Opening, Own, open};
pub use verdict::{Proof, Verdict};
