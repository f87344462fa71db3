//! What the modules of the consumer tell the user.

use tokio::sync::mpsc;

use crate::Error;
use workqueue_core::queue::QueueEvent;

/// Takes notes for the user. Clones share the way to the worker.
#[derive(Debug, Clone)]
pub(super) struct Notes(mpsc::UnboundedSender<Result<QueueEvent, Error>>);

impl Notes {
    pub(super) fn new(events_tx: mpsc::UnboundedSender<Result<QueueEvent, Error>>) -> Self {
        Self(events_tx)
    }

    pub(super) fn say(&self, note: impl Into<String>) {
        // A worker that no longer listens needs no notes.
        self.0.send(Ok(QueueEvent::Note(note.into()))).ok();
    }
}
