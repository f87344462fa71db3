//! The events of following pods and their logs.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

/// A line of a container's log.
#[derive(Debug)]
pub struct LogLine {
    pub pod: Arc<str>,
    pub container: Arc<str>,
    /// When the node has read it.
    pub time: Option<Timestamp>,
    /// Without its newline. A very long line comes in several pieces.
    pub text: Vec<u8>,
}

#[derive(Debug)]
pub enum PodEvent {
    Line(LogLine),
    /// A pod was created or changed.
    Pod(Box<Pod>),
    /// A pod was deleted; its last known state.
    Gone(Box<Pod>),
    /// A log could not be read to its end. No more of it follows.
    Incomplete {
        pod: Arc<str>,
        reason: String,
    },
}
