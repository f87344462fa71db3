//! Enqueues items and reports exactly what became of them, across lost connections.

use std::future::Future;
use std::time::Duration;

use crate::error::Error;
use crate::items::{InputSource, Items};
use crate::notice::{Observer, Warning};
use crate::queue::connection::BrokerTarget;
use crate::queue::reconnect::Reconnector;
use crate::queue::resume_point::ResumePoint;
use crate::queue::transfer::Transfer;
use workqueue_amqp::publisher::{BatchProperties, Publisher};
use workqueue_amqp::topology::QueueSpec;
use workqueue_core::item::Position;
use workqueue_core::names::random_suffix;

/// Length of a batch's name, in characters: with 27^8 names, two batches are most unlikely to share
/// one, and with it their items' ids.
const BATCH_LENGTH: usize = 8;

pub struct EnqueuePlan {
    /// Declared if it is missing.
    pub queue: QueueSpec,
    pub source: InputSource,
    /// In bytes; larger items are refused.
    pub max_item_size: usize,
    /// What all messages have in common.
    pub batch_properties: BatchProperties,
    /// Give up after this long without a connection or a confirm; 0 for no limit.
    pub timeout: Duration,
    /// Continue where the last attempt at these files stopped.
    pub resume: bool,
}

/// What became of the items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnqueueReport {
    /// The first part of the items' ids.
    pub batch: String,
    /// Items at the start of the input that an earlier attempt settled; not counted below.
    pub skipped: u64,
    /// Items read, not counting bad input.
    pub read: u64,
    /// Items that the broker confirmed.
    pub confirmed: u64,
    /// Items that the broker refused.
    pub refused: u64,
    /// The first refused item, and why it was refused.
    pub first_refused: Option<(Position, String)>,
    /// How often items were published again after the connection broke: the queue holds at most
    /// this many duplicates.
    pub repeated: u64,
    /// Whether the user stopped the enqueue.
    pub interrupted: bool,
}

impl EnqueueReport {
    /// Whether every item of the input is in the queue.
    pub fn is_complete(&self) -> bool {
        self.read == self.confirmed && !self.interrupted
    }
}

/// Enqueues. The report is exact even if an error ends it early. `interrupt` stops reading; items in
/// flight still get a few seconds to be confirmed.
pub async fn enqueue(
    target: &BrokerTarget,
    plan: EnqueuePlan,
    observer: &dyn Observer,
    interrupt: impl Future<Output = ()>,
) -> (EnqueueReport, Result<(), Error>) {
    let batch = random_suffix(BATCH_LENGTH);
    let resume_point = match open_resume_point(target, &plan, &batch) {
        Ok(resume_point) => resume_point,
        Err(error) => return (EnqueueReport { batch, ..EnqueueReport::default() }, Err(error)),
    };
    let batch = resume_point.as_ref().map_or(batch, |point| point.batch().to_owned());
    let skipped = resume_point.as_ref().map_or(0, ResumePoint::settled);
    if let Some(settled) = resume_point.as_ref().and_then(ResumePoint::abandoned) {
        observer.warn(Warning::EarlierEnqueue { settled });
    }
    let publisher = Publisher::new(&plan.queue.name, &batch, skipped, &plan.batch_properties);
    let mut transfer = Transfer::new(observer, publisher, resume_point, skipped);
    let result = match Items::open(plan.source, plan.max_item_size) {
        Ok(items) => {
            let reconnector = Reconnector::new(target, &plan.queue, plan.timeout, skipped, observer);
            transfer.run(reconnector, items, std::pin::pin!(interrupt)).await
        }
        Err(error) => Err(error.into()),
    };
    (transfer.finish(batch, skipped, &result).await, result)
}

fn open_resume_point(
    target: &BrokerTarget,
    plan: &EnqueuePlan,
    batch: &str,
) -> Result<Option<ResumePoint>, Error> {
    // Bad arguments must not change anything, so the input is checked first.
    plan.source.check()?;
    ResumePoint::open(target, &plan.queue.name, &plan.source, batch, plan.resume)
}
