//! Which item is started next, and when: items that came back wait for what the rule of deaths says.

use std::sync::Arc;

use tokio::time::Instant;

use super::EventLoop;
use crate::attempts::{ended_its_workers, process};
use crate::deaths::{Admission, HOLD};
use crate::notice::{WorkerNotice, WorkerObserver};
use workqueue_core::mark::MarkMessage;
use workqueue_core::queue::Queue;
use workqueue_core::words::count;

/// Bytes of outputs that may wait for their settlement. Nothing is started meanwhile: a queue of outputs
/// that is full may stay so for long.
const MAX_UNSETTLED_BYTES: usize = 16 << 20;

impl<Q: Queue, W: WorkerObserver> EventLoop<Q, W> {
    /// Starts items as long as there are slots, and until the next item has to wait.
    pub(super) fn fill_slots(&mut self) {
        if self.shared.plan.keep_output.is_some()
            && self.settling.items.unsettled_bytes() > MAX_UNSETTLED_BYTES
        {
            return;
        }
        while self.slots.len() < self.shared.plan.concurrency
            && self.alone.is_none()
            && !self.shutdown.is_stopping()
        {
            let Some(key) = self.settling.items.next() else { return };
            match self.settling.deaths.admit(Instant::now(), key, self.slots.len()) {
                Admission::Start { alone } => {
                    self.alone = alone.then_some(key);
                    self.start();
                }
                Admission::Wait => return,
                Admission::WaitToBeAlone => return self.wait_to_be_alone(),
                Admission::Tell(mark) => return self.settling.queue.tell(mark),
                Admission::Hold { deaths } => self.hold(deaths),
                Admission::Failed { workers } => self.fail(&workers),
            }
        }
    }

    fn start(&mut self) {
        let Some((key, delivery)) = self.settling.items.start() else { return };
        self.waits_to_be_alone = false;
        self.prefetch.started(Instant::now());
        self.shared.observer.on(WorkerNotice::Started { id: &delivery.id, body: &delivery.body });
        let (shared, urgency) = (self.shared.clone(), self.urgency_tx.subscribe());
        self.slots.spawn(async move {
            let started = Instant::now();
            let outcome = process(&shared, &delivery, urgency).await;
            (key, outcome, started.elapsed())
        });
    }

    /// Sets the item that is next aside, until workers that live have had the time to say so.
    fn hold(&mut self, deaths: usize) {
        let (deaths, seconds) = (count(deaths as u64, "worker"), HOLD.as_secs());
        self.say_of_next(&format!(
            "{deaths} seem to have died with it; it waits {seconds} s for their answers"
        ));
        self.settling.items.set_aside();
    }

    fn wait_to_be_alone(&mut self) {
        if !std::mem::replace(&mut self.waits_to_be_alone, true) {
            let running = count(self.slots.len() as u64, "running item");
            self.say_of_next(&format!(
                "a worker may have died with it: it runs alone, once {running} here has ended"
            ));
        }
    }

    /// The item that is next has failed: these workers have died with it.
    fn fail(&mut self, workers: &[String]) {
        let Some(key) = self.settling.items.take_next() else { return };
        let Some(delivery) = self.settling.items.get(key).map(|entry| entry.delivery.clone()) else { return };
        self.concluded(key, Arc::new(ended_its_workers(&self.shared.plan, &delivery, workers)));
    }

    fn say_of_next(&self, what: &str) {
        let next = self.settling.items.next().and_then(|key| self.settling.items.get(key));
        if let Some(entry) = next {
            self.say(&format!("item {}: {what}", entry.delivery.id));
        }
    }

    fn say(&self, note: &str) {
        self.shared.observer.on(WorkerNotice::Note(note));
    }

    /// Takes what a worker has told.
    pub(super) fn heard(&mut self, message: MarkMessage) {
        if let Some(answer) = self.settling.deaths.hear(message) {
            self.settling.queue.tell(answer);
        }
    }

    /// What is told reaches nobody for now.
    pub(super) fn deafened(&mut self, reason: &str) {
        if self.settling.deaths.deafened() {
            self.say(&format!(
                "deaths of workers are not counted ({reason}): items that came back run alone, and only the \
                 queue's delivery limit ends those that kill their workers"
            ));
        }
    }

    /// Time has passed: items come back that were set aside, or the stream of marks has been silent.
    pub(super) fn look_again(&mut self) {
        let now = Instant::now();
        for (key, look) in self.settling.deaths.held_long_enough(now) {
            self.settling.items.bring_back(key);
            self.settling.queue.tell(look);
        }
        if self.settling.deaths.is_overdue(now) {
            self.deafened("the stream of marks does not answer");
        }
    }
}
