//! A run: Jobs over a queue, from their manifest to the end that is reported.

pub mod follow;
pub(crate) mod job_manifest;
pub mod logs;
pub mod plan;
pub mod queue_watch;
pub mod scale;
pub mod start;
