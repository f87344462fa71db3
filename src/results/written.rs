//! Which items have been written: each is written once, although it may be delivered more than once.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use workqueue_core::ledger::{ItemId, ItemSet};

/// A set of items by their ids. Those with a number take a bit each; other ids are kept as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenItems {
    known: ItemSet,
    others: HashSet<String>,
}

impl WrittenItems {
    /// Notes an item. Returns whether it is new.
    pub fn insert(&mut self, id: &str) -> bool {
        match numbered(id) {
            Some(item) => self.known.insert(item),
            None => self.others.insert(id.to_owned()),
        }
    }

    /// Whether an item has been noted.
    pub fn contains(&self, id: &str) -> bool {
        match numbered(id) {
            Some(item) => self.known.contains(item),
            None => self.others.contains(id),
        }
    }

    /// The number of items.
    pub fn len(&self) -> u64 {
        self.known.len() + self.others.len() as u64
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Of some items, those that have not been noted.
    pub fn missing_of(&self, items: &ItemSet) -> ItemSet {
        items.clone().without(&self.known)
    }
}

/// An id with a number: `BATCH.N`, or `N` as in `local`, which is no batch's.
fn numbered(id: &str) -> Option<ItemId<'_>> {
    let number = || id.parse().ok().filter(|_| !id.starts_with(['0', '+']));
    ItemId::parse(id).or_else(|| Some(ItemId { batch: "", number: number()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_new_once_whoever_made_its_id() {
        let mut written = WrittenItems::default();
        for id in ["k2x9bcdf.7", "order 7", "7", "07", "+7"] {
            assert!(written.insert(id) && !written.insert(id) && written.contains(id), "{id}");
        }
        assert_eq!((written.len(), written.others.len()), (5, 3), "numbers take a bit");
        let json = serde_json::to_string(&written).expect("JSON");
        assert_eq!(serde_json::from_str::<WrittenItems>(&json).expect("what was written"), written);
        let batch = ItemSet::range("k2x9bcdf", 7, 8);
        assert_eq!(written.missing_of(&batch), ItemSet::range("k2x9bcdf", 8, 8));
    }
}
