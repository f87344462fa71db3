//! How the event loop comes to its end: it does what the rules for leaving, halting and shutting down say.

use tokio::time::Instant;

use super::EventLoop;
use crate::drain::DrainStep;
use crate::group::Urgency;
use crate::halt::HaltWhen;
use crate::held_items::ItemKey;
use crate::notice::{Ending, StopSignal, WorkerNotice, WorkerObserver};
use workqueue_core::queue::{Consuming, Queue};

impl<Q: Queue, W: WorkerObserver> EventLoop<Q, W> {
    /// Asks the rule for leaving what to do next.
    pub(super) fn ask_drain(&mut self) {
        self.drain_at = None;
        let settled = matches!(self.report.ending, Ending::Once(_));
        if self.shutdown.is_stopping() || self.no_more || settled {
            return;
        }
        if let Some(drain) = &mut self.drain {
            let step = drain.step(Instant::now(), self.settling.items.holds_items());
            self.follow(step);
        }
    }

    /// Does what the rule for leaving says.
    pub(super) fn follow(&mut self, step: DrainStep) {
        match step {
            DrainStep::Wait => {}
            DrainStep::WaitUntil(at) => self.drain_at = Some(at),
            DrainStep::Aside => {
                self.settling.queue.consume(Consuming::Paused);
                self.ask_drain();
            }
            DrainStep::Count => {
                self.settling.queue.request_counts();
                self.ask_drain();
            }
            DrainStep::Return => {
                self.settling.queue.consume(Consuming::Active);
                self.ask_drain();
            }
            DrainStep::Leave => self.no_more = true,
        }
    }

    pub(super) fn stop(&mut self, signal: StopSignal) {
        let is_first = self.shutdown.signal(Instant::now());
        self.urgency_tx.send_replace(self.shutdown.urgency());
        if is_first {
            self.report.ending = Ending::Stopped(signal);
            self.take_no_more();
            self.shared.observer.on(WorkerNotice::Stopping { running: self.slots.len() });
        }
    }

    pub(super) fn halt(&mut self, halts: Option<(HaltWhen, u64)>) {
        let Some((when, failed)) = halts else { return };
        if self.shutdown.halt(Instant::now(), when) {
            self.urgency_tx.send_replace(self.shutdown.urgency());
            self.report.ending = Ending::Halted;
            self.take_no_more();
            self.shared.observer.on(WorkerNotice::Halting { failed, running: self.slots.len() });
        }
    }

    pub(super) fn out_of_time(&mut self) -> bool {
        let is_over = self.shutdown.out_of_time(Instant::now());
        self.urgency_tx.send_replace(self.shutdown.urgency());
        is_over
    }

    /// Requeues what does not run yet.
    pub(super) fn take_no_more(&mut self) {
        let idle = self.slots.is_empty();
        self.settling.queue.consume(if idle { Consuming::Paused } else { Consuming::Leaving });
        self.settling.requeue_waiting(0);
    }

    /// Requeues an item whose program was ended or is not started again. While others are being ended,
    /// it waits for them.
    pub(super) fn abandon(&mut self, key: ItemKey) {
        if self.slots.is_empty() || self.shutdown.urgency() >= Urgency::End {
            self.abandoned.push(key);
        } else {
            self.settling.requeue(key);
        }
    }

    /// Requeues what has waited for the last slot to become free. This worker stops counting as a
    /// consumer first, or the items would be delivered to it again, and the broker would count that.
    pub(super) fn requeue_abandoned(&mut self) {
        if self.slots.is_empty() && !self.abandoned.is_empty() {
            self.settling.queue.consume(Consuming::Paused);
            for key in std::mem::take(&mut self.abandoned) {
                self.settling.requeue(key);
            }
        }
    }
}
