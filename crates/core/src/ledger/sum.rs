//! Sums in the ledger of a run, so that a reading need not start with the first page.
//!
//! A sum repeats everything before an offset. Pages that are written later say which offset that is: a
//! reading starts there, and meets the sum soon. Offsets are the broker's own, so no clock matters.

use serde::{Deserialize, Serialize};

use super::{LedgerError, LedgerPage};

/// A message of a run's ledger: a page, a sum of pages, or a mark, which is an empty page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerMessage {
    /// How items ended.
    #[serde(flatten)]
    pub page: LedgerPage,
    /// A reading may start at this offset: the sum of everything before it lies between it and this
    /// message, or is this message. 0 if there is no sum.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub start: i64,
    /// Only in a sum: the size of all messages before `start`, in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes_before: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl LedgerMessage {
    /// A page (or mark) behind the sum of everything before `start`.
    pub fn of(page: LedgerPage, start: i64) -> Self {
        Self { page, start, bytes_before: None }
    }

    /// The message as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        // Only a map with keys that are no strings could fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`LedgerError`] for anything but a message of a ledger.
    pub fn from_json(json: &[u8]) -> Result<Self, LedgerError> {
        Ok(serde_json::from_slice(json)?)
    }

    /// Where a reading may start that goes up to this message, which has the offset `own`. 0, the first
    /// message, if what it says cannot be: then a reading takes longer.
    pub fn start_before(json: &[u8], own: i64) -> i64 {
        Self::from_json(json)
            .ok()
            .map(|message| message.start)
            .filter(|at| (0..=own).contains(at))
            .unwrap_or(0)
    }
}

/// Adds up the messages of a reading.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Adding {
    start: i64,
    /// Whether what lies before the start is in the total.
    has_base: bool,
    /// Whether messages at the start are missing.
    is_late: bool,
    next: i64,
    /// How the items ended.
    pub total: LedgerPage,
    /// The size of all messages in bytes, of those before the start too.
    pub bytes: u64,
    /// Messages that were read.
    pub messages: u64,
}

impl Adding {
    /// For a reading that starts at an offset.
    pub fn from(start: i64) -> Self {
        Self { start, has_base: start == 0, ..Self::default() }
    }

    /// Adds the message at an offset.
    ///
    /// Only the sum of exactly what lies before the start is added, and only once: others repeat what is
    /// in the total, and would double its counts.
    ///
    /// # Errors
    /// [`LedgerError`] for anything but a message of a ledger.
    pub fn take(&mut self, offset: i64, json: &[u8]) -> Result<(), LedgerError> {
        if offset < self.start {
            return Ok(());
        }
        self.is_late |= self.messages == 0 && self.start > 0 && offset > self.start;
        self.next = offset + 1;
        self.messages += 1;
        self.bytes += json.len() as u64;
        let message = LedgerMessage::from_json(json)?;
        match message.bytes_before {
            None => self.total.merge(&message.page),
            Some(bytes) if !self.has_base && message.start == self.start => {
                self.has_base = true;
                self.bytes += bytes;
                self.total.merge(&message.page);
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Whether nothing is missing. If so, the same messages must be read from the first one.
    pub fn is_complete(&self) -> bool {
        self.has_base && !self.is_late
    }

    /// The sum of everything that was read.
    pub fn sum(&self) -> LedgerMessage {
        LedgerMessage { page: self.total.clone(), start: self.next, bytes_before: Some(self.bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Status;

    /// A ledger of pages with an item, a foreign item and a repeat each. A sum follows each tenth page; a
    /// page is written between the reading for the sum and the sum.
    fn ledger(pages: u32) -> Vec<Vec<u8>> {
        let (mut messages, mut start) = (Vec::new(), 0);
        for number in 1..=pages {
            let sum = (number % 10 == 0).then(|| read(&messages, start).sum());
            messages.push(LedgerMessage::of(page(number), start).to_json());
            if let Some(sum) = sum {
                start = sum.start;
                messages.push(sum.to_json());
            }
        }
        messages
    }

    fn page(number: u32) -> LedgerPage {
        let mut page = LedgerPage::default();
        page.settle(&format!("k2x9bcdf.{number}"), Status::Done, 1);
        page.settle("order 7", Status::Failed, 0);
        page
    }

    fn read(messages: &[Vec<u8>], start: i64) -> Adding {
        read_from(messages, start, start)
    }

    fn read_from(messages: &[Vec<u8>], start: i64, first: i64) -> Adding {
        let mut adding = Adding::from(start);
        for (offset, json) in (0..).zip(messages).filter(|(offset, _)| *offset >= first) {
            adding.take(offset, json).expect("a message of a ledger");
        }
        adding
    }

    #[test]
    fn a_reading_from_a_sum_finds_what_a_reading_of_everything_finds() {
        for pages in 0..=57 {
            let messages = ledger(pages);
            let mut expected = LedgerPage::default();
            (1..=pages).for_each(|number| expected.merge(&page(number)));
            let own = messages.len() as i64 - 1;
            let start = messages.last().map_or(0, |last| LedgerMessage::start_before(last, own));
            let (quick, all) = (read(&messages, start), read(&messages, 0));
            assert!(quick.is_complete() && all.is_complete(), "{pages}");
            assert_eq!((&quick.total, &all.total), (&expected, &expected), "{pages}");
            assert_eq!(quick.bytes, all.bytes, "{pages}");
            assert_eq!(all.messages, messages.len() as u64);
            assert!(quick.messages <= 12, "{} of {pages} pages were read", quick.messages);
        }
    }

    #[test]
    fn a_sum_that_arrives_twice_is_added_once() {
        let mut messages = ledger(20);
        messages.push(messages.last().expect("a sum").clone());
        let start = LedgerMessage::start_before(messages.last().expect("a sum"), 22);
        assert!(start > 10);
        for start in [0, start] {
            let total = read(&messages, start).total;
            assert_eq!((total.done.len(), total.foreign_failed, total.repeats), (20, 20, 20));
        }
    }

    #[test]
    fn a_reading_that_does_not_meet_its_sum_is_incomplete() {
        let messages = ledger(35);
        let start = LedgerMessage::start_before(messages.last().expect("a page"), 37);
        assert!(read(&messages, start).is_complete());
        assert!(!read(&messages, start + 1).is_complete(), "no sum of what lies before");
        assert!(!read_from(&messages, start, start + 1).is_complete(), "a page is missing");
        assert!(read_from(&messages, start, start - 3).is_complete());
        assert_eq!(
            read_from(&messages, start, start - 3),
            read(&messages, start),
            "what is older is skipped"
        );
    }

    #[test]
    fn what_cannot_be_a_start_is_none() {
        assert_eq!(LedgerMessage::start_before(br#"{"start":7}"#, 7), 7);
        for json in [r#"{"start":8}"#, r#"{"start":-1}"#, "{}", "apple", r#"{"start":"7"}"#] {
            assert_eq!(LedgerMessage::start_before(json.as_bytes(), 7), 0, "{json}");
        }
    }

    #[test]
    fn a_message_without_sums_is_a_page() {
        let page = page(1);
        assert_eq!(LedgerMessage::of(page.clone(), 0).to_json(), page.to_json());
        assert_eq!(LedgerMessage::from_json(&page.to_json()).expect("a page"), LedgerMessage::of(page, 0));
        for bad in ["apple", "[]", "7"] {
            assert!(LedgerMessage::from_json(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
