//! Enqueues items and reports exactly what became of them, across lost connections.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::items::{InputSource, Items};
use crate::notice::{Observer, Warning};
use crate::queue::book;
use crate::queue::connection::BrokerTarget;
use crate::queue::enqueue_report::EnqueueReport;
use crate::queue::input_gate::InputGate;
use crate::queue::reconnect::Reconnector;
use crate::queue::resume_point::ResumePoint;
use crate::queue::transfer::Transfer;
use workqueue_amqp::publisher::{BatchProperties, Publisher};
use workqueue_amqp::topology::QueueSpec;
use workqueue_core::ledger::BookEntry;
use workqueue_core::names::{BATCH_LENGTH, QueueName, random_suffix};

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
    /// The batch that the items become; `None` for a random one.
    pub batch: Option<String>,
    /// Holds the reading back.
    pub gate: Option<Arc<InputGate>>,
}

/// Enqueues. The report is exact even if an error ends it early. `interrupt` stops reading; items in
/// flight still get a few seconds to be confirmed.
pub async fn enqueue(
    target: &BrokerTarget,
    plan: EnqueuePlan,
    observer: &dyn Observer,
    interrupt: impl Future<Output = ()>,
) -> (EnqueueReport, Result<(), Error>) {
    let batch = plan.batch.clone().unwrap_or_else(|| random_suffix(BATCH_LENGTH));
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
    let mut transfer = Transfer::new(observer, publisher, resume_point, skipped, plan.gate.clone());
    let result = match Items::open(plan.source, plan.max_item_size) {
        Ok(items) => {
            let reconnector = Reconnector::new(target, &plan.queue, plan.timeout, skipped, observer);
            transfer.run(reconnector, items, std::pin::pin!(interrupt)).await
        }
        Err(error) => Err(error.into()),
    };
    let report = transfer.finish(batch, skipped, &result).await;
    if !report.items.is_empty() && !matches!(result, Err(Error::QueueLost { .. })) {
        note_in_book(target, &plan.queue.name, &report, observer).await;
    }
    (report, result)
}

/// Writes the confirmed items into the queue's book. They are safe without it; only a run over them
/// could not be proven item by item.
async fn note_in_book(
    target: &BrokerTarget,
    queue: &QueueName,
    report: &EnqueueReport,
    observer: &dyn Observer,
) {
    let entry = BookEntry::Enqueued { items: report.items.clone(), repeated: report.repeated };
    if let Err(error) = book::note_at(target, queue, &entry).await {
        observer.warn(Warning::NotInBook { queue, reason: &error.to_string() });
    }
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
