//! What is noticed about an input while it is read: it is no error, but people should know.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Position;

/// What was noticed about an input so far.
#[derive(Debug, Default)]
pub struct InputNotes {
    blank: AtomicU64,
    crlf: OnceLock<Position>,
    crlf_taken: AtomicBool,
}

impl InputNotes {
    /// Blank lines that were skipped.
    pub fn blank(&self) -> u64 {
        self.blank.load(Ordering::Relaxed)
    }

    /// The first line that ends with CR and LF, as on Windows; only the first call returns it.
    pub fn take_crlf(&self) -> Option<&Position> {
        let position = self.crlf.get()?;
        (!self.crlf_taken.swap(true, Ordering::Relaxed)).then_some(position)
    }

    pub(super) fn count_blank(&self) {
        self.blank.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn found_crlf(&self, position: &Position) {
        if self.crlf.get().is_none() {
            // Only the reader sets it.
            self.crlf.set(position.clone()).ok();
        }
    }
}
