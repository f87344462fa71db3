//! Operations on queues: connect to the broker, enqueue items, peek, count, purge.

pub(crate) mod book;
pub mod connection;
pub mod declare;
pub mod dry_run;
pub mod enqueue;
pub mod enqueue_report;
pub mod input_gate;
pub mod peek;
mod reconnect;
mod resume_point;
pub(crate) mod spare;
pub(crate) mod state_dir;
mod transfer;
