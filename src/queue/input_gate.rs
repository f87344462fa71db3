//! Holds the reading of an input back while too much of what was read waits: an endless input must not fill
//! the broker's volume.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// The most items that may be read ahead, unless the user wants another number.
pub const READ_AHEAD: u64 = 100_000;

/// The most bytes that they may have together, about.
const MOST_BYTES: u64 = 256 << 20;

/// Between who reads an input and who prints what became of its items.
#[derive(Debug)]
pub struct InputGate {
    /// The most items that may be read ahead.
    most_items: u64,
    /// Items and bytes that were read when somebody asked last.
    read: AtomicU64,
    bytes: AtomicU64,
    printed: AtomicU64,
    /// Items that were read and are not waited for, although they were not printed.
    gone: AtomicU64,
    moved: Notify,
}

impl InputGate {
    /// A gate that so many items may be ahead of.
    pub fn new(most_items: u64) -> Self {
        let zero = AtomicU64::default;
        let (read, bytes, printed, gone) = (zero(), zero(), zero(), zero());
        Self { most_items, read, bytes, printed, gone, moved: Notify::new() }
    }

    /// Notes how many items were printed, or had nothing to print.
    pub fn set_printed(&self, items: u64) {
        self.printed.store(items, Ordering::Relaxed);
        // Kept for whoever waits next.
        self.moved.notify_one();
    }

    /// Notes that of what was read, so many items still wait: for a worker, or for being printed. Those that
    /// workers run at this moment are not waited for then, and those that somebody has taken out of the queue
    /// never come.
    pub fn set_waiting(&self, items: u64) {
        let not_printed =
            self.read.load(Ordering::Relaxed).saturating_sub(self.printed.load(Ordering::Relaxed));
        self.gone.store(not_printed.saturating_sub(items), Ordering::Relaxed);
        self.moved.notify_one();
    }

    /// Whether the reading waits.
    pub fn is_closed(&self) -> bool {
        !self.may_pass(self.read.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Waits until more may be read than these items with so many bytes together. Safe to cancel.
    pub(super) async fn passes(&self, items: u64, bytes: u64) {
        self.read.store(items, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
        while !self.may_pass(items, bytes) {
            self.moved.notified().await;
        }
    }

    fn may_pass(&self, items: u64, bytes: u64) -> bool {
        let through = self.printed.load(Ordering::Relaxed) + self.gone.load(Ordering::Relaxed);
        let ahead = items.saturating_sub(through);
        let average = bytes.checked_div(items).unwrap_or(0);
        ahead < self.most_items && ahead.saturating_mul(average) < MOST_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_is_read_than_what_may_be_ahead() {
        let gate = InputGate::new(1_000);
        gate.passes(0, 0).await;
        gate.passes(999, 1).await;
        assert!(!gate.may_pass(1_000, 1));
        gate.set_printed(1);
        gate.passes(1_000, 1).await;
        assert!(!gate.may_pass(100, 2 * MOST_BYTES), "they are large");
        gate.set_printed(50);
        gate.passes(100, 2 * MOST_BYTES).await;
    }

    #[tokio::test]
    async fn items_that_will_never_be_printed_are_not_waited_for() {
        let gate = InputGate::new(10);
        assert!(!gate.is_closed());
        gate.set_printed(2);
        let reading = async {
            gate.passes(12, 12).await;
            gate.passes(13, 13).await;
        };
        let judging = async {
            assert!(gate.is_closed());
            gate.set_waiting(10);
            assert!(gate.is_closed(), "they all wait");
            // Three of them were purged.
            gate.set_waiting(7);
            assert!(!gate.is_closed());
        };
        tokio::join!(reading, judging);
        // What was not printed then is printed after all: a few more may be ahead for a while.
        gate.set_printed(8);
        assert!(gate.may_pass(20, 20) && !gate.may_pass(21, 21));
    }
}
