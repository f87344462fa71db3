//! Which items end the workers that run them: a rule without a queue or a clock of its own.
//!
//! A broker cannot tell a worker that died from one that requeued an item or lost its connection, so
//! workers mark the start of each item that came back, and the end of each mark. A mark without an end is
//! a death, unless its worker says that it lives. `docs/design/deaths.md` gives the reasons.

mod marks;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::held_items::ItemKey;
use marks::Marks;
use workqueue_core::mark::{EndedItem, MarkMessage, MarkedItem};

/// How many workers an item may end, unless the worker is told otherwise.
pub const MAX_DEATHS: u32 = 3;

/// How long an item waits for workers that have lost their connection to say that they live: longer than
/// two attempts to connect, of which the first waits in vain for the login (15 s), and the pause between
/// them. Unit tests do not wait so long.
pub(super) const HOLD: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 40 });

/// How long a message may take to be heard, before the work goes on without it.
const HEARD_WITHIN: Duration = Duration::from_secs(30);

/// What to do with the item that is next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Start its program; with `alone`, nothing else until that has ended.
    Start { alone: bool },
    /// Wait for what is heard.
    Wait,
    /// Wait until no other program runs here.
    WaitToBeAlone,
    /// Tell this, then wait.
    Tell(MarkMessage),
    /// Set it aside for [`HOLD`]: as it looks, so many workers have died with it.
    Hold { deaths: usize },
    /// These workers have died with it: it has failed.
    Failed { workers: Vec<String> },
}

/// Follows marks, and the items held here that came back.
#[derive(Debug)]
pub(super) struct Deaths {
    max: u32,
    worker: String,
    /// The number of the last look or mark.
    last: u64,
    /// Whether the last that was told is lost.
    deaf: bool,
    marks: Marks,
    returned: HashMap<ItemKey, Returned>,
    ended: Vec<EndedItem>,
}

/// A held item that came back.
#[derive(Debug)]
struct Returned {
    item: MarkedItem,
    state: State,
    /// Which message its first look was heard as: workers that live answer after it.
    asked: Option<u64>,
    /// The number of its mark.
    mark: Option<u64>,
    was_held: bool,
}

impl Returned {
    fn new(item: MarkedItem, state: State, mark: Option<u64>) -> Self {
        Self { item, state, asked: None, mark, was_held: false }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Its look has not been heard yet.
    Looking { number: u64, until: Instant },
    /// Its look was heard.
    Looked,
    /// Set aside.
    Held { until: Instant },
    /// Its mark has not been heard yet.
    Marking { number: u64, until: Instant, alone: bool },
    /// What was told is lost: work goes on without a mark, and no item fails.
    Unknown,
    /// It may start.
    Marked { alone: bool },
}

impl Deaths {
    /// `worker` is a name that no other process has.
    pub(super) fn new(max: u32, worker: String) -> Self {
        let marks = Marks::new(worker.clone());
        Self { max, worker, last: 0, deaf: false, marks, returned: HashMap::new(), ended: Vec::new() }
    }

    /// An item that was delivered before has arrived. Returns what to tell.
    pub(super) fn came_back(&mut self, now: Instant, key: ItemKey, item: MarkedItem) -> MarkMessage {
        self.last += 1;
        let (number, worker) = (self.last, self.worker.clone());
        let state = State::Looking { number, until: now + HEARD_WITHIN };
        self.returned.insert(key, Returned::new(item.clone(), state, None));
        MarkMessage::Look { item, worker, number }
    }

    /// An item that still runs here was redelivered here. Returns what to tell.
    pub(super) fn runs_again(&mut self, key: ItemKey, item: MarkedItem) -> MarkMessage {
        self.last += 1;
        let (number, worker) = (self.last, self.worker.clone());
        let (state, mark) = (State::Marked { alone: false }, Some(number));
        self.returned.insert(key, Returned::new(item.clone(), state, mark));
        MarkMessage::Start { item, worker, number }
    }

    /// Takes a message. Returns the answer to it.
    pub(super) fn hear(&mut self, message: MarkMessage) -> Option<MarkMessage> {
        match &message {
            MarkMessage::Look { worker, number, .. } | MarkMessage::Start { worker, number, .. }
                if *worker == self.worker =>
            {
                self.deaf = false;
                let (own, at) = (*number, self.marks.heard() + 1);
                for returned in self.returned.values_mut() {
                    match returned.state {
                        State::Looking { number, .. } if number == own => {
                            returned.state = State::Looked;
                            returned.asked.get_or_insert(at);
                        }
                        State::Marking { number, alone, .. } if number == own => {
                            returned.state = State::Marked { alone };
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        self.marks.hear(message)
    }

    /// What was told and not heard yet is lost. Returns whether that is news.
    pub(super) fn deafened(&mut self) -> bool {
        for returned in self.returned.values_mut() {
            if matches!(returned.state, State::Looking { .. } | State::Marking { .. }) {
                returned.state = State::Unknown;
            }
        }
        !std::mem::replace(&mut self.deaf, true)
    }

    /// Whether something that was told should have been heard by now.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.heard_until().is_some_and(|until| until <= now)
    }

    /// Decides about the item that is next, while so many programs run here.
    pub(super) fn admit(&mut self, now: Instant, key: ItemKey, running: usize) -> Admission {
        let Some(returned) = self.returned.get_mut(&key) else { return Admission::Start { alone: false } };
        match returned.state {
            State::Marked { alone } => Admission::Start { alone },
            State::Looking { .. } | State::Marking { .. } | State::Held { .. } => Admission::Wait,
            State::Unknown if running > 0 => Admission::WaitToBeAlone,
            State::Unknown => {
                returned.state = State::Marked { alone: true };
                Admission::Start { alone: true }
            }
            State::Looked => self.judge(now, key, running),
        }
    }

    /// Decides about an item whose look was heard.
    fn judge(&mut self, now: Instant, key: ItemKey, running: usize) -> Admission {
        let Some(returned) = self.returned.get_mut(&key) else { return Admission::Wait };
        let workers = self.marks.dead(&returned.item, returned.asked.unwrap_or_default());
        let is_poison = workers.len() >= self.max as usize;
        let alone = !self.marks.is_calm(&returned.item);
        if is_poison && returned.was_held {
            return Admission::Failed { workers: workers.into_iter().collect() };
        }
        if is_poison {
            (returned.state, returned.was_held) = (State::Held { until: now + HOLD }, true);
            return Admission::Hold { deaths: workers.len() };
        }
        if alone && running > 0 {
            return Admission::WaitToBeAlone;
        }
        self.last += 1;
        let (number, worker, item) = (self.last, self.worker.clone(), returned.item.clone());
        (returned.state, returned.mark) =
            (State::Marking { number, until: now + HEARD_WITHIN, alone }, Some(number));
        Admission::Tell(MarkMessage::Start { item, worker, number })
    }

    /// When to decide again, although nothing was heard.
    pub(super) fn decides_at(&self) -> Option<Instant> {
        let held = self.returned.values().filter_map(|returned| match returned.state {
            State::Held { until } => Some(until),
            _ => None,
        });
        held.chain(self.heard_until()).min()
    }

    /// When all that was told should have been heard.
    fn heard_until(&self) -> Option<Instant> {
        let untils = self.returned.values().filter_map(|returned| match returned.state {
            State::Looking { until, .. } | State::Marking { until, .. } => Some(until),
            _ => None,
        });
        untils.min()
    }

    /// Items that have been set aside for long enough, and what to tell: once that is heard, all answers
    /// that came in time have been heard.
    pub(super) fn held_long_enough(&mut self, now: Instant) -> Vec<(ItemKey, MarkMessage)> {
        let mut looks = Vec::new();
        for (key, returned) in &mut self.returned {
            if matches!(returned.state, State::Held { until } if until <= now) {
                self.last += 1;
                let (number, item, worker) = (self.last, returned.item.clone(), self.worker.clone());
                returned.state = State::Looking { number, until: now + HEARD_WITHIN };
                looks.push((*key, MarkMessage::Look { item, worker, number }));
            }
        }
        looks
    }

    /// An item is settled. Returns what to tell.
    pub(super) fn settled(&mut self, key: ItemKey) -> Option<MarkMessage> {
        self.returned.remove(&key).map(|Returned { item, .. }| MarkMessage::Settled { item })
    }

    /// This worker no longer holds an item, and lives; [`take_ended`](Self::take_ended) tells it.
    pub(super) fn let_go(&mut self, key: ItemKey, item: impl FnOnce() -> MarkedItem) {
        self.ended.push(match self.returned.remove(&key) {
            Some(Returned { item, mark, .. }) => EndedItem { item, number: mark },
            None => EndedItem { item: item(), number: None },
        });
    }

    /// What to tell about items that this worker no longer holds.
    pub(super) fn take_ended(&mut self) -> Option<MarkMessage> {
        let items = std::mem::take(&mut self.ended);
        (!items.is_empty()).then(|| MarkMessage::End { worker: self.worker.clone(), items })
    }
}
