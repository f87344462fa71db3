//! What a publisher is given with a batch, and what it reports.

use std::time::Duration;

use super::window::Settled;
use workqueue_core::item::Position;

/// The properties that all messages of a batch share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchProperties {
    /// Headers, all of them strings.
    pub headers: Vec<(String, String)>,
    /// How long a message may wait in the queue.
    pub ttl: Option<Duration>,
}

/// How many items were published and settled so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishCounts {
    /// Given to [`Publisher::push`](super::Publisher::push).
    pub published: u64,
    /// Confirmed by the broker.
    pub confirmed: u64,
    /// Refused by the broker: the item is too large, or the queue is at its limit or gone.
    pub refused: u64,
    /// The first refused item and the broker's words.
    pub first_refused: Option<(Position, String)>,
    /// Published again because the connection broke before their confirm: each of them may be in
    /// the queue twice.
    pub repeated: u64,
}

/// The result of [`Publisher::drive`](super::Publisher::drive).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishProgress {
    /// Items were sent or settled.
    Moved,
    /// The broker has blocked the connection. Holds its reason, an alarm.
    Blocked(String),
    /// The broker has unblocked the connection.
    Unblocked,
}

impl PublishCounts {
    /// Counts a settled item.
    pub(super) fn count(&mut self, settled: Settled) {
        match settled {
            Settled::Confirmed(_) => self.confirmed += 1,
            Settled::Nacked(position) => self.refuse(position, "the queue accepts no more items".to_owned()),
            Settled::Returned(position) => self.refuse(position, "the queue is gone".to_owned()),
        }
    }

    /// Counts a refused item.
    pub(super) fn refuse(&mut self, position: Position, reason: String) {
        self.refused += 1;
        self.first_refused.get_or_insert((position, reason));
    }
}
