//! Items that are settled together: their records are one message, and their outcomes one page.

use std::collections::VecDeque;
use std::sync::Arc;

use super::held_delivery::HeldDelivery;
use super::records::RecordLine;
use workqueue_core::record::ResultRecord;

/// Items of a batch at most.
const MAX_ITEMS: usize = 256;

/// Bytes of records that make a batch full.
const FULL_BYTES: usize = 256 * 1024;

/// An item that is finished, and is in `QUEUE.failed` if it failed.
pub(super) struct Finished {
    pub number: u64,
    pub held: HeldDelivery,
    pub record: Arc<ResultRecord>,
}

/// Items that are settled together.
pub(super) struct Batch {
    pub items: Vec<Finished>,
    pub records: Vec<RecordLine>,
}

impl Batch {
    /// Takes as many items as fit, those that have waited longest first.
    pub(super) fn take(waiting: &mut VecDeque<Finished>, with_records: bool) -> Self {
        let mut batch = Self { items: Vec::new(), records: Vec::new() };
        let mut bytes = 0;
        while batch.items.len() < MAX_ITEMS && bytes < FULL_BYTES {
            let Some(item) = waiting.pop_front() else { break };
            if with_records && let Ok(json) = serde_json::to_vec(&*item.record) {
                bytes += json.len() + 1;
                batch.records.push(RecordLine { id: item.record.id.clone(), json });
            }
            batch.items.push(item);
        }
        batch
    }
}
