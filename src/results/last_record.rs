//! Finds the last record of each item of a run, since only that one counts.
//!
//! A worker that is killed after publishing a record and before the ack leaves a record, and the
//! next worker publishes another one. There are two passes, to keep memory use low: the first
//! notes which items have several records, and the second skips all but the last.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use workqueue_amqp::result_stream::RecordPosition;
use workqueue_core::record::ResultRecord;

/// Bits of the filter: 16 MiB. With 10 million records, about one in 200 new ones is taken for a
/// repetition. That costs a little memory, but the result is still correct.
const BITS: usize = 1 << 27;

/// Bits that each record sets.
const BITS_EACH: u32 = 4;

/// What the first pass found.
pub(crate) struct LastRecords {
    /// A Bloom filter over all records.
    filter: Vec<u64>,
    /// The last position of each record that the filter had probably seen before, by fingerprint.
    repeated: HashMap<u128, RecordPosition>,
    hashers: [RandomState; 2],
}

impl Default for LastRecords {
    fn default() -> Self {
        let hashers = [RandomState::new(), RandomState::new()];
        Self { filter: vec![0; BITS / 64], repeated: HashMap::new(), hashers }
    }
}

impl LastRecords {
    /// Notes a record of the first pass. Positions must increase.
    pub(crate) fn note(&mut self, record: &ResultRecord, position: RecordPosition) {
        let print = self.fingerprint(record);
        let mut seen = true;
        for number in 0..BITS_EACH {
            let bit = (print >> (27 * number)) as usize % BITS;
            let (word, mask) = (&mut self.filter[bit / 64], 1 << (bit % 64));
            seen &= *word & mask != 0;
            *word |= mask;
        }
        if seen {
            self.repeated.insert(print, position);
        }
    }

    /// Whether a noted record is the last one of its item in its run.
    pub(crate) fn is_last(&self, record: &ResultRecord, position: RecordPosition) -> bool {
        self.repeated.get(&self.fingerprint(record)).is_none_or(|&last| last == position)
    }

    /// 128 bits, so that a collision among 10 million records is practically impossible.
    fn fingerprint(&self, record: &ResultRecord) -> u128 {
        let [high, low] = self.hashers.each_ref().map(|hasher| hasher.hash_one((&record.run, &record.id)));
        (u128::from(high) << 64) | u128::from(low)
    }
}

#[cfg(test)]
pub(in crate::results) mod tests {
    use super::*;
    use jiff::Timestamp;
    use workqueue_core::record::{CapturedOutput, Status, WorkerLocation};

    pub(in crate::results) fn record(run: &str, id: u32) -> ResultRecord {
        ResultRecord {
            id: format!("b.{id}"),
            run: Some(run.to_owned()),
            queue: "job1".to_owned(),
            status: Status::Done,
            reason: None,
            exit: Some(0),
            signal: None,
            attempts: 1,
            earlier_deliveries: 0,
            first_started: Timestamp::UNIX_EPOCH,
            started: Timestamp::UNIX_EPOCH,
            ended: Timestamp::UNIX_EPOCH,
            size: 5,
            location: WorkerLocation::default(),
            stdout: CapturedOutput::default(),
            stderr: CapturedOutput::default(),
        }
    }

    #[test]
    fn the_last_record_of_an_item_in_a_run_counts() {
        let stream: Vec<(ResultRecord, RecordPosition)> =
            [("r", 1), ("r", 2), ("s", 1), ("r", 1), ("r", 3), ("r", 1)]
                .into_iter()
                .zip([(0, 0), (1, 0), (7, 0), (7, 1), (9, 0), (9, 1)])
                .map(|((run, id), (offset, index))| (record(run, id), RecordPosition { offset, index }))
                .collect();
        let mut latest = LastRecords::default();
        stream.iter().for_each(|(record, position)| latest.note(record, *position));
        let kept = stream.iter().filter(|(record, position)| latest.is_last(record, *position));
        let kept: Vec<_> = kept.map(|(_, position)| (position.offset, position.index)).collect();
        assert_eq!(kept, [(1, 0), (7, 0), (9, 0), (9, 1)]);
    }

    #[test]
    fn nothing_is_lost_among_many() {
        let mut latest = LastRecords::default();
        let position = |number| RecordPosition { offset: i64::from(number), index: 0 };
        let records = || (0..50_000).map(|number| (record("r", number % 40_000), position(number)));
        records().for_each(|(record, position)| latest.note(&record, position));
        let kept: Vec<i64> = records()
            .filter(|(record, position)| latest.is_last(record, *position))
            .map(|(_, position)| position.offset)
            .collect();
        assert_eq!(kept, (10_000..50_000).collect::<Vec<i64>>());
        assert!(latest.repeated.len() < 10_100, "{} taken for repeated", latest.repeated.len());
    }
}
