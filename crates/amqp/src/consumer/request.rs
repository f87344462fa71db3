//! What the worker wants from its queue: the modules of the consumer share it.

use crate::Error;
use crate::error::is_not_found;
use workqueue_core::names::QueueName;
use workqueue_core::queue::{Consuming, DeliveryTag, Settlement};

/// What the worker wants of a session now.
#[derive(Debug)]
pub(super) struct ConsumerOptions {
    pub queue: QueueName,
    /// Exists for as long as there may be more items.
    pub input: Option<QueueName>,
    pub concurrency: u16,
    pub purpose: String,
    pub consuming: Consuming,
    pub prefetch_extra: bool,
}

/// A request of the worker.
#[derive(Debug)]
pub(super) enum WorkerRequest {
    Settle(DeliveryTag, Settlement),
    Consume(Consuming),
    Counts,
    PrefetchExtra(bool),
    Close,
}

/// The error of an operation on the worker's queue.
pub(super) fn refusal(options: &ConsumerOptions, operation: &str, error: &lapin::Error) -> Error {
    if is_not_found(error) {
        return Error::NoQueue(options.queue.clone());
    }
    Error::from_lapin(format!("{operation} from queue {}", options.queue), error)
}
