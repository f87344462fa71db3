//! What a worker publishes about the items that it settles.

use std::sync::atomic::{AtomicBool, Ordering};

/// What is published, over all sessions of a worker. What turns out to be gone is not wanted any more.
#[derive(Debug)]
pub(super) struct Wanted {
    pub records: Switch,
    pub outcomes: Switch,
    pub outputs: Switch,
    /// Whether outputs were wanted at the start: then the ledger says which are missing.
    pub keeps_outputs: bool,
}

/// Can be turned off once.
#[derive(Debug)]
pub(super) struct Switch(AtomicBool);

impl Switch {
    pub(super) fn new(on: bool) -> Self {
        Self(AtomicBool::new(on))
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Turns it off. Returns whether it was on.
    pub(super) fn turn_off(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}
