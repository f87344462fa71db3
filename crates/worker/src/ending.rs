//! How a worker comes to its end: by the rule for leaving, by signals, and by time.

use std::time::Duration;

use tokio::time::Instant;

use super::drain::Step;
use super::event_loop::{HASTE, Worker};
use super::held_items::ItemKey;
use super::program::Urgency;
use super::{Ending, HaltWhen, Notice, StopSignal, WorkerObserver};
use workqueue_core::queue::{Consuming, Queue};

/// How long after the grace period what is finished may take to be settled.
const SETTLE_GRACE: Duration = Duration::from_secs(4);

impl<Q: Queue, W: WorkerObserver> Worker<Q, W> {
    /// Asks the rule for leaving what to do next.
    pub(super) fn ask_drain(&mut self) {
        self.drain_at = None;
        let holds_items = self.items.holds_items();
        if self.stopping() || self.no_more || matches!(self.report.ending, Ending::Once(_)) {
            return;
        }
        if let Some(drain) = &mut self.drain {
            let step = drain.step(Instant::now(), holds_items);
            self.follow(step);
        }
    }

    /// Does what the rule says.
    pub(super) fn follow(&mut self, step: Step) {
        match step {
            Step::Wait => {}
            Step::WaitUntil(at) => self.drain_at = Some(at),
            Step::Aside => {
                self.queue.consume(Consuming::Paused);
                self.ask_drain();
            }
            Step::Look => {
                self.queue.request_counts();
                self.ask_drain();
            }
            Step::Return => {
                self.queue.consume(Consuming::Active);
                self.ask_drain();
            }
            Step::Leave => self.no_more = true,
        }
    }

    /// Takes a signal.
    pub(super) fn stop(&mut self, signal: StopSignal) {
        let now = Instant::now();
        // What is being ended already has no grace.
        if self.stopped_by.is_some() || *self.urgency_tx.borrow() >= Urgency::End {
            self.urgency_tx.send_replace(Urgency::Now);
            self.deadline = Some(now + HASTE);
            return;
        }
        self.stopped_by = Some(signal);
        self.report.ending = Ending::Stopped(signal);
        self.deadline = Some(now + self.shared.plan.grace);
        self.take_no_more(Urgency::Finish);
        self.shared.observer.on(Notice::Stopping { running: self.slots.len() });
    }

    /// Ends the worker if so many failed items of the run are too many.
    pub(super) fn halt_after(&mut self, failed: u64) {
        let Some(halt) = self.shared.plan.halt.filter(|halt| failed >= halt.failures) else { return };
        if self.stopping() {
            return;
        }
        self.halted = true;
        self.report.ending = Ending::Halted;
        match halt.when {
            HaltWhen::Soon => self.take_no_more(Urgency::Finish),
            HaltWhen::Now => {
                self.take_no_more(Urgency::End);
                self.deadline = Some(Instant::now() + SETTLE_GRACE);
            }
        }
        self.shared.observer.on(Notice::Halting { failed, running: self.slots.len() });
    }

    /// Gives back what does not run yet; what runs hears how urgent it is.
    fn take_no_more(&mut self, urgency: Urgency) {
        self.urgency_tx.send_replace(urgency);
        let idle = self.slots.is_empty();
        self.queue.consume(if idle { Consuming::Paused } else { Consuming::Leaving });
        for key in self.items.drain_waiting(0) {
            self.requeue(key);
        }
    }

    /// Gives an item back whose program was ended or is not started again; while others are being
    /// ended, it waits for them.
    pub(super) fn abandon(&mut self, key: ItemKey) {
        if self.slots.is_empty() || *self.urgency_tx.borrow() >= Urgency::End {
            self.abandoned.push(key);
        } else {
            self.requeue(key);
        }
    }

    /// Gives back what has waited for the last slot to get free. This worker stops counting as a
    /// consumer first, or it would be given the items itself, and the broker would count that.
    pub(super) fn requeue_abandoned(&mut self) {
        if self.slots.is_empty() && !self.abandoned.is_empty() {
            self.queue.consume(Consuming::Paused);
            for key in std::mem::take(&mut self.abandoned) {
                self.requeue(key);
            }
        }
    }

    /// The grace period is over, or what came after it.
    pub(super) fn out_of_time(&mut self) -> bool {
        let urgency = *self.urgency_tx.borrow();
        if urgency >= Urgency::End {
            return true;
        }
        self.urgency_tx.send_replace(Urgency::End);
        self.deadline = Some(Instant::now() + SETTLE_GRACE);
        false
    }
}
