//! The marks of a queue as far as this worker has heard: whose are open, and who said that they live.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use workqueue_core::mark::{EndedItem, MarkMessage, MarkedItem};

/// Items without open marks that are remembered: they may run beside others.
const CALM_REMEMBERED: usize = 10_000;

/// The marks of all items.
#[derive(Debug)]
pub(super) struct Marks {
    /// This process: a name that no other one has.
    worker: String,
    /// Messages heard so far.
    heard: u64,
    items: HashMap<MarkedItem, OpenMarks>,
    /// Items without open marks.
    calm: usize,
}

/// The open marks of one item, by worker and number; with when the worker last said that it lives, by
/// the count of messages.
type OpenMarks = BTreeMap<(String, u64), u64>;

impl Marks {
    pub(super) fn new(worker: String) -> Self {
        Self { worker, heard: 0, items: HashMap::new(), calm: 0 }
    }

    /// Messages heard so far.
    pub(super) fn heard(&self) -> u64 {
        self.heard
    }

    /// Takes a message. Returns the answer to it.
    pub(super) fn hear(&mut self, message: MarkMessage) -> Option<MarkMessage> {
        self.heard += 1;
        match message {
            MarkMessage::Look { item, worker, .. } => return self.answer(item, &worker),
            MarkMessage::Start { item, worker, number } => {
                self.change(item, |marks| _ = marks.entry((worker, number)).or_default());
            }
            MarkMessage::Alive { item, worker } => {
                let marks = self.items.get_mut(&item).into_iter().flatten();
                for (_, alive) in marks.filter(|((owner, _), _)| *owner == worker) {
                    *alive = self.heard;
                }
            }
            MarkMessage::End { worker, items } => {
                for EndedItem { item, number } in items {
                    self.change(item, |marks| {
                        number.and_then(|number| marks.remove(&(worker.clone(), number)));
                    });
                }
            }
            MarkMessage::Settled { item } => {
                if self.items.remove(&item).is_some_and(|marks| marks.is_empty()) {
                    self.calm -= 1;
                }
            }
        }
        None
    }

    /// The other workers that have an open mark of this item, and have not said since some moment that
    /// they live.
    pub(super) fn dead(&self, item: &MarkedItem, since: u64) -> BTreeSet<String> {
        let others = self.others(item).filter(|(_, alive)| *alive <= since);
        others.map(|(worker, _)| worker.to_owned()).collect()
    }

    /// Whether living workers have said of all that they knew to hold this item that they let it go.
    pub(super) fn is_calm(&self, item: &MarkedItem) -> bool {
        self.items.contains_key(item) && self.others(item).next().is_none()
    }

    fn others(&self, item: &MarkedItem) -> impl Iterator<Item = (&str, u64)> {
        let marks = self.items.get(item).into_iter().flatten();
        let others = marks.filter(|((worker, _), _)| *worker != self.worker);
        others.map(|((worker, _), alive)| (worker.as_str(), *alive))
    }

    fn answer(&self, item: MarkedItem, asks: &str) -> Option<MarkMessage> {
        let is_own = self.items.get(&item)?.keys().any(|(worker, _)| *worker == self.worker);
        let worker = self.worker.clone();
        (is_own && asks != worker).then_some(MarkMessage::Alive { item, worker })
    }

    fn change(&mut self, item: MarkedItem, change: impl FnOnce(&mut OpenMarks)) {
        let was_calm = self.items.get(&item).is_some_and(BTreeMap::is_empty);
        let marks = self.items.entry(item).or_default();
        change(marks);
        let is_calm = marks.is_empty();
        self.calm = self.calm + usize::from(is_calm) - usize::from(was_calm);
        if self.calm > CALM_REMEMBERED {
            self.items.retain(|_, marks| !marks.is_empty());
            self.calm = 0;
        }
    }
}
