//! What following the pods of a run reports.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

/// What a follower reports.
#[derive(Debug)]
pub enum PodEvent {
    /// A line of a pod's log, without its newline.
    Line {
        /// The pod.
        pod: Arc<str>,
        /// The line's bytes.
        line: Vec<u8>,
    },
    /// A pod as the watch shows it, at every change.
    Pod(Box<Pod>),
    /// A pod that was deleted, as it was at last.
    Gone(Box<Pod>),
    /// All that is said about a log that could not be read to its end.
    Incomplete {
        /// The pod.
        pod: Arc<str>,
        /// Why.
        reason: String,
    },
}
