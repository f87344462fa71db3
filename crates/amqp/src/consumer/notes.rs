//! What the modules of the consumer tell the user.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::Error;
use workqueue_core::queue::QueueEvent;

/// What takes longer is named.
const SLOW: Duration = Duration::from_secs(5);

/// Takes notes for the user. Clones share the way to the worker.
#[derive(Debug, Clone)]
pub(super) struct Notes(mpsc::UnboundedSender<Result<QueueEvent, Error>>);

impl Notes {
    pub(super) fn new(events_tx: mpsc::UnboundedSender<Result<QueueEvent, Error>>) -> Self {
        Self(events_tx)
    }

    /// Says something if what is waited for takes long, and goes on waiting.
    pub(super) async fn say_if_slow<T>(&self, note: String, waited_for: impl Future<Output = T>) -> T {
        let mut waited_for = std::pin::pin!(waited_for);
        tokio::select! {
            done = &mut waited_for => done,
            () = tokio::time::sleep(SLOW) => {
                self.say(note);
                waited_for.await
            }
        }
    }

    pub(super) fn say(&self, note: impl Into<String>) {
        // A worker that no longer listens needs no notes.
        self.0.send(Ok(QueueEvent::Note(note.into()))).ok();
    }
}
