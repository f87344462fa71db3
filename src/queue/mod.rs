//! A queue: the way to its broker, items in, a look at what it holds.

pub mod connection;
pub mod dry_run;
pub mod enqueue;
pub mod peek;
pub mod reconnect;
mod resume_point;
