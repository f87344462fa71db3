//! Holds the reading of an input back while too much of what was read is not through with: an endless input
//! must not fill the broker's volume.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// The most items that may be read ahead.
const MOST_ITEMS: u64 = 100_000;

/// The most bytes that they may have together, about.
const MOST_BYTES: u64 = 256 << 20;

/// Between who reads an input and who is through with its items.
#[derive(Debug, Default)]
pub struct InputGate {
    through: AtomicU64,
    moved: Notify,
}

impl InputGate {
    /// Notes how many items somebody is through with.
    pub fn set_through(&self, items: u64) {
        self.through.store(items, Ordering::Relaxed);
        // Kept for whoever waits next.
        self.moved.notify_one();
    }

    /// Waits until more may be read than these items with so many bytes together. Safe to cancel.
    pub(super) async fn passes(&self, items: u64, bytes: u64) {
        while !self.may_pass(items, bytes) {
            self.moved.notified().await;
        }
    }

    fn may_pass(&self, items: u64, bytes: u64) -> bool {
        let ahead = items.saturating_sub(self.through.load(Ordering::Relaxed));
        let average = bytes.checked_div(items).unwrap_or(0);
        ahead < MOST_ITEMS && ahead.saturating_mul(average) < MOST_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_is_read_than_what_may_be_ahead() {
        let gate = InputGate::default();
        gate.passes(0, 0).await;
        gate.passes(MOST_ITEMS - 1, 1).await;
        assert!(!gate.may_pass(MOST_ITEMS, 1));
        gate.set_through(1);
        gate.passes(MOST_ITEMS, 1).await;
        assert!(!gate.may_pass(100, 2 * MOST_BYTES), "they are large");
        gate.set_through(50);
        gate.passes(100, 2 * MOST_BYTES).await;
    }
}
