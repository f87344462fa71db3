//! Moves items from the input through the publisher into the queue.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::items;
use crate::items::{InputNotes, Items};
use crate::notice::{Notice, Observer};
use crate::queue::enqueue_report::EnqueueReport;
use crate::queue::input_gate::InputGate;
use crate::queue::reconnect::Reconnector;
use crate::queue::resume_point::ResumePoint;
use workqueue_amqp::publisher::{PublishCounts, Publisher};
use workqueue_core::item::Item;
use workqueue_core::ledger::ItemSet;

/// Time between two progress notices.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// How long an interrupted transfer waits for outstanding confirms.
const GRACE: Duration = Duration::from_secs(5);

pub(super) struct Transfer<'a> {
    observer: &'a dyn Observer,
    publisher: Publisher,
    resume_point: Option<ResumePoint>,
    /// How many more items of the input to skip, since an earlier attempt settled them.
    skip: u64,
    /// Read, but not yet in the publisher's window.
    pending: std::vec::IntoIter<Item>,
    reading: bool,
    /// Blank lines read.
    blank: u64,
    bad_input: Option<Error>,
    /// What was read: items, and their bytes.
    read: (u64, u64),
    gate: Option<Arc<InputGate>>,
    /// Whether somebody was told of the first confirm.
    told: bool,
    /// When the user stopped the transfer.
    interrupted_at: Option<Instant>,
    /// When the last progress notice was sent.
    reported_at: Instant,
}

impl<'a> Transfer<'a> {
    pub(super) fn new(
        observer: &'a dyn Observer,
        publisher: Publisher,
        resume_point: Option<ResumePoint>,
        skip: u64,
        gate: Option<Arc<InputGate>>,
    ) -> Self {
        Self {
            observer,
            publisher,
            resume_point,
            skip,
            pending: Vec::new().into_iter(),
            reading: true,
            blank: 0,
            bad_input: None,
            read: (0, 0),
            gate,
            told: false,
            interrupted_at: None,
            reported_at: Instant::now(),
        }
    }

    pub(super) async fn run<I: Future<Output = ()>>(
        &mut self,
        mut reconnector: Reconnector<'_>,
        mut items: Items,
        mut interrupt: Pin<&mut I>,
    ) -> Result<(), Error> {
        let mut connected = self.connect(&mut reconnector, None, interrupt.as_mut()).await;
        loop {
            connected?;
            // From now on, what is missing is input.
            self.report_progress(&items);
            if self.interrupted_at.is_some() && reconnector.is_down() {
                break;
            }
            match self.publish(&mut reconnector, &mut items, interrupt.as_mut()).await {
                Ok(()) => break,
                Err(error) if !reconnector.is_recoverable(&error) => return Err(error),
                // The user does not want to wait for another connection.
                Err(_) if self.interrupted_at.is_some() => break,
                Err(error) => {
                    connected = self.connect(&mut reconnector, Some(error), interrupt.as_mut()).await;
                }
            }
        }
        self.report_progress(&items);
        self.bad_input.take().map_or(Ok(()), Err)
    }

    /// Connects, for the first time or after an error; an interrupt ends the attempts.
    async fn connect<I: Future<Output = ()>>(
        &mut self,
        reconnector: &mut Reconnector<'_>,
        broken: Option<Error>,
        interrupt: Pin<&mut I>,
    ) -> Result<(), Error> {
        if self.interrupted_at.is_some() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = interrupt => {
                self.stop();
                Ok(())
            }
            result = reconnector.connect(&mut self.publisher, broken) => result,
        }
    }

    fn stop(&mut self) {
        self.interrupted_at = Some(Instant::now());
        self.reading = false;
        self.pending = Vec::new().into_iter();
    }

    /// Publishes until everything is settled or the connection breaks.
    async fn publish<I: Future<Output = ()>>(
        &mut self,
        reconnector: &mut Reconnector<'_>,
        items: &mut Items,
        mut interrupt: Pin<&mut I>,
    ) -> Result<(), Error> {
        loop {
            self.fill_window();
            let (waiting, in_flight) = (self.publisher.is_waiting(), self.publisher.in_flight());
            let all_pushed = self.pending.len() == 0;
            if !waiting && !self.reading && all_pushed {
                return Ok(());
            }
            let read_on = self.reading && all_pushed && self.publisher.has_room();
            let (gate, (read, bytes)) = (self.gate.clone(), self.read);
            let reading = async {
                if let Some(gate) = gate {
                    gate.passes(read, bytes).await;
                }
                items.next_chunk().await
            };
            let mut progressed = false;
            tokio::select! {
                biased;
                () = interrupt.as_mut(), if self.interrupted_at.is_none() => self.stop(),
                progress = self.publisher.drive() => {
                    reconnector.handle_progress(progress)?;
                    // Heartbeats are not progress.
                    if self.publisher.in_flight() < in_flight {
                        reconnector.restart_timeout();
                    }
                    progressed = true;
                }
                chunk = reading, if read_on => self.accept_items(chunk, &items.notes(), reconnector),
                () = tokio::time::sleep_until(reconnector.stalls_at()), if waiting && reconnector.can_stall() => {
                    return Err(reconnector.stalled());
                }
                () = grace_period(self.interrupted_at), if self.interrupted_at.is_some() => return Ok(()),
            }
            let is_first = !self.told && self.publisher.counts().confirmed > 0;
            if progressed && (is_first || self.reported_at.elapsed() >= PROGRESS_EVERY) {
                self.told |= is_first;
                self.report_progress(items);
            }
        }
    }

    fn fill_window(&mut self) {
        while self.publisher.has_room()
            && let Some(item) = self.pending.next()
        {
            self.publisher.push(item);
        }
    }

    /// Accepts items from the input. Bad input ends the reading; the items before it are still
    /// published.
    fn accept_items(
        &mut self,
        chunk: Result<Option<Vec<Item>>, items::Error>,
        notes: &InputNotes,
        reconnector: &mut Reconnector<'_>,
    ) {
        self.observer.warn_of_input(notes);
        self.blank = notes.blank();
        match chunk {
            Ok(Some(mut chunk)) => {
                self.read.0 += chunk.len() as u64;
                self.read.1 += chunk.iter().map(|item| item.body.len() as u64).sum::<u64>();
                let skipped = usize::try_from(self.skip).map_or(chunk.len(), |skip| skip.min(chunk.len()));
                self.skip -= skipped as u64;
                chunk.drain(..skipped);
                self.pending = chunk.into_iter();
                reconnector.restart_timeout();
            }
            Ok(None) => self.reading = false,
            Err(error) => {
                self.bad_input = Some(error.into());
                self.reading = false;
            }
        }
    }

    fn report_progress(&mut self, items: &Items) {
        self.reported_at = Instant::now();
        let PublishCounts { published, confirmed, .. } = *self.publisher.counts();
        self.observer.on(Notice::Enqueued { published, confirmed, share: items.share_read() });
        if let Some(resume_point) = &mut self.resume_point {
            resume_point.save(self.publisher.settled_up_to());
        }
    }

    /// Saves or removes the resume point, closes the connection, and reports.
    pub(super) async fn finish(
        mut self,
        batch: String,
        skipped: u64,
        result: &Result<(), Error>,
    ) -> EnqueueReport {
        let (interrupted, blank) = (self.interrupted_at.is_some(), self.blank);
        // After the loss of a queue nothing is settled any more: there is nothing to resume.
        let is_over =
            result.as_ref().map_or_else(|error| matches!(error, Error::QueueLost { .. }), |()| !interrupted);
        match self.resume_point.take() {
            Some(resume_point) if is_over => resume_point.remove(),
            Some(mut resume_point) => resume_point.save(self.publisher.settled_up_to()),
            None => {}
        }
        let PublishCounts { published, confirmed, refused, first_refused, repeated } =
            self.publisher.counts().clone();
        let mut items = self.publisher.confirmed().clone();
        items.add(&ItemSet::range(&batch, 1, u32::try_from(skipped).unwrap_or(u32::MAX)));
        self.publisher.close().await;
        EnqueueReport {
            batch,
            items,
            skipped,
            read: published,
            blank,
            confirmed,
            refused,
            first_refused,
            repeated,
            interrupted,
        }
    }
}

async fn grace_period(interrupted_at: Option<Instant>) {
    if let Some(at) = interrupted_at {
        tokio::time::sleep_until(at + GRACE).await;
    }
}
