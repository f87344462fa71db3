//! The items that this worker holds and their settlements: each is settled once it is finished and as
//! long as its delivery tag is valid.

use std::sync::Arc;

use tokio::time::Instant;

use super::attempts::Shared;
use super::deaths::Deaths;
use super::held_items::{HeldItem, HeldItems, ItemKey, Stage};
use super::notice::{WorkerNotice, WorkerObserver};
use workqueue_core::mark::MarkedItem;
use workqueue_core::names::random_suffix;
use workqueue_core::queue::{DeliveryTag, Queue, Settlement};
use workqueue_core::record::{ResultRecord, Status};

/// Length of the random part of a worker's name in marks: a container that is restarted keeps its host
/// name, and machines may share one.
const PROCESS_NAME: usize = 8;

/// A queue, and what this worker holds of it.
pub(super) struct Settling<Q, W> {
    pub(super) queue: Q,
    pub(super) items: HeldItems,
    pub(super) deaths: Deaths,
    shared: Arc<Shared<W>>,
    /// Items requeued so far.
    pub(super) requeued: u64,
}

impl<Q: Queue, W: WorkerObserver> Settling<Q, W> {
    pub(super) fn new(queue: Q, shared: Arc<Shared<W>>) -> Self {
        let (plan, name) = (&shared.plan, random_suffix(PROCESS_NAME));
        let deaths = Deaths::new(plan.max_deaths, format!("{}/{name}", plan.location.name()));
        Self { queue, items: HeldItems::default(), deaths, shared, requeued: 0 }
    }

    /// Asks what the stream of marks says about an item that came back.
    pub(super) fn look(&mut self, now: Instant, key: ItemKey) {
        if let Some(item) = self.items.get(key).map(marked) {
            let look = self.deaths.came_back(now, key, item);
            self.queue.tell(look);
        }
    }

    /// An item that had lost its tag has been redelivered here: it has a mark again while it runs.
    pub(super) fn redelivered(&mut self, key: ItemKey) {
        let running = self.items.get(key).filter(|entry| matches!(entry.stage, Stage::Running));
        if let Some(item) = running.map(marked) {
            let mark = self.deaths.runs_again(key, item);
            self.queue.tell(mark);
        }
    }

    /// Tells which items this worker no longer holds, although it lives.
    pub(super) fn tell_ended(&mut self) {
        if let Some(ended) = self.deaths.take_ended() {
            self.queue.tell(ended);
        }
    }

    fn let_go(&mut self, key: ItemKey) {
        if let Some(entry) = self.items.get(key) {
            self.deaths.let_go(key, || marked(entry));
        }
    }

    /// Notes that an item is finished. Without a valid tag its record is kept, in case the item is
    /// redelivered.
    pub(super) fn finished(&mut self, key: ItemKey, record: Arc<ResultRecord>) {
        if self.items.get(key).is_some_and(|entry| entry.tag.is_some()) {
            self.items.set_stage(key, Stage::Finished(record));
        } else {
            self.remember(key, record);
        }
    }

    /// Whether an item is finished and has a valid tag.
    pub(super) fn can_settle(&self, key: ItemKey) -> bool {
        let entry = self.items.get(key);
        entry.is_some_and(|entry| entry.tag.is_some() && matches!(entry.stage, Stage::Finished(_)))
    }

    /// Settles an item that is finished and has a valid tag.
    pub(super) fn settle(&mut self, key: ItemKey) {
        let Some(entry) = self.items.get(key) else { return };
        let (Some(tag), Stage::Finished(record)) = (entry.tag, entry.stage.clone()) else { return };
        let settlement = match record.status {
            Status::Done => Settlement::Done(record.clone()),
            Status::Failed => {
                Settlement::Failed { record: record.clone(), body: entry.delivery.body.clone() }
            }
        };
        self.queue.settle(tag, settlement);
        self.items.set_stage(key, Stage::Settling(record));
    }

    /// Requeues an item.
    pub(super) fn requeue(&mut self, key: ItemKey) {
        match self.items.get(key).and_then(|entry| entry.tag) {
            Some(tag) => {
                self.let_go(key);
                self.queue.settle(tag, Settlement::Requeue);
                self.items.set_stage(key, Stage::Requeueing);
            }
            None => _ = self.items.remove(key),
        }
    }

    /// Requeues the items without a slot, except for the first `kept`.
    pub(super) fn requeue_waiting(&mut self, kept: usize) {
        for key in self.items.drain_waiting(kept) {
            self.requeue(key);
        }
    }

    /// A delivery is settled. Returns the record if its item is finished.
    pub(super) fn settled(&mut self, tag: DeliveryTag) -> Option<Arc<ResultRecord>> {
        let (key, item) = self.items.settled(tag)?;
        match item.stage {
            Stage::Settling(record) => {
                if let Some(settled) = self.deaths.settled(key) {
                    self.queue.tell(settled);
                }
                Some(record)
            }
            Stage::Requeueing => {
                self.requeued += 1;
                None
            }
            _ => None,
        }
    }

    /// A tag is no longer valid: its item will be redelivered, here or elsewhere.
    pub(super) fn lost(&mut self, tag: DeliveryTag) {
        let Some(key) = self.items.lost(tag) else { return };
        self.let_go(key);
        match self.items.get(key).map(|entry| entry.stage.clone()) {
            Some(Stage::Settling(record)) => self.remember(key, record),
            Some(Stage::Requeueing) => {
                self.items.remove(key);
                self.requeued += 1;
            }
            Some(Stage::Waiting) => _ = self.items.remove(key),
            Some(Stage::Running | Stage::Finished(_)) | None => {}
        }
    }

    fn remember(&mut self, key: ItemKey, record: Arc<ResultRecord>) {
        self.items.set_stage(key, Stage::Finished(record));
        if let Some(Stage::Finished(record)) = self.items.remember(key).map(|entry| entry.stage) {
            self.shared.observer.on(WorkerNotice::Superseded(&record));
        }
    }

    /// Closes the queue, which requeues all items that are not settled.
    pub(super) async fn close(mut self) {
        for key in self.items.with_tags() {
            self.let_go(key);
        }
        self.tell_ended();
        for record in self.items.take_finished() {
            self.shared.observer.on(WorkerNotice::Superseded(&record));
        }
        self.queue.close().await;
    }
}

fn marked(entry: &HeldItem) -> MarkedItem {
    let delivery = &entry.delivery;
    MarkedItem::new(&delivery.id, delivery.earlier_failures, &delivery.body)
}
