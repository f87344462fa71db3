//! Puts items into a queue: read, published, confirmed, counted; whatever breaks on the way.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::heal::Line;
use super::journal::Journal;
use super::session::Reach;
use super::{Error, Event, Observer};
use crate::items::{Items, Source};
use workqueue_amqp::publisher::{BatchProperties, PublishCounts, Publisher};
use workqueue_amqp::topology::QueueSpec;
use workqueue_core::item::{Item, Position};
use workqueue_core::names::random_suffix;

/// Characters of a batch's name: 27^8 names make a clash of two batches' ids next to impossible.
const BATCH_LENGTH: usize = 8;

/// Time between two progress events.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// How long an interrupt waits for the confirms of what is in flight.
const GRACE: Duration = Duration::from_secs(5);

/// What to enqueue, and where.
pub struct EnqueuePlan {
    /// The queue, made if it is missing.
    pub queue: QueueSpec,
    /// Where the items come from.
    pub source: Source,
    /// Larger items are refused; bytes.
    pub max_item_size: usize,
    /// What all messages have in common.
    pub batch_properties: BatchProperties,
    /// Give up after this long without a connection or a confirm; 0 for never.
    pub timeout: Duration,
    /// Go on where the last attempt at these files stopped.
    pub resume: bool,
}

/// What became of the items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnqueueReport {
    /// The first part of the items' ids.
    pub batch: String,
    /// Items at the start of the input that an earlier attempt has settled; not counted below.
    pub skipped: u64,
    /// Items read, bad input not counted.
    pub read: u64,
    /// Items that the broker has taken charge of.
    pub confirmed: u64,
    /// Items that the broker refused.
    pub refused: u64,
    /// The first of those, and why.
    pub first_refused: Option<(Position, String)>,
    /// Times that an item was published again after the connection broke: at most so many items
    /// too many are in the queue.
    pub repeated: u64,
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
/// and what is in flight is still waited for, for a few seconds.
pub async fn enqueue(
    reach: &Reach,
    plan: EnqueuePlan,
    observer: &dyn Observer,
    interrupt: impl Future<Output = ()>,
) -> (EnqueueReport, Result<(), Error>) {
    let batch = random_suffix(BATCH_LENGTH);
    // Bad arguments change nothing: the input is looked at first.
    if let Err(error) = plan.source.check() {
        return (EnqueueReport { batch, ..EnqueueReport::default() }, Err(error.into()));
    }
    let journal = match Journal::open(reach, &plan.queue.name, &plan.source, &batch, plan.resume) {
        Ok(journal) => journal,
        Err(error) => return (EnqueueReport { batch, ..EnqueueReport::default() }, Err(error)),
    };
    let batch = journal.as_ref().map_or(batch, |journal| journal.batch().to_owned());
    let skipped = journal.as_ref().map_or(0, Journal::settled);
    if let Some(left) = journal.as_ref().and_then(Journal::left_behind) {
        observer.on(Event::Note(&format!(
            "an earlier attempt at this input stopped after {left} items; enqueue --resume goes on from there, \
             and this one enqueues them again"
        )));
    }
    let mut transfer = Transfer {
        observer,
        publisher: Publisher::new(&plan.queue.name, &batch, skipped, &plan.batch_properties),
        journal,
        skip: skipped,
        pending: Vec::new().into_iter(),
        reading: true,
        bad_input: None,
        interrupted: None,
        told: Instant::now(),
    };
    let result = match Items::open(plan.source, plan.max_item_size) {
        Ok(items) => {
            let line = Line::new(reach, &plan.queue, plan.timeout, skipped, observer);
            transfer.run(line, items, std::pin::pin!(interrupt)).await
        }
        Err(error) => Err(error.into()),
    };
    let interrupted = transfer.interrupted.is_some();
    if let Some(mut journal) = transfer.journal.take() {
        let is_over = match &result {
            Ok(()) => !interrupted,
            // There is nothing to go on with: what was settled is gone.
            Err(error) => matches!(error, Error::QueueLost { .. }),
        };
        if is_over {
            journal.remove();
        } else {
            journal.keep(transfer.publisher.settled_up_to());
        }
    }
    let PublishCounts { published, confirmed, refused, first_refused, repeated } =
        transfer.publisher.counts().clone();
    transfer.publisher.close().await;
    let report = EnqueueReport {
        batch,
        skipped,
        read: published,
        confirmed,
        refused,
        first_refused,
        repeated,
        interrupted,
    };
    (report, result)
}

/// A transfer under way.
struct Transfer<'a> {
    observer: &'a dyn Observer,
    publisher: Publisher,
    journal: Option<Journal>,
    /// Items that an earlier attempt has settled, and that are still to be passed over.
    skip: u64,
    /// Read, but not yet in the publisher's window.
    pending: std::vec::IntoIter<Item>,
    reading: bool,
    bad_input: Option<Error>,
    /// When the user stopped it.
    interrupted: Option<Instant>,
    /// When the last progress event went out.
    told: Instant,
}

impl Transfer<'_> {
    async fn run<I: Future<Output = ()>>(
        &mut self,
        mut line: Line<'_>,
        mut items: Items,
        mut interrupt: Pin<&mut I>,
    ) -> Result<(), Error> {
        let mut connecting = self.connect(&mut line, None, interrupt.as_mut()).await;
        loop {
            connecting?;
            if self.interrupted.is_some() && line.is_down() {
                break;
            }
            match self.transfer(&mut line, &mut items, interrupt.as_mut()).await {
                Ok(()) => break,
                // Nobody waits for what a new connection would bring.
                Err(error) if line.heals(&error) && self.interrupted.is_some() => break,
                Err(error) if line.heals(&error) => {
                    connecting = self.connect(&mut line, Some(error), interrupt.as_mut()).await;
                }
                Err(error) => return Err(error),
            }
        }
        self.tell(&items, true);
        self.bad_input.take().map_or(Ok(()), Err)
    }

    /// Connects, for the first time or after an error; an interrupt ends the attempts.
    async fn connect<I: Future<Output = ()>>(
        &mut self,
        line: &mut Line<'_>,
        broken: Option<Error>,
        interrupt: Pin<&mut I>,
    ) -> Result<(), Error> {
        if self.interrupted.is_some() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = interrupt => {
                self.stop();
                Ok(())
            }
            result = line.connect(&mut self.publisher, broken) => result,
        }
    }

    fn stop(&mut self) {
        self.interrupted = Some(Instant::now());
        self.reading = false;
        self.pending = Vec::new().into_iter();
    }

    /// Publishes until everything is settled or the connection breaks.
    async fn transfer<I: Future<Output = ()>>(
        &mut self,
        line: &mut Line<'_>,
        items: &mut Items,
        mut interrupt: Pin<&mut I>,
    ) -> Result<(), Error> {
        loop {
            while self.publisher.has_room()
                && let Some(item) = self.pending.next()
            {
                self.publisher.push(item);
            }
            let read_on = self.reading && self.pending.len() == 0 && self.publisher.has_room();
            let (waiting, in_flight) = (self.publisher.is_waiting(), self.publisher.in_flight());
            if !waiting && !self.reading && self.pending.len() == 0 {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = interrupt.as_mut(), if self.interrupted.is_none() => self.stop(),
                progress = self.publisher.drive() => {
                    line.moved(progress)?;
                    // Heartbeats alone are no progress.
                    if self.publisher.in_flight() < in_flight {
                        line.note_progress();
                    }
                    self.tell(items, false);
                }
                // Bad input ends the reading; what was read before is still seen through.
                batch = items.next_batch(), if read_on => match batch {
                    Ok(Some(mut batch)) => {
                        let known = usize::try_from(self.skip).map_or(batch.len(), |skip| skip.min(batch.len()));
                        self.skip -= known as u64;
                        batch.drain(..known);
                        self.pending = batch.into_iter();
                        line.note_progress();
                    }
                    Ok(None) => self.reading = false,
                    Err(error) => {
                        self.bad_input = Some(error.into());
                        self.reading = false;
                    }
                },
                () = tokio::time::sleep_until(line.stall()), if waiting && line.can_stall() => {
                    return Err(line.stalled());
                }
                () = grace(self.interrupted), if self.interrupted.is_some() => return Ok(()),
            }
        }
    }

    fn tell(&mut self, items: &Items, now: bool) {
        let share = items.share_read();
        if now || self.told.elapsed() >= PROGRESS_EVERY {
            self.told = Instant::now();
            let PublishCounts { published, confirmed, .. } = *self.publisher.counts();
            self.observer.on(Event::Enqueued { published, confirmed, share });
            if let Some(journal) = &mut self.journal {
                journal.keep(self.publisher.settled_up_to());
            }
        }
    }
}

async fn grace(interrupted: Option<Instant>) {
    if let Some(at) = interrupted {
        tokio::time::sleep_until(at + GRACE).await;
    }
}
