//! Sets of items by their identity. Numbers are kept in compressed bitmaps: ten million items of one
//! batch take some kilobytes if nearly all are in the set, and 1.25 MB in the worst case.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roaring::RoaringBitmap;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::names::is_batch_name;

/// The identity of an item that was enqueued by this project's publisher: its id is `BATCH.N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemId<'a> {
    /// The batch's name.
    pub batch: &'a str,
    /// The item's number in its batch, from 1.
    pub number: u32,
}

impl<'a> ItemId<'a> {
    /// Reads an id; `None` for one that somebody else made up.
    pub fn parse(id: &'a str) -> Option<Self> {
        let (batch, number) = id.split_once('.')?;
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
        let number = number.parse().ok().filter(|_| is_plain)?;
        is_batch_name(batch).then_some(Self { batch, number })
    }
}

impl std::fmt::Display for ItemId<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.batch, self.number)
    }
}

/// A set of items. As JSON: `{"BATCH": "…"}` with the numbers as a bitmap in Roaring's portable format
/// (<https://github.com/RoaringBitmap/RoaringFormatSpec>), in Base64.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ItemSet(BTreeMap<String, RoaringBitmap>);

// RoaringBitmap does not say so, but its equality is one.
impl Eq for ItemSet {}

impl ItemSet {
    /// The items `first..=last` of a batch; empty if `last` is less than `first`.
    pub fn range(batch: &str, first: u32, last: u32) -> Self {
        let mut numbers = RoaringBitmap::new();
        numbers.insert_range(first..=last);
        let mut set = Self(BTreeMap::from([(batch.to_owned(), numbers)]));
        set.remove_empty();
        set
    }

    /// Adds an item. Returns whether it is new.
    pub fn insert(&mut self, item: ItemId<'_>) -> bool {
        match self.0.get_mut(item.batch) {
            Some(numbers) => numbers.insert(item.number),
            None => self.0.entry(item.batch.to_owned()).or_default().insert(item.number),
        }
    }

    /// Whether an item is in the set.
    pub fn contains(&self, item: ItemId<'_>) -> bool {
        self.0.get(item.batch).is_some_and(|numbers| numbers.contains(item.number))
    }

    /// The number of items.
    pub fn len(&self) -> u64 {
        self.0.values().map(RoaringBitmap::len).sum()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds all items of another set.
    pub fn add(&mut self, other: &Self) {
        for (batch, numbers) in &other.0 {
            match self.0.get_mut(batch) {
                Some(own) => *own |= numbers,
                None => _ = self.0.insert(batch.clone(), numbers.clone()),
            }
        }
    }

    /// Removes all items of another set.
    pub fn subtract(&mut self, other: &Self) {
        for (batch, numbers) in &other.0 {
            if let Some(own) = self.0.get_mut(batch) {
                *own -= numbers;
            }
        }
        self.remove_empty();
    }

    /// Removes all items of a batch.
    pub fn remove_batch(&mut self, batch: &str) {
        self.0.remove(batch);
    }

    /// The items of this set that are not in another one.
    #[must_use]
    pub fn without(mut self, other: &Self) -> Self {
        self.subtract(other);
        self
    }

    /// The items that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.clone().without(&self.clone().without(other))
    }

    /// The number of items that are in both sets.
    pub fn common(&self, other: &Self) -> u64 {
        let both = self.0.iter().filter_map(|(batch, numbers)| Some((numbers, other.0.get(batch)?)));
        both.map(|(one, other)| one.intersection_len(other)).sum()
    }

    /// The items, by batch and number.
    pub fn iter(&self) -> impl Iterator<Item = ItemId<'_>> {
        self.0.iter().flat_map(|(batch, numbers)| numbers.iter().map(move |number| ItemId { batch, number }))
    }

    fn remove_empty(&mut self) {
        self.0.retain(|_, numbers| !numbers.is_empty());
    }
}

impl Serialize for ItemSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(batch, numbers)| {
            // Runs of numbers, which are the rule, take a few bytes.
            let mut numbers = numbers.clone();
            numbers.optimize();
            let mut bytes = Vec::with_capacity(numbers.serialized_size());
            // Writing to a Vec cannot fail.
            numbers.serialize_into(&mut bytes).ok();
            (batch, STANDARD.encode(bytes))
        }))
    }
}

impl<'de> Deserialize<'de> for ItemSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
        let read = |text: &str| -> Result<RoaringBitmap, D::Error> {
            let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
            RoaringBitmap::deserialize_from(bytes.as_slice()).map_err(D::Error::custom)
        };
        let sets = texts.into_iter().map(|(batch, text)| Ok((batch, read(&text)?)));
        let mut set = Self(sets.collect::<Result<_, D::Error>>()?);
        set.remove_empty();
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_that_an_enqueue_gives_are_identities() {
        let item = ItemId { batch: "k2x9bcdf", number: 7 };
        assert_eq!(ItemId::parse("k2x9bcdf.7"), Some(item));
        assert_eq!(item.to_string(), "k2x9bcdf.7");
        for other in [
            "",
            "7",
            "k2x9bcdf",
            "k2x9bcdf.",
            "k2x9bcdf.0",
            "k2x9bcdf.07",
            "k2x9bcdf.+7",
            "short.7",
            "K2X9BCDF.7",
        ] {
            assert_eq!(ItemId::parse(other), None, "{other}");
        }
        assert_eq!(ItemId::parse("k2x9bcdf.4294967296"), None, "larger than a bitmap holds");
    }

    #[test]
    fn sets_are_added_and_subtracted() {
        let mut open = ItemSet::range("k2x9bcdf", 1, 10);
        open.add(&ItemSet::range("bbbbbbbb", 5, 5));
        assert_eq!(open.len(), 11);
        let settled = ItemSet::range("k2x9bcdf", 2, 12);
        assert_eq!((open.common(&settled), settled.common(&open)), (9, 9));
        open.subtract(&settled);
        assert_eq!(
            open.iter().map(|item| item.to_string()).collect::<Vec<_>>(),
            ["bbbbbbbb.5", "k2x9bcdf.1"]
        );
        assert_eq!(open.intersection(&ItemSet::range("bbbbbbbb", 1, 9)), ItemSet::range("bbbbbbbb", 5, 5));
        open.subtract(&ItemSet::range("bbbbbbbb", 5, 5));
        assert!(open.clone().without(&ItemSet::range("k2x9bcdf", 1, 1)).is_empty());
        open.remove_batch("bbbbbbbb");
        assert_eq!(open.len(), 1);
        open.remove_batch("k2x9bcdf");
        assert!(open.is_empty());
        assert!(ItemSet::range("k2x9bcdf", 1, 0).is_empty());
    }

    #[test]
    fn a_set_is_read_as_it_was_written_and_runs_are_small() {
        let mut set = ItemSet::range("k2x9bcdf", 1, 10_000_000);
        set.subtract(&ItemSet::range("k2x9bcdf", 4711, 4711));
        let json = serde_json::to_string(&set).expect("a set is JSON");
        assert!(json.len() < 4096, "{} bytes", json.len());
        assert_eq!(serde_json::from_str::<ItemSet>(&json).expect("what was written"), set);
        for bad in [r#"{"k2x9bcdf":"?"}"#, r#"{"k2x9bcdf":"AAAA"}"#, "[]"] {
            assert!(serde_json::from_str::<ItemSet>(bad).is_err(), "{bad}");
        }
    }
}
