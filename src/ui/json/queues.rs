//! The reports of `queues`, `purge` and `failed purge`.

use serde::Serialize;

use crate::queue::peek::QueueRow;
use workqueue_amqp::topology::Depth;
use workqueue_core::names::QueueName;

/// The report of `queues`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueuesJson<'a> {
    /// Whether these are all queues of the broker.
    pub complete: bool,
    pub queues: Vec<QueueJson<'a>>,
}

/// A queue.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueJson<'a> {
    pub name: &'a str,
    /// Items in the queue that no worker holds.
    pub ready: u32,
    pub consumers: u32,
}

/// The report of `purge` and `failed purge`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PurgeJson<'a> {
    pub queue: &'a str,
    /// Items that were deleted.
    pub purged: u64,
}

impl<'a> QueuesJson<'a> {
    /// The queues of a broker, all of them if `complete`.
    pub fn of(rows: &'a [QueueRow], complete: bool) -> Self {
        Self { complete, queues: rows.iter().map(|row| QueueJson::of(&row.name, row.depth)).collect() }
    }
}

impl<'a> QueueJson<'a> {
    /// A queue with its depth.
    pub fn of(name: &'a QueueName, depth: Depth) -> Self {
        Self { name: name.as_str(), ready: depth.ready, consumers: depth.consumers }
    }
}

impl<'a> PurgeJson<'a> {
    /// How many items of a queue were deleted.
    pub fn of(queue: &'a QueueName, purged: u64) -> Self {
        Self { queue: queue.as_str(), purged }
    }
}
