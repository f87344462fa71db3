//! What an enqueue did with the items of its input.

use workqueue_core::item::Position;
use workqueue_core::ledger::ItemSet;

/// What became of the items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnqueueReport {
    /// The first part of the items' ids.
    pub batch: String,
    /// Items at the start of the input that an earlier attempt settled; not counted below.
    pub skipped: u64,
    /// Items read, not counting bad input.
    pub read: u64,
    /// Blank lines of the input, which are no items.
    pub blank: u64,
    /// Items that the broker confirmed.
    pub confirmed: u64,
    /// Those of the whole batch that the broker confirmed, by identity.
    pub items: ItemSet,
    /// Items that the broker refused.
    pub refused: u64,
    /// The first refused item, and why it was refused.
    pub first_refused: Option<(Position, String)>,
    /// How often items were published again after the connection broke: the queue holds at most
    /// this many duplicates.
    pub repeated: u64,
    /// Whether the user stopped the enqueue.
    pub interrupted: bool,
}

impl EnqueueReport {
    /// Whether every item of the input is in the queue.
    pub fn is_complete(&self) -> bool {
        self.read == self.confirmed && !self.interrupted
    }
}
