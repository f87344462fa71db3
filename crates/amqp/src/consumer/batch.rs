//! Items that are settled together: their records are one message, and so are their outcomes and outputs.

use std::collections::VecDeque;
use std::sync::Arc;

use super::held_delivery::HeldDelivery;
use super::records::RecordLine;
use super::wanted::Wanted;
use workqueue_core::ledger::LedgerPage;
use workqueue_core::output::OutputEntry;
use workqueue_core::record::ResultRecord;

/// Items of a batch at most.
const MAX_ITEMS: usize = 256;

/// Bytes of records and outputs that make a batch full. The last item may be larger.
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
    pub outcomes: LedgerPage,
    pub outputs: Vec<OutputEntry>,
}

impl Batch {
    /// Takes as many items as fit, those that have waited longest first.
    pub(super) fn take(waiting: &mut VecDeque<Finished>, wanted: &Wanted) -> Self {
        let (items, records, outputs) = (Vec::new(), Vec::new(), Vec::new());
        let mut batch = Self { items, records, outcomes: LedgerPage::default(), outputs };
        let mut bytes = 0;
        while batch.items.len() < MAX_ITEMS && bytes < FULL_BYTES {
            let Some(item) = waiting.pop_front() else { break };
            let record = &item.record;
            if wanted.records.is_on()
                && let Ok(json) = serde_json::to_vec(&**record)
            {
                bytes += json.len() + 1;
                batch.records.push(RecordLine { id: record.id.clone(), json });
            }
            if wanted.outcomes.is_on() {
                let repeats = record.earlier_deliveries.saturating_add(record.attempts.saturating_sub(1));
                batch.outcomes.settle(&record.id, record.status, repeats);
            }
            if wanted.keeps_outputs {
                let entry = OutputEntry::of(record, &item.held.body);
                bytes += entry.size();
                batch.outputs.push(entry);
            }
            batch.items.push(item);
        }
        batch
    }
}
