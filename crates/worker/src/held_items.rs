//! The items that a worker holds: the delivery of each and its stage.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use workqueue_core::queue::{Delivery, DeliveryTag};
use workqueue_core::record::ResultRecord;

/// Finished items without a valid tag that are remembered in case they are redelivered.
const REMEMBERED: usize = 256;

/// The bytes of their outputs beyond which the oldest is forgotten.
const REMEMBERED_BYTES: usize = 32 << 20;

/// How long they are remembered: longer than a broker may be away. After that, a delivery with the same
/// id is another item.
const REMEMBERED_FOR: Duration = Duration::from_secs(20 * 60);

/// Identifies a held item; never used twice.
pub(super) type ItemKey = u64;

/// The stage of a held item.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// Waits for a slot.
    Waiting,
    /// In a slot.
    Running,
    /// Finished; settled as soon as it has a valid tag.
    Finished(Arc<ResultRecord>),
    /// Finished; its settlement is pending.
    Settling(Arc<ResultRecord>),
    /// Its requeueing is pending.
    Requeueing,
}

/// A held item.
#[derive(Debug)]
pub(super) struct HeldItem {
    /// Its first delivery.
    pub delivery: Arc<Delivery>,
    /// Its valid tag; none after the session of its delivery.
    pub tag: Option<DeliveryTag>,
    /// Its stage.
    pub stage: Stage,
    /// When it lost its tag.
    lost: Option<Instant>,
}

impl HeldItem {
    /// The bytes of its output, if that is kept as a whole.
    fn output_bytes(&self) -> usize {
        match &self.stage {
            Stage::Finished(record) | Stage::Settling(record) => {
                record.stdout.whole.as_ref().map_or(0, Vec::len)
            }
            _ => 0,
        }
    }

    /// Whether a delivery may be a redelivery of this item, which has lost its tag. An equal id is not
    /// enough: a retry of an item keeps its id, and publishers may give one id to several items.
    fn may_be_redelivered_as(&self, delivery: &Delivery) -> bool {
        let own = &self.delivery;
        let is_same = own.id == delivery.id
            && own.earlier_failures == delivery.earlier_failures
            && own.body == delivery.body;
        let is_recent = !matches!(self.stage, Stage::Finished(_))
            || self.lost.is_none_or(|lost| lost.elapsed() < REMEMBERED_FOR);
        self.tag.is_none() && is_same && is_recent
    }
}

/// What a delivery is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// An item that is not held yet.
    New(ItemKey),
    /// A held item that had lost its tag.
    Again(ItemKey),
}

/// All held items.
#[derive(Debug, Default)]
pub(super) struct HeldItems {
    entries: HashMap<ItemKey, HeldItem>,
    by_tag: HashMap<DeliveryTag, ItemKey>,
    waiting: VecDeque<ItemKey>,
    aside: Vec<ItemKey>,
    remembered: VecDeque<ItemKey>,
    last: ItemKey,
}

impl HeldItems {
    /// Takes a delivery. If it is a redelivery, it belongs to an entry of the same item that has lost its
    /// tag, if there is one. Entries with a valid tag are other items, even with the same id: within a
    /// session nothing held is delivered twice.
    pub fn take(&mut self, delivery: Delivery) -> Taken {
        let tag = delivery.tag;
        let orphans = self.entries.iter().filter(|(_, entry)| entry.may_be_redelivered_as(&delivery));
        let known = orphans.map(|(key, _)| *key).min();
        if let (true, Some(key)) = (delivery.redelivered, known) {
            self.by_tag.insert(tag, key);
            if let Some(entry) = self.entries.get_mut(&key) {
                (entry.tag, entry.lost) = (Some(tag), None);
            }
            return Taken::Again(key);
        }
        self.last += 1;
        let entry =
            HeldItem { delivery: Arc::new(delivery), tag: Some(tag), stage: Stage::Waiting, lost: None };
        self.entries.insert(self.last, entry);
        self.by_tag.insert(tag, self.last);
        self.waiting.push_back(self.last);
        Taken::New(self.last)
    }

    /// The item that is next.
    pub fn next(&self) -> Option<ItemKey> {
        self.waiting.front().copied()
    }

    /// Sets the item that is next aside, so that others can start.
    pub fn set_aside(&mut self) {
        self.aside.extend(self.waiting.pop_front());
    }

    /// Makes an item that was set aside the next one.
    pub fn bring_back(&mut self, key: ItemKey) {
        for key in self.aside.extract_if(.., |aside| *aside == key) {
            self.waiting.push_front(key);
        }
    }

    /// Takes the item that is next out of those that wait.
    pub fn take_next(&mut self) -> Option<ItemKey> {
        self.waiting.pop_front()
    }

    /// Moves the item that is next into a slot.
    pub fn start(&mut self) -> Option<(ItemKey, Arc<Delivery>)> {
        let key = self.waiting.pop_front()?;
        let entry = self.entries.get_mut(&key)?;
        entry.stage = Stage::Running;
        Some((key, entry.delivery.clone()))
    }

    /// Removes the items without a slot, except for the first `kept`, from those that wait. Those that
    /// are set aside are the last to go.
    pub fn drain_waiting(&mut self, kept: usize) -> Vec<ItemKey> {
        if kept == 0 {
            self.waiting.extend(self.aside.drain(..));
        }
        self.waiting.drain(kept.min(self.waiting.len())..).collect()
    }

    /// The number of items without a slot.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The bytes of these items.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.iter().filter_map(|key| self.get(*key)).map(|entry| entry.delivery.body.len()).sum()
    }

    /// The bytes of outputs that wait for the settlement of their items.
    pub fn unsettled_bytes(&self) -> usize {
        let unsettled = self.entries.values().filter(|entry| entry.tag.is_some());
        unsettled.map(HeldItem::output_bytes).sum()
    }

    /// A held item.
    pub fn get(&self, key: ItemKey) -> Option<&HeldItem> {
        self.entries.get(&key)
    }

    /// Sets the stage of an item.
    pub fn set_stage(&mut self, key: ItemKey, stage: Stage) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.stage = stage;
        }
    }

    /// Remembers a finished item without a valid tag. Returns the oldest one if it is forgotten
    /// instead.
    pub fn remember(&mut self, key: ItemKey) -> Option<HeldItem> {
        self.remembered.push_back(key);
        let bytes = |key: &ItemKey| self.get(*key).map_or(0, HeldItem::output_bytes);
        let is_full = self.remembered.len() > REMEMBERED
            || self.remembered.iter().map(bytes).sum::<usize>() > REMEMBERED_BYTES;
        let forgotten = is_full.then(|| self.remembered.pop_front())??;
        let forgettable = |entry: &HeldItem| entry.tag.is_none() && matches!(entry.stage, Stage::Finished(_));
        self.entries.get(&forgotten).is_some_and(forgettable).then(|| self.remove(forgotten))?
    }

    /// Removes and returns the item of a settled delivery.
    pub fn settled(&mut self, tag: DeliveryTag) -> Option<(ItemKey, HeldItem)> {
        let key = self.by_tag.remove(&tag)?;
        self.entries.remove(&key).map(|item| (key, item))
    }

    /// Notes that a tag is no longer valid, and returns its item.
    pub fn lost(&mut self, tag: DeliveryTag) -> Option<ItemKey> {
        let key = self.by_tag.remove(&tag)?;
        let entry = self.entries.get_mut(&key)?;
        (entry.tag, entry.lost) = (None, Some(Instant::now()));
        Some(key)
    }

    /// Removes an item.
    pub fn remove(&mut self, key: ItemKey) -> Option<HeldItem> {
        let entry = self.entries.remove(&key)?;
        if let Some(tag) = entry.tag {
            self.by_tag.remove(&tag);
        }
        self.waiting.retain(|waiting| *waiting != key);
        self.aside.retain(|aside| *aside != key);
        Some(entry)
    }

    /// Whether an item has a valid tag or still runs here.
    pub fn holds_items(&self) -> bool {
        self.entries.values().any(|entry| entry.tag.is_some() || matches!(entry.stage, Stage::Running))
    }

    /// The items that have a valid tag.
    pub fn with_tags(&self) -> Vec<ItemKey> {
        self.by_tag.values().copied().collect()
    }

    /// Removes all items; returns the records of finished ones that were never redelivered.
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
    fn a_redelivered_item_keeps_its_entry() {
        let mut items = HeldItems::default();
        let Taken::New(key) = items.take(delivery(1, 1, "a", false)) else { panic!("it is new") };
        assert_eq!(items.start().map(|(started, _)| started), Some(key));
        assert_eq!(items.lost(DeliveryTag { session: 1, number: 1 }), Some(key));
        assert_eq!(items.take(delivery(2, 1, "a", true)), Taken::Again(key));
        assert!(
            items.settled(DeliveryTag { session: 1, number: 1 }).is_none(),
            "the old tag is no longer valid"
        );
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
    fn an_equal_id_does_not_make_an_item_the_one_that_was_lost() {
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
    fn an_item_that_is_not_redelivered_is_new() {
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
