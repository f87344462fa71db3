//! How far the printing has come, for all to see while it goes on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counts of one printing.
#[derive(Debug, Default)]
pub(crate) struct PrintProgress {
    printed: AtomicU64,
    waiting: AtomicU64,
    begun: Mutex<Option<String>>,
    is_stopped: AtomicBool,
}

impl PrintProgress {
    /// Items that were printed, or had nothing to print.
    pub(crate) fn printed(&self) -> u64 {
        self.printed.load(Ordering::Relaxed)
    }

    /// Items that wait for those before them.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The item that is being printed, by id.
    pub(crate) fn begun(&self) -> Option<String> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets no further item be printed.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    pub(super) fn set_printed(&self, items: u64) {
        self.printed.store(items, Ordering::Relaxed);
    }

    pub(super) fn set_waiting(&self, items: u64) {
        self.waiting.store(items, Ordering::Relaxed);
    }

    pub(super) fn set_begun(&self, id: Option<&str>) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = id.map(str::to_owned);
    }
}
