//! Shares the work of a render between its threads.

use std::iter;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};

/// Pieces of work for whichever thread has time.
pub(super) struct Pieces<T>(Mutex<Receiver<T>>);

impl<T> Pieces<T> {
    pub(super) fn channel() -> (Sender<T>, Self) {
        let (sender, receiver) = mpsc::channel();
        (sender, Self(Mutex::new(receiver)))
    }

    /// Those that no other thread has taken, up to the end of the sender.
    pub(super) fn take(&self) -> impl Iterator<Item = T> {
        iter::from_fn(|| self.0.lock().unwrap_or_else(PoisonError::into_inner).recv().ok())
    }
}
