//! Which queue a worker consumes from, and how.

use std::time::Duration;

use crate::Endpoint;
use workqueue_core::names::QueueName;

/// Which queue a worker consumes from, and how.
#[derive(Debug, Clone)]
pub struct ConsumerPlan {
    /// The broker. Settings of AMQP in its URL override the worker's own.
    pub endpoint: Endpoint,
    /// The queue.
    pub queue: QueueName,
    /// Items that run concurrently. The prefetch is the same, so that no item waits here while another
    /// worker is idle; only for quick items it is larger.
    pub concurrency: u16,
    /// Whether to record results.
    pub results: bool,
    /// The ledger in which outcomes are recorded, if there is one.
    pub ledger: Option<LedgerPlan>,
    /// Whether the run's input may have more items for as long as `QUEUE.input.RUN` exists.
    pub input: Option<QueueName>,
    /// How long to keep trying without a connection.
    pub give_up_after: Duration,
    /// The connection's name in the broker's own tools.
    pub purpose: String,
}

/// The ledger of a run, which whoever started the run has declared.
#[derive(Debug, Clone)]
pub struct LedgerPlan {
    /// The run.
    pub run: String,
    /// Whether to take part in keeping it, besides publishing outcomes.
    pub keeps: bool,
    /// Whether whole outputs are kept, in a queue that has been declared too.
    pub outputs: bool,
}
