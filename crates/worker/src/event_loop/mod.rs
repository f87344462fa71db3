//! The event loop: takes events of the queue, ends of programs, signals and time one by one, asks the
//! rules what follows, and does it. The rules are in modules of their own; see the crate's front page.

mod admitting;
mod leaving;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::attempts::{Outcome, Shared};
use crate::drain::Drain;
use crate::error::Error;
use crate::group::Urgency;
use crate::halt::Halting;
use crate::held_items::{ItemKey, Taken};
use crate::notice::{Ending, StopSignal, WorkerNotice, WorkerObserver, WorkerReport};
use crate::output::Console;
use crate::plan::{WorkerMode, WorkerPlan};
use crate::prefetch::Prefetch;
use crate::reaper::Reaper;
use crate::runtime_api::Residents;
use crate::settling::Settling;
use crate::shutdown::{HASTE, Shutdown};
use workqueue_core::queue::{Consuming, Delivery, Queue, QueueCounts, QueueEvent};
use workqueue_core::record::{ResultRecord, Status};

/// Works on a queue until the plan's mode ends it, or a signal does.
///
/// Dropping the future kills the programs; the queue requeues their items.
///
/// # Errors
/// The queue has failed, or the program cannot be started. Unfinished items are requeued.
pub async fn run<Q: Queue, W: WorkerObserver>(
    queue: Q,
    plan: WorkerPlan,
    mut stop_rx: mpsc::UnboundedReceiver<StopSignal>,
    console: Console,
    reaper: Reaper,
    observer: W,
) -> Result<WorkerReport, Error<Q::Error>> {
    let residents = Residents::new(&plan);
    let mut event_loop = EventLoop::new(queue, Shared { plan, console, reaper, observer, residents });
    let result = event_loop.work(&mut stop_rx).await;
    event_loop.finish(result).await
}

struct EventLoop<Q, W> {
    settling: Settling<Q, W>,
    shared: Arc<Shared<W>>,
    slots: JoinSet<(ItemKey, Outcome, Duration)>,
    /// The item beside which no other is started.
    alone: Option<ItemKey>,
    /// Whether the user knows that an item waits to be alone.
    waits_to_be_alone: bool,
    urgency_tx: watch::Sender<Urgency>,
    prefetch: Prefetch,
    halting: Halting,
    shutdown: Shutdown,
    drain: Option<Drain>,
    /// When to ask the rule for leaving again.
    drain_at: Option<Instant>,
    /// Whether no further item will be taken.
    no_more: bool,
    /// Items to be requeued together, once nothing runs any more.
    abandoned: Vec<ItemKey>,
    report: WorkerReport,
}

impl<Q: Queue, W: WorkerObserver> EventLoop<Q, W> {
    fn new(mut queue: Q, shared: Shared<W>) -> Self {
        let (now, plan) = (Instant::now(), &shared.plan);
        let halting = Halting::new(now, plan.halt, plan.failed_before);
        let drain = match plan.mode {
            WorkerMode::Forever => None,
            // A worker that replaces another one in a run that has halted must take nothing.
            WorkerMode::Once | WorkerMode::Drain if halting.is_on() => Some(Drain::aside(now, plan.linger)),
            WorkerMode::Once | WorkerMode::Drain => Some(Drain::new(now, plan.linger)),
        };
        if drain.is_none() || !halting.is_on() {
            queue.consume(Consuming::Active);
        }
        let (prefetch, shutdown) = (Prefetch::new(now, plan.concurrency), Shutdown::new(plan.grace));
        let shared = Arc::new(shared);
        Self {
            settling: Settling::new(queue, shared.clone()),
            shared,
            slots: JoinSet::new(),
            alone: None,
            waits_to_be_alone: false,
            urgency_tx: watch::channel(Urgency::None).0,
            prefetch,
            halting,
            shutdown,
            drain,
            drain_at: Some(now),
            no_more: false,
            abandoned: Vec::new(),
            report: WorkerReport { ending: Ending::Drained, done: 0, failed: 0, requeued: 0 },
        }
    }

    async fn work(
        &mut self,
        stop_rx: &mut mpsc::UnboundedReceiver<StopSignal>,
    ) -> Result<(), Error<Q::Error>> {
        loop {
            self.fill_slots();
            self.settling.tell_ended();
            if self.is_over() {
                return Ok(());
            }
            let stopping = self.shutdown.is_stopping();
            let stalls_at = self.prefetch.stalls_at(self.settling.items.waiting());
            tokio::select! {
                biased;
                Some(signal) = stop_rx.recv() => self.stop(signal),
                Some(ended) = self.slots.join_next() => {
                    let (key, outcome, took) = ended.unwrap_or_else(|error| match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        Err(_) => unreachable!("no slot is aborted while the loop runs"),
                    });
                    self.ended(key, outcome, took)?;
                }
                event = self.settling.queue.next() => self.take(event.map_err(Error::Queue)?),
                () = until(self.drain_at), if !stopping => self.ask_drain(),
                () = until(self.halting.next_count()), if !stopping => {
                    self.halting.count_requested(Instant::now());
                    self.settling.queue.request_counts();
                }
                () = until(self.settling.deaths.decides_at()), if !stopping => self.look_again(),
                () = until(stalls_at), if !stopping => self.prefetch_no_extra(),
                () = until(self.shutdown.deadline()) => if self.out_of_time() {
                    return Ok(());
                },
            }
        }
    }

    fn is_over(&self) -> bool {
        let settled = matches!(self.report.ending, Ending::Once(_));
        (self.shutdown.is_stopping() || self.no_more || settled) && !self.settling.items.holds_items()
    }

    fn take(&mut self, event: QueueEvent) {
        match event {
            QueueEvent::Delivery(delivery) => self.delivered(delivery),
            QueueEvent::Settled(tag) => {
                if let Some(record) = self.settling.settled(tag) {
                    self.settled(record);
                }
            }
            QueueEvent::Lost(tag) => self.settling.lost(tag),
            QueueEvent::Heard(message) => self.heard(message),
            QueueEvent::Deaf(reason) => self.deafened(&reason),
            QueueEvent::Counts(counts) => self.counted(counts),
            QueueEvent::Note(note) => self.shared.observer.on(WorkerNotice::Note(&note)),
            QueueEvent::End => self.no_more = true,
        }
        self.ask_drain();
    }

    fn delivered(&mut self, delivery: Delivery) {
        let (bytes, came_back) = (delivery.body.len(), delivery.earlier_deliveries > 0);
        match self.settling.items.take(delivery) {
            Taken::New(key) if self.shutdown.is_stopping() => self.settling.requeue(key),
            Taken::New(key) => {
                if came_back {
                    self.settling.look(Instant::now(), key);
                }
                if self.prefetch.is_too_much(bytes, || self.settling.items.waiting_bytes()) {
                    self.prefetch_no_extra();
                }
            }
            Taken::Again(key) => {
                self.settling.redelivered(key);
                self.settle_if_finished(key);
            }
        }
    }

    fn counted(&mut self, counts: QueueCounts) {
        let halts = self.halting.counted(counts.failed);
        self.halt(halts);
        if self.shutdown.is_stopping() {
            return;
        }
        if let Some(drain) = &mut self.drain {
            let step = drain.seen(Instant::now(), counts);
            self.follow(step);
        }
    }

    fn ended(&mut self, key: ItemKey, outcome: Outcome, took: Duration) -> Result<(), Error<Q::Error>> {
        self.alone = self.alone.filter(|alone| *alone != key);
        match outcome {
            Outcome::Settled(record) => self.finished(key, record, took),
            Outcome::Abandoned => self.abandon(key),
            Outcome::NoProgram(source) => {
                self.settling.requeue(key);
                let program = self.shared.plan.program.first().cloned().unwrap_or_default();
                return Err(Error::Program { program: program.to_string_lossy().into_owned(), source });
            }
        }
        self.requeue_abandoned();
        self.ask_drain();
        Ok(())
    }

    fn finished(&mut self, key: ItemKey, record: Arc<ResultRecord>, took: Duration) {
        let bytes = self.settling.items.get(key).map_or(0, |entry| entry.delivery.body.len());
        if let Some(extra) = self.prefetch.finished(took, bytes)
            && self.shared.plan.mode != WorkerMode::Once
        {
            let active = self.settling.queue.prefetch_extra(extra);
            self.prefetch.set_active(active);
        }
        self.concluded(key, record);
    }

    /// An item is done or has failed.
    fn concluded(&mut self, key: ItemKey, record: Arc<ResultRecord>) {
        if record.status == Status::Failed {
            let halts = self.halting.failed();
            self.halt(halts);
        }
        self.settling.finished(key, record);
        self.settle_if_finished(key);
    }

    fn settled(&mut self, record: Arc<ResultRecord>) {
        match record.status {
            Status::Done => self.report.done += 1,
            Status::Failed => {
                self.report.failed += 1;
                if self.halting.is_on() {
                    self.settling.queue.request_counts();
                }
            }
        }
        self.shared.observer.on(WorkerNotice::Settled(&record));
        if self.shared.plan.mode == WorkerMode::Once {
            self.report.ending = Ending::Once(record);
        }
    }

    fn settle_if_finished(&mut self, key: ItemKey) {
        if !self.settling.can_settle(key) {
            return;
        }
        if self.shared.plan.mode == WorkerMode::Once {
            // The next item would be delivered as soon as this one is settled; one may have been
            // delivered already.
            self.settling.queue.consume(Consuming::Paused);
            self.settling.requeue_waiting(0);
        }
        self.settling.settle(key);
    }

    fn prefetch_no_extra(&mut self) {
        let active = self.settling.queue.prefetch_extra(false);
        self.prefetch.set_active(active);
        self.settling.requeue_waiting(self.shared.plan.concurrency);
    }

    /// Ends what still runs, and closes the queue.
    async fn finish(mut self, result: Result<(), Error<Q::Error>>) -> Result<WorkerReport, Error<Q::Error>> {
        self.end_residents().await;
        self.urgency_tx.send_replace(Urgency::Now);
        // Everything that is not settled is requeued when the queue is closed.
        tokio::time::timeout(HASTE, async { while self.slots.join_next().await.is_some() {} }).await.ok();
        self.report.requeued = self.settling.requeued;
        self.settling.close().await;
        result.map(|()| self.report)
    }

    /// Ends the programs that stay, unless there is no time to ask them.
    async fn end_residents(&self) {
        if let Some(residents) = &self.shared.residents
            && self.shutdown.urgency() < Urgency::Now
        {
            self.urgency_tx.send_replace(Urgency::End);
            tokio::time::timeout(HASTE * 3, residents.ended()).await.ok();
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
