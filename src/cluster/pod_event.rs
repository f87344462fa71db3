//! The events of following pods and their logs.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

#[derive(Debug)]
pub enum PodEvent {
    /// A line of a pod's log, without its newline.
    Line { pod: Arc<str>, line: Vec<u8> },
    /// A pod was created or changed.
    Pod(Box<Pod>),
    /// A pod was deleted; its last known state.
    Gone(Box<Pod>),
    /// A log could not be read to its end. No more of it follows.
    Incomplete { pod: Arc<str>, reason: String },
}
