//! The loop: events of the queue, ends of programs, signals and time, one after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::attempts::{Outcome, Shared, process};
use super::drain::Drain;
use super::held_items::{HeldItems, ItemKey, Stage, Taken};
use super::output::Console;
use super::program::Urgency;
use super::reaper::Reaper;
use super::{Ending, Error, Notice, StopSignal, WorkerMode, WorkerObserver, WorkerPlan, WorkerReport};
use workqueue_core::queue::{Consuming, Queue, QueueEvent, Settlement};
use workqueue_core::record::{ResultRecord, Status};

/// How long what is finished may take to be settled after a second signal.
pub(super) const HASTE: Duration = Duration::from_secs(1);

/// Time between two looks at how many items of the run have failed.
const HALT_LOOK_EVERY: Duration = Duration::from_secs(1);

/// Items that take less than this on average are quick; the loop then looks ahead.
const QUICK: f64 = 0.1;

/// Items that take more than this on average are no longer quick.
const SLOW: f64 = 0.25;

/// Items that have more bytes than this on average are not taken ahead: the broker is asked for a
/// number of items, and as many as 256 of them have to fit into memory.
const LIGHT: f64 = 65_536.0;

/// Items that were taken ahead go back if they have more bytes than this together.
const MAX_AHEAD: usize = 16 << 20;

/// How long all slots may be taken by programs that do not end while items wait behind them, before
/// these are left to other workers.
const STALLED: Duration = Duration::from_secs(5);

/// Works on a queue until the plan's mode says that it is over, or a signal does.
///
/// Dropping the future kills the programs and leaves their items to the queue.
///
/// # Errors
/// The queue has failed for good, or the program cannot be started. Items in hand have gone back.
pub async fn run<Q: Queue, W: WorkerObserver>(
    queue: Q,
    plan: WorkerPlan,
    mut stop_rx: mpsc::UnboundedReceiver<StopSignal>,
    console: Console,
    reaper: Reaper,
    observer: W,
) -> Result<WorkerReport, Error<Q::Error>> {
    let mut worker = Worker::new(queue, Shared { plan, console, reaper, observer });
    let result = worker.work(&mut stop_rx).await;
    worker.finish(result).await
}

/// The loop's state.
pub(super) struct Worker<Q, W> {
    pub(super) queue: Q,
    pub(super) shared: Arc<Shared<W>>,
    pub(super) items: HeldItems,
    pub(super) slots: JoinSet<(ItemKey, Outcome, Duration)>,
    pub(super) urgency_tx: watch::Sender<Urgency>,
    pub(super) drain: Option<Drain>,
    /// When the drain rule wants to be asked again.
    pub(super) drain_at: Option<Instant>,
    /// When running items are ended, then when the worker goes in any case.
    pub(super) deadline: Option<Instant>,
    pub(super) stopped_by: Option<StopSignal>,
    pub(super) halted: bool,
    /// When to look again at how many items have failed.
    halt_look_at: Option<Instant>,
    /// Items that have failed here for good; not all of them are settled yet.
    failed_here: u64,
    failed_before: Option<u64>,
    pub(super) no_more: bool,
    /// Items that go back together, once nothing runs any more.
    pub(super) abandoned: Vec<ItemKey>,
    /// When a program was last started.
    started: Instant,
    /// Whether more items are taken than there are slots.
    prefetches_extra: bool,
    /// Averages of the time that programs take, in seconds, and of the bytes of their items; the last
    /// ones weigh most.
    average: Option<[f64; 2]>,
    pub(super) report: WorkerReport,
}

impl<Q: Queue, W: WorkerObserver> Worker<Q, W> {
    fn new(mut queue: Q, shared: Shared<W>) -> Self {
        let (now, linger, halts) = (Instant::now(), shared.plan.linger, shared.plan.halt.is_some());
        let drain = match shared.plan.mode {
            WorkerMode::Forever => None,
            // A worker that takes the place of one in a run that has halted must take nothing.
            WorkerMode::Once | WorkerMode::Drain if halts => Some(Drain::aside(now, linger)),
            WorkerMode::Once | WorkerMode::Drain => Some(Drain::new(now, linger)),
        };
        if drain.is_none() || !halts {
            queue.consume(Consuming::Active);
        }
        let failed_before = shared.plan.failed_before;
        Self {
            queue,
            shared: Arc::new(shared),
            items: HeldItems::default(),
            slots: JoinSet::new(),
            urgency_tx: watch::channel(Urgency::None).0,
            drain,
            drain_at: Some(now),
            deadline: None,
            stopped_by: None,
            halted: false,
            halt_look_at: halts.then_some(now + HALT_LOOK_EVERY),
            failed_here: 0,
            failed_before,
            no_more: false,
            abandoned: Vec::new(),
            started: now,
            prefetches_extra: false,
            average: None,
            report: WorkerReport { ending: Ending::Drained, done: 0, failed: 0, requeued: 0 },
        }
    }

    async fn work(
        &mut self,
        stop_rx: &mut mpsc::UnboundedReceiver<StopSignal>,
    ) -> Result<(), Error<Q::Error>> {
        loop {
            self.fill_slots();
            if self.is_over() {
                return Ok(());
            }
            let stalls_at = self.stalls_at();
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
                event = self.queue.next() => self.take(event.map_err(Error::Queue)?),
                () = until(self.drain_at), if !self.stopping() => self.ask_drain(),
                () = until(self.halt_look_at), if !self.stopping() => {
                    self.halt_look_at = Some(Instant::now() + HALT_LOOK_EVERY);
                    self.queue.request_counts();
                }
                () = until(stalls_at), if !self.stopping() => self.requeue_extra(),
                () = until(self.deadline) => if self.out_of_time() {
                    return Ok(());
                },
            }
        }
    }

    pub(super) fn stopping(&self) -> bool {
        self.stopped_by.is_some() || self.halted
    }

    fn is_over(&self) -> bool {
        let settled = matches!(self.report.ending, Ending::Once(_));
        (self.stopping() || self.no_more || settled) && !self.items.holds_items()
    }

    fn fill_slots(&mut self) {
        while self.slots.len() < self.shared.plan.concurrency && !self.stopping() {
            let Some((key, delivery)) = self.items.start() else { return };
            self.started = Instant::now();
            self.shared.observer.on(Notice::Started { id: &delivery.id, body: &delivery.body });
            let (shared, urgency) = (self.shared.clone(), self.urgency_tx.subscribe());
            self.slots.spawn(async move {
                let started = Instant::now();
                let outcome = process(&shared, &delivery, urgency).await;
                (key, outcome, started.elapsed())
            });
        }
    }

    fn take(&mut self, event: QueueEvent) {
        match event {
            QueueEvent::Delivery(delivery) => {
                let heavy = delivery.body.len() as f64 > LIGHT;
                match self.items.take(delivery) {
                    Taken::New(key) if self.stopping() => self.requeue(key),
                    Taken::New(_) if heavy && self.prefetches_extra => {
                        if self.items.waiting_bytes() > MAX_AHEAD {
                            self.requeue_extra();
                        }
                    }
                    Taken::New(_) => {}
                    Taken::Again(key) => self.settle_if_finished(key),
                }
            }
            QueueEvent::Settled(tag) => {
                let stage = self.items.settled(tag).map(|entry| entry.stage);
                match stage {
                    Some(Stage::Settling(record)) => self.count(record),
                    Some(Stage::Requeueing) => self.report.requeued += 1,
                    _ => {}
                }
            }
            QueueEvent::Lost(tag) => {
                if let Some(key) = self.items.lost(tag) {
                    self.lost(key);
                }
            }
            QueueEvent::Counts(counts) => {
                let before = *self.failed_before.get_or_insert(counts.failed);
                self.halt_after(counts.failed.saturating_sub(before));
                if self.stopping() {
                    return;
                }
                if let Some(drain) = &mut self.drain {
                    let step = drain.seen(Instant::now(), counts);
                    self.follow(step);
                }
            }
            QueueEvent::Note(note) => self.shared.observer.on(Notice::Note(&note)),
            QueueEvent::End => self.no_more = true,
        }
        self.ask_drain();
    }

    /// An item whose claim is void: it will come again, here or elsewhere.
    fn lost(&mut self, key: ItemKey) {
        match self.items.get(key).map(|entry| entry.stage.clone()) {
            Some(Stage::Settling(record)) => self.remember(key, record),
            Some(Stage::Requeueing) => {
                self.items.remove(key);
                self.report.requeued += 1;
            }
            Some(Stage::Waiting) => _ = self.items.remove(key),
            Some(Stage::Running | Stage::Finished(_)) | None => {}
        }
    }

    fn remember(&mut self, key: ItemKey, record: Arc<ResultRecord>) {
        self.items.set_stage(key, Stage::Finished(record));
        if let Some(Stage::Finished(record)) = self.items.remember(key).map(|entry| entry.stage) {
            self.shared.observer.on(Notice::Superseded(&record));
        }
    }

    fn ended(&mut self, key: ItemKey, outcome: Outcome, took: Duration) -> Result<(), Error<Q::Error>> {
        match outcome {
            Outcome::Settled(record) => {
                let bytes = self.items.get(key).map_or(0, |entry| entry.delivery.body.len());
                self.pace(took, bytes);
                if record.status == Status::Failed {
                    self.failed_here += 1;
                    self.halt_after(self.failed_here);
                }
                if self.items.get(key).is_some_and(|entry| entry.tag.is_some()) {
                    self.items.set_stage(key, Stage::Finished(record));
                    self.settle_if_finished(key);
                } else {
                    self.remember(key, record);
                }
            }
            Outcome::Abandoned => self.abandon(key),
            Outcome::NoProgram(source) => {
                self.requeue(key);
                let program = self.shared.plan.program.first().cloned().unwrap_or_default();
                return Err(Error::Program { program: program.to_string_lossy().into_owned(), source });
            }
        }
        self.requeue_abandoned();
        self.ask_drain();
        Ok(())
    }

    fn settle_if_finished(&mut self, key: ItemKey) {
        let Some(entry) = self.items.get(key) else { return };
        let (Some(tag), Stage::Finished(record)) = (entry.tag, entry.stage.clone()) else { return };
        let settlement = match record.status {
            Status::Done => Settlement::Done(record.clone()),
            Status::Failed => {
                Settlement::Failed { record: record.clone(), body: entry.delivery.body.clone() }
            }
        };
        if self.shared.plan.mode == WorkerMode::Once {
            // The next item would come as soon as this one is settled; one may have come already.
            self.queue.consume(Consuming::Paused);
            for waiting in self.items.drain_waiting(0) {
                self.requeue(waiting);
            }
        }
        self.queue.settle(tag, settlement);
        self.items.set_stage(key, Stage::Settling(record));
    }

    pub(super) fn requeue(&mut self, key: ItemKey) {
        match self.items.get(key).and_then(|entry| entry.tag) {
            Some(tag) => {
                self.queue.settle(tag, Settlement::Requeue);
                self.items.set_stage(key, Stage::Requeueing);
            }
            None => _ = self.items.remove(key),
        }
    }

    fn count(&mut self, record: Arc<ResultRecord>) {
        match record.status {
            Status::Done => self.report.done += 1,
            Status::Failed => {
                self.report.failed += 1;
                if self.halt_look_at.is_some() {
                    self.queue.request_counts();
                }
            }
        }
        self.shared.observer.on(Notice::Settled(&record));
        if self.shared.plan.mode == WorkerMode::Once {
            self.report.ending = Ending::Once(record);
        }
    }

    /// Keeps more items ready than there are slots while they are quick and light.
    fn pace(&mut self, took: Duration, bytes: usize) {
        const WEIGHT: f64 = 0.2;
        let last = [took.as_secs_f64(), bytes as f64];
        let average = self.average.unwrap_or(last);
        let average = [0, 1].map(|i| average[i] + WEIGHT * (last[i] - average[i]));
        self.average = Some(average);
        let [seconds, bytes] = average;
        if self.shared.plan.mode == WorkerMode::Once {
            return;
        }
        if seconds < QUICK && bytes < LIGHT {
            self.prefetches_extra = self.queue.prefetch_extra(true);
        } else if seconds > SLOW || bytes > LIGHT {
            self.prefetches_extra = self.queue.prefetch_extra(false);
        }
    }

    /// When items that were taken ahead have waited for too long. As many as there are slots are what
    /// any worker holds, and may come back at once if they are given back.
    fn stalls_at(&self) -> Option<Instant> {
        let ahead = self.prefetches_extra && self.items.waiting() > self.shared.plan.concurrency;
        ahead.then_some(self.started + STALLED)
    }

    /// Gives back what was taken ahead.
    fn requeue_extra(&mut self) {
        self.prefetches_extra = self.queue.prefetch_extra(false);
        for key in self.items.drain_waiting(self.shared.plan.concurrency) {
            self.requeue(key);
        }
    }

    /// Ends what still runs, and takes leave of the queue.
    async fn finish(mut self, result: Result<(), Error<Q::Error>>) -> Result<WorkerReport, Error<Q::Error>> {
        self.urgency_tx.send_replace(Urgency::Now);
        // Whatever is not settled goes back when the queue is closed.
        tokio::time::timeout(HASTE, async { while self.slots.join_next().await.is_some() {} }).await.ok();
        for record in self.items.take_finished() {
            self.shared.observer.on(Notice::Superseded(&record));
        }
        self.queue.close().await;
        result.map(|()| self.report)
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
