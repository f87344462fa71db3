//! A broker's queue as the worker sees it: consumes items and settles them, over one session after
//! another.
//!
//! From the top: [`BrokerQueue`] hands the worker's requests to the task in `reconnect`, which opens one
//! `session` after another. A session has `subscriptions`, which bring deliveries, and `settlements`, which
//! form a `batch` of what is finished and let the `Settler` (in `settle`) settle it: it publishes
//! `dead_letters`, `outputs`, `records` and `outcomes`, each through an `outlet`. `keeping` writes outcomes into the
//! ledger, `counting` counts, `marks` carries what workers tell each other; all share the types in `request`, `plan`, `wanted` and `held_delivery`, tell
//! the user by `notes`, and have the same `patience`.

mod acknowledged;
mod batch;
mod counting;
mod dead_letters;
#[cfg(test)]
mod fake_broker_tests;
mod held_delivery;
mod keeping;
mod marks;
mod notes;
mod outcomes;
mod outlet;
mod outputs;
mod patience;
mod plan;
mod reconnect;
mod records;
mod request;
mod session;
mod settle;
mod settlements;
mod subscriptions;
mod wanted;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::Error;
use workqueue_core::mark::MarkMessage;
use workqueue_core::queue::{Consuming, DeliveryTag, Queue, QueueEvent, Settlement};

use marks::Marks;
use reconnect::Reconnecting;
use request::WorkerRequest;

pub use plan::{ConsumerPlan, LedgerPlan};

/// Seconds between a worker's heartbeats. RabbitMQ considers a peer dead after two to three times this (`rabbit_heartbeat.erl`); see [`DEAD_AFTER`].
const HEARTBEAT_SECONDS: u16 = 15;

/// The longest time that a broker takes to notice that a worker's machine is gone, with a margin for
/// requeueing its items.
pub const DEAD_AFTER: Duration = Duration::from_secs(4 * HEARTBEAT_SECONDS as u64);

/// The largest frame, in bytes. lapin keeps buffers of 32 frames each way: with the broker's
/// 128 KiB these would take 8 MiB, and the worker is meant to be small. The headers of a failed item
/// have to fit one frame.
const FRAME_MAX: u32 = 64 * 1024;

/// How long closing may take in all: a pod has some seconds after its grace period.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(6);

/// A broker's queue as one worker sees it.
pub struct BrokerQueue {
    events_rx: mpsc::UnboundedReceiver<Result<QueueEvent, Error>>,
    requests_tx: mpsc::UnboundedSender<WorkerRequest>,
    task: JoinHandle<()>,
    prefetch_extra: bool,
    plan: ConsumerPlan,
    /// Opened when there is something to tell.
    marks: Option<Marks>,
}

impl BrokerQueue {
    /// Starts to connect, and returns before there is a connection; errors arrive as events.
    pub fn open(mut plan: ConsumerPlan) -> Self {
        plan.endpoint.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        plan.endpoint.query.frame_max.get_or_insert(FRAME_MAX);
        // Neither direction needs a bound: the prefetch bounds the deliveries, and the deliveries
        // bound the requests.
        let (events_tx, events_rx) = mpsc::unbounded_channel();
        let (requests_tx, requests_rx) = mpsc::unbounded_channel();
        let task = tokio::spawn(Reconnecting::new(plan.clone(), events_tx, requests_rx).run());
        Self { events_rx, requests_tx, task, prefetch_extra: false, plan, marks: None }
    }

    fn ask(&self, request: WorkerRequest) {
        // A task that has ended has said why in its last event.
        self.requests_tx.send(request).ok();
    }
}

impl Queue for BrokerQueue {
    type Error = Error;

    async fn next(&mut self) -> Result<QueueEvent, Error> {
        let heard = async {
            match &mut self.marks {
                Some(marks) => marks.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = self.events_rx.recv() => match event {
                Some(event) => event,
                None => Err(Error::Connection("the connection's task has ended".to_owned())),
            },
            event = heard => Ok(event),
        }
    }

    fn settle(&mut self, tag: DeliveryTag, settlement: Settlement) {
        self.ask(WorkerRequest::Settle(tag, settlement));
    }

    fn consume(&mut self, how: Consuming) {
        self.ask(WorkerRequest::Consume(how));
    }

    fn request_counts(&mut self) {
        self.ask(WorkerRequest::Counts);
    }

    fn prefetch_extra(&mut self, extra: bool) -> bool {
        if self.prefetch_extra != extra {
            self.prefetch_extra = extra;
            self.ask(WorkerRequest::PrefetchExtra(extra));
        }
        extra
    }

    fn tell(&mut self, message: MarkMessage) {
        self.marks.get_or_insert_with(|| Marks::open(self.plan.clone())).tell(message);
    }

    async fn close(self) {
        if let Some(marks) = &self.marks {
            marks.flush().await;
        }
        self.ask(WorkerRequest::Close);
        // A panic in the task is ignored: the connection is gone either way. So is a broker that does
        // not answer within the pod's grace period.
        let mut task = self.task;
        if tokio::time::timeout(CLOSE_TIMEOUT, &mut task).await.is_err() {
            task.abort();
        }
    }
}
