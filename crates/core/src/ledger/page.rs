//! A page of a run's ledger: how items ended.

use serde::{Deserialize, Serialize};

use super::{ItemId, ItemSet, LedgerError};
use crate::record::Status;

/// How items of a run ended. Merging pages is a union: a page that arrives twice changes nothing but
/// the counts of foreign items and repeats, which are upper bounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LedgerPage {
    /// Items that are done.
    #[serde(skip_serializing_if = "ItemSet::is_empty")]
    pub done: ItemSet,
    /// Items that failed. An item that is also done, is done.
    #[serde(skip_serializing_if = "ItemSet::is_empty")]
    pub failed: ItemSet,
    /// Done items whose ids are not those of an enqueue.
    #[serde(skip_serializing_if = "is_zero")]
    pub foreign_done: u64,
    /// Failed items whose ids are not those of an enqueue.
    #[serde(skip_serializing_if = "is_zero")]
    pub foreign_failed: u64,
    /// Done items whose whole output was to be kept, and is not.
    #[serde(skip_serializing_if = "ItemSet::is_empty")]
    pub cut: ItemSet,
    /// The same of items whose ids are not those of an enqueue.
    #[serde(skip_serializing_if = "is_zero")]
    pub foreign_cut: u64,
    /// How often programs may have been started beyond once per item.
    #[serde(skip_serializing_if = "is_zero")]
    pub repeats: u64,
    /// Outcomes, each time that an item had one: at least as many as messages left the queue.
    #[serde(skip_serializing_if = "is_zero")]
    pub outcomes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl LedgerPage {
    /// Notes that an item ended. `repeats` is how often its program may have been started before the
    /// attempt that counts: earlier deliveries, and earlier attempts of this one.
    pub fn settle(&mut self, id: &str, status: Status, repeats: u32) {
        match (ItemId::parse(id), status) {
            (Some(item), Status::Done) => _ = self.done.insert(item),
            (Some(item), Status::Failed) => _ = self.failed.insert(item),
            (None, Status::Done) => self.foreign_done += 1,
            (None, Status::Failed) => self.foreign_failed += 1,
        }
        self.repeats += u64::from(repeats);
        self.outcomes += 1;
    }

    /// Notes that the output of an item is not kept as a whole.
    pub fn cut(&mut self, id: &str) {
        match ItemId::parse(id) {
            Some(item) => _ = self.cut.insert(item),
            None => self.foreign_cut += 1,
        }
    }

    /// Adds the outcomes of another page.
    pub fn merge(&mut self, other: &Self) {
        self.cut.add(&other.cut);
        self.foreign_cut += other.foreign_cut;
        self.done.add(&other.done);
        self.failed.add(&other.failed);
        self.foreign_done += other.foreign_done;
        self.foreign_failed += other.foreign_failed;
        self.repeats += other.repeats;
        self.outcomes += other.outcomes;
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The number of outcomes in it.
    pub fn items(&self) -> u64 {
        self.done.len() + self.failed.len() + self.foreign_done + self.foreign_failed
    }

    /// All items that ended.
    pub fn settled(&self) -> ItemSet {
        let mut settled = self.done.clone();
        settled.add(&self.failed);
        settled
    }

    /// Items that failed and are not done.
    pub fn only_failed(&self) -> ItemSet {
        self.failed.clone().without(&self.done)
    }

    /// The page as a message.
    pub fn to_json(&self) -> Vec<u8> {
        // Only a map with keys that are no strings could fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`LedgerError`] for anything but a page.
    pub fn from_json(json: &[u8]) -> Result<Self, LedgerError> {
        Ok(serde_json::from_slice(json)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn done_beats_failed_and_a_page_may_arrive_twice() {
        let mut page = LedgerPage::default();
        page.settle("k2x9bcdf.1", Status::Done, 0);
        page.settle("k2x9bcdf.2", Status::Failed, 2);
        let mut later = LedgerPage::default();
        later.settle("k2x9bcdf.2", Status::Done, 1);
        later.settle("k2x9bcdf.3", Status::Failed, 0);
        page.merge(&later);
        page.merge(&later);
        assert_eq!((page.done.len(), page.only_failed().len(), page.settled().len()), (2, 1, 3));
        assert!(page.repeats >= 3);
    }

    #[test]
    fn outputs_that_are_cut_are_known_by_their_item() {
        let mut page = LedgerPage::default();
        page.cut("k2x9bcdf.2");
        page.cut("order 7");
        let read = LedgerPage::from_json(&page.to_json()).expect("what was written");
        page.merge(&read);
        assert_eq!((page.cut.len(), page.foreign_cut), (1, 2));
    }

    #[test]
    fn items_of_others_are_counted() {
        let mut page = LedgerPage::default();
        page.settle("sha256-0967115f2813a354", Status::Done, 0);
        page.settle("order 7", Status::Failed, 0);
        assert_eq!((page.foreign_done, page.foreign_failed, page.items()), (1, 1, 2));
        assert!(page.settled().is_empty());
    }

    #[test]
    fn a_page_is_read_as_it_was_written() {
        assert_eq!(LedgerPage::default().to_json(), b"{}");
        assert!(LedgerPage::from_json(b"{}").expect("an empty page").is_empty());
        let mut page = LedgerPage::default();
        page.settle("k2x9bcdf.1", Status::Done, 1);
        assert_eq!(LedgerPage::from_json(&page.to_json()).expect("what was written"), page);
        assert!(LedgerPage::from_json(b"apple").is_err());
    }

    #[test]
    fn neighbours_take_little_room_however_they_are_scattered() {
        let mut page = LedgerPage::default();
        for number in (1_000..1_400).step_by(2) {
            page.settle(&format!("k2x9bcdf.{number}"), Status::Done, 0);
        }
        let bytes = page.to_json().len();
        assert!(bytes < 200 * 4, "{bytes} bytes for 200 items");
    }
}
