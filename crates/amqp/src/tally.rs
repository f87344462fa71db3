//! What a publisher is told, and what it tells.

use std::time::Duration;

use super::window::Settled;
use workqueue_core::item::Position;

/// What all messages of a batch have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelopes {
    /// Headers, all of them strings.
    pub headers: Vec<(String, String)>,
    /// How long a message may wait in the queue.
    pub ttl: Option<Duration>,
}

/// What became of the items so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Handed to [`Publisher::push`](super::publisher::Publisher::push).
    pub published: u64,
    /// Taken charge of by the broker.
    pub confirmed: u64,
    /// Refused by the broker: the item is too large, the queue at its limit, or gone.
    pub refused: u64,
    /// The first refused item and the broker's words.
    pub first_refused: Option<(Position, String)>,
    /// Published again because the connection broke before their confirm: each of them may be in
    /// the queue twice.
    pub repeated: u64,
}

/// What [`Publisher::drive`](super::publisher::Publisher::drive) came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Items were sent or settled.
    Moved,
    /// The broker takes nothing more for now. Holds its reason, an alarm.
    Blocked(String),
    /// It does again.
    Unblocked,
}

impl Tally {
    /// Counts an item that is settled.
    pub(super) fn count(&mut self, settled: Settled) {
        match settled {
            Settled::Confirmed => self.confirmed += 1,
            Settled::Nacked(position) => self.refuse(position, "the queue takes no more".to_owned()),
            Settled::Returned(position) => self.refuse(position, "the queue is gone".to_owned()),
        }
    }

    /// Counts an item that the broker does not take.
    pub(super) fn refuse(&mut self, position: Position, reason: String) {
        self.refused += 1;
        self.first_refused.get_or_insert((position, reason));
    }
}
