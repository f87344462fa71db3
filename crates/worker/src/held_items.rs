//! The items in a worker's hands: which delivery each came by, and how far it is.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use workqueue_core::queue::{Delivery, DeliveryTag};
use workqueue_core::record::ResultRecord;

/// Finished items without a claim that are remembered in case they come again.
const REMEMBERED: usize = 256;

/// How long they are: as long as a broker may be away, and then some. Later, what comes under the
/// same id is another item.
const REMEMBERED_FOR: Duration = Duration::from_secs(20 * 60);

/// Names an item in hand; never used twice.
pub(super) type ItemKey = u64;

/// How far an item is.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// No slot yet.
    Waiting,
    /// In a slot.
    Running,
    /// Finished; settled as soon as it has a claim again.
    Finished(Arc<ResultRecord>),
    /// On its way to be settled.
    Settling(Arc<ResultRecord>),
    /// On its way back.
    Requeueing,
}

/// An item in hand.
#[derive(Debug)]
pub(super) struct Entry {
    /// The delivery that it came by first.
    pub delivery: Arc<Delivery>,
    /// What it can be settled by; none once the session of the delivery is over.
    pub tag: Option<DeliveryTag>,
    /// How far it is.
    pub stage: Stage,
    /// When it lost its claim.
    lost: Option<Instant>,
}

impl Entry {
    /// Whether a delivery may be of the item that has lost its claim. An id alone does not tell: a
    /// retry of an item keeps its id, and publishers may give one to several items.
    fn may_come_as(&self, delivery: &Delivery) -> bool {
        let own = &self.delivery;
        let is_same = own.id == delivery.id
            && own.earlier_failures == delivery.earlier_failures
            && own.body == delivery.body;
        let is_recent = !matches!(self.stage, Stage::Finished(_))
            || self.lost.is_none_or(|lost| lost.elapsed() < REMEMBERED_FOR);
        self.tag.is_none() && is_same && is_recent
    }
}

/// What a delivery turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// An item that is not in hand.
    New(ItemKey),
    /// An item that is in hand and had lost its claim.
    Again(ItemKey),
}

/// All items in hand.
#[derive(Debug, Default)]
pub(super) struct HeldItems {
    entries: HashMap<ItemKey, Entry>,
    by_tag: HashMap<DeliveryTag, ItemKey>,
    waiting: VecDeque<ItemKey>,
    remembered: VecDeque<ItemKey>,
    last: ItemKey,
}

impl HeldItems {
    /// Takes a delivery in. One that was handed out before belongs to an entry of the same item
    /// which has lost its claim, if there is one. Entries that have theirs are other items, even
    /// if the id is the same: within a session nothing is handed out twice.
    pub fn take(&mut self, delivery: Delivery) -> Taken {
        let tag = delivery.tag;
        let orphans = self.entries.iter().filter(|(_, entry)| entry.may_come_as(&delivery));
        let known = orphans.map(|(key, _)| *key).min();
        if let (true, Some(key)) = (delivery.redelivered, known) {
            self.by_tag.insert(tag, key);
            if let Some(entry) = self.entries.get_mut(&key) {
                (entry.tag, entry.lost) = (Some(tag), None);
            }
            return Taken::Again(key);
        }
        self.last += 1;
        let entry = Entry { delivery: Arc::new(delivery), tag: Some(tag), stage: Stage::Waiting, lost: None };
        self.entries.insert(self.last, entry);
        self.by_tag.insert(tag, self.last);
        self.waiting.push_back(self.last);
        Taken::New(self.last)
    }

    /// The item that waits longest, now in a slot.
    pub fn start(&mut self) -> Option<(ItemKey, Arc<Delivery>)> {
        let key = self.waiting.pop_front()?;
        let entry = self.entries.get_mut(&key)?;
        entry.stage = Stage::Running;
        Some((key, entry.delivery.clone()))
    }

    /// The items without a slot, but for the first ones that are to be kept.
    pub fn drain_waiting(&mut self, kept: usize) -> Vec<ItemKey> {
        self.waiting.drain(kept.min(self.waiting.len())..).collect()
    }

    /// How many items have no slot.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many bytes these have.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.iter().filter_map(|key| self.get(*key)).map(|entry| entry.delivery.body.len()).sum()
    }

    /// An item in hand.
    pub fn get(&self, key: ItemKey) -> Option<&Entry> {
        self.entries.get(&key)
    }

    /// Notes how far an item is now.
    pub fn set_stage(&mut self, key: ItemKey, stage: Stage) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.stage = stage;
        }
    }

    /// Keeps a finished item without a claim in mind, in the place of the oldest if need be; the
    /// one that is forgotten is returned.
    pub fn remember(&mut self, key: ItemKey) -> Option<Entry> {
        self.remembered.push_back(key);
        let forgotten = (self.remembered.len() > REMEMBERED).then(|| self.remembered.pop_front())??;
        let forgettable = |entry: &Entry| entry.tag.is_none() && matches!(entry.stage, Stage::Finished(_));
        self.entries.get(&forgotten).is_some_and(forgettable).then(|| self.remove(forgotten))?
    }

    /// The item of a claim, which is used up; the item is removed.
    pub fn settled(&mut self, tag: DeliveryTag) -> Option<Entry> {
        let key = self.by_tag.remove(&tag)?;
        self.entries.remove(&key)
    }

    /// The item of a claim that is void.
    pub fn lost(&mut self, tag: DeliveryTag) -> Option<ItemKey> {
        let key = self.by_tag.remove(&tag)?;
        let entry = self.entries.get_mut(&key)?;
        (entry.tag, entry.lost) = (None, Some(Instant::now()));
        Some(key)
    }

    /// Removes an item.
    pub fn remove(&mut self, key: ItemKey) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        if let Some(tag) = entry.tag {
            self.by_tag.remove(&tag);
        }
        self.waiting.retain(|waiting| *waiting != key);
        Some(entry)
    }

    /// Whether an item is in hand that nobody else can settle, or that still runs here.
    pub fn holds_items(&self) -> bool {
        self.entries.values().any(|entry| entry.tag.is_some() || matches!(entry.stage, Stage::Running))
    }

    /// Takes out the finished items whose claim never came back.
    pub fn take_finished(&mut self) -> Vec<Arc<ResultRecord>> {
        let finished =
            std::mem::take(&mut self.entries).into_values().filter_map(|entry| match entry.stage {
                Stage::Finished(record) => Some(record),
                _ => None,
            });
        finished.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(session: u64, number: u64, id: &str, redelivered: bool) -> Delivery {
        let tag = DeliveryTag { session, number };
        Delivery {
            tag,
            id: id.to_owned(),
            body: Arc::default(),
            earlier_deliveries: 0,
            redelivered,
            earlier_failures: 0,
        }
    }

    #[test]
    fn an_item_that_comes_again_keeps_its_entry() {
        let mut items = HeldItems::default();
        let Taken::New(key) = items.take(delivery(1, 1, "a", false)) else { panic!("it is new") };
        assert_eq!(items.start().map(|(started, _)| started), Some(key));
        assert_eq!(items.lost(DeliveryTag { session: 1, number: 1 }), Some(key));
        assert_eq!(items.take(delivery(2, 1, "a", true)), Taken::Again(key));
        assert!(items.settled(DeliveryTag { session: 1, number: 1 }).is_none(), "the old claim is void");
        assert!(items.settled(DeliveryTag { session: 2, number: 1 }).is_some());
        assert!(!items.holds_items());
    }

    #[test]
    fn equal_ids_in_one_session_are_two_items() {
        let mut items = HeldItems::default();
        assert_eq!(items.take(delivery(1, 1, "a", false)), Taken::New(1));
        assert_eq!(items.take(delivery(1, 2, "a", true)), Taken::New(2));
        for number in [1, 2] {
            items.lost(DeliveryTag { session: 1, number });
        }
        assert_eq!(items.take(delivery(2, 1, "a", true)), Taken::Again(1));
        assert_eq!(items.take(delivery(2, 2, "a", true)), Taken::Again(2));
        assert_eq!(items.take(delivery(2, 3, "a", true)), Taken::New(3));
    }

    #[test]
    fn an_equal_id_alone_does_not_make_an_item_the_one_that_was_lost() {
        let mut items = HeldItems::default();
        items.take(delivery(1, 1, "a", false));
        items.start();
        items.lost(DeliveryTag { session: 1, number: 1 });
        let retried = Delivery { earlier_failures: 1, ..delivery(2, 1, "a", true) };
        assert_eq!(items.take(retried), Taken::New(2));
        let other = Delivery { body: Arc::new(b"other".to_vec()), ..delivery(2, 2, "a", true) };
        assert_eq!(items.take(other), Taken::New(3));
        assert_eq!(items.take(delivery(2, 3, "a", true)), Taken::Again(1));
    }

    #[test]
    fn an_item_that_was_never_handed_out_is_new() {
        let mut items = HeldItems::default();
        items.take(delivery(1, 1, "a", false));
        items.start();
        items.lost(DeliveryTag { session: 1, number: 1 });
        assert_eq!(items.take(delivery(2, 1, "a", false)), Taken::New(2));
    }

    #[test]
    fn running_items_are_held_and_lost_finished_ones_are_not() {
        let mut items = HeldItems::default();
        items.take(delivery(1, 1, "a", false));
        items.start();
        items.lost(DeliveryTag { session: 1, number: 1 });
        assert!(items.holds_items());
        items.set_stage(1, Stage::Requeueing);
        assert!(!items.holds_items());
    }
}
