//! Puts items into a queue: read, published, confirmed, counted.

use std::future::Future;

use super::session::Session;
use super::{Error, Event, Observer};
use crate::broker::publisher::{Publisher, Tally};
use crate::broker::topology::{self, Ensured, QueueSpec};
use crate::item::{Items, Position, Source};
use crate::names::{QueueName, random_suffix};

/// Characters of a batch's name: 27^8 names make a clash of two batches' ids next to impossible.
const BATCH_LENGTH: usize = 8;

/// Items between two progress events.
const PROGRESS_EVERY: u64 = 64;

/// What to enqueue, and where.
pub struct EnqueuePlan {
    /// The queue, made if it is missing.
    pub queue: QueueSpec,
    /// Where the items come from.
    pub source: Source,
    /// Larger items are refused; bytes.
    pub max_item_size: usize,
}

/// What became of the items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnqueueReport {
    /// The first part of the items' ids.
    pub batch: String,
    /// Items read, bad input not counted.
    pub read: u64,
    /// Items that the broker has taken charge of.
    pub confirmed: u64,
    /// Items that the broker refused.
    pub refused: u64,
    /// The first of those, and why.
    pub first_refused: Option<(Position, String)>,
    /// Whether the user stopped it.
    pub interrupted: bool,
}

impl EnqueueReport {
    /// Whether every item of the input is in the queue.
    pub fn is_complete(&self) -> bool {
        self.read == self.confirmed && !self.interrupted
    }
}

/// Enqueues. The report is exact also when an error ends it early; `interrupt` ends the reading,
/// and what is in flight is still waited for.
pub async fn enqueue(
    session: &Session,
    plan: EnqueuePlan,
    observer: &dyn Observer,
    interrupt: impl Future<Output = ()>,
) -> (EnqueueReport, Result<(), Error>) {
    let mut report = EnqueueReport { batch: random_suffix(BATCH_LENGTH), ..EnqueueReport::default() };
    let result = match open(session, plan, &report.batch, observer).await {
        Ok((items, mut publisher)) => {
            let result = transfer(session, items, &mut publisher, observer, interrupt, &mut report).await;
            let Tally { confirmed, refused, first_refused, .. } = publisher.tally().clone();
            report = EnqueueReport { confirmed, refused, first_refused, ..report };
            result
        }
        Err(error) => Err(error),
    };
    (report, result)
}

/// Checks the input, then makes the queue, then opens the publisher: bad arguments change nothing.
async fn open(
    session: &Session,
    plan: EnqueuePlan,
    batch: &str,
    observer: &dyn Observer,
) -> Result<(Items, Publisher), Error> {
    let items = Items::open(plan.source, plan.max_item_size)?;
    ensure_queue(session, &plan.queue, observer).await?;
    let publisher = Publisher::open(&session.broker, &plan.queue.name, batch).await;
    Ok((items, publisher.map_err(|error| session.explain(error))?))
}

/// Makes the queue if it is missing, and says what an existing one does not guarantee.
pub(super) async fn ensure_queue(
    session: &Session,
    spec: &QueueSpec,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let ensured = topology::ensure(&session.broker, spec).await.map_err(|error| session.explain(error))?;
    match ensured {
        Ensured::Created | Ensured::Present => {}
        Ensured::Different(reason) => observer.on(Event::Note(&different(&spec.name, &reason))),
        Ensured::CreatedClassic(reason) => observer.on(Event::Note(&format!(
            "the broker has no quorum queues ({reason}): queue {} is a classic one, where an item that \
             kills its workers is delivered again without end",
            spec.name
        ))),
    }
    Ok(())
}

fn different(queue: &QueueName, reason: &str) -> String {
    format!(
        "queue {queue} was made with other arguments and is used as it is; that items survive a crash of \
         the broker, and that an item that keeps failing ends in {}, is not guaranteed ({reason})",
        queue.failed()
    )
}

async fn transfer(
    session: &Session,
    mut items: Items,
    publisher: &mut Publisher,
    observer: &dyn Observer,
    interrupt: impl Future<Output = ()>,
    report: &mut EnqueueReport,
) -> Result<(), Error> {
    let mut interrupt = std::pin::pin!(interrupt);
    // Bad input and an interrupt end the reading; what was read before is still seen through.
    let mut reading = true;
    let mut bad_input = None;
    while reading || publisher.is_waiting() {
        if !reading || !publisher.has_room() {
            publisher.settle_one().await.map_err(|error| session.explain(error))?;
            tell(publisher, observer);
            continue;
        }
        tokio::select! {
            biased;
            () = &mut interrupt => {
                report.interrupted = true;
                reading = false;
            }
            item = items.next() => match item {
                Ok(Some(item)) => {
                    report.read += 1;
                    publisher.publish(item).await.map_err(|error| session.explain(error))?;
                }
                Ok(None) => reading = false,
                Err(error) => {
                    bad_input = Some(error);
                    reading = false;
                }
            },
            // A slow input must not keep the confirms waiting.
            settled = publisher.settle_one(), if publisher.is_waiting() => {
                settled.map_err(|error| session.explain(error))?;
                tell(publisher, observer);
            }
        }
    }
    let Tally { published, confirmed, .. } = *publisher.tally();
    observer.on(Event::Enqueued { published, confirmed });
    bad_input.map_or(Ok(()), |error| Err(error.into()))
}

fn tell(publisher: &Publisher, observer: &dyn Observer) {
    let Tally { published, confirmed, .. } = *publisher.tally();
    if confirmed.is_multiple_of(PROGRESS_EVERY) {
        observer.on(Event::Enqueued { published, confirmed });
    }
}
