//! A queue in memory: the worker without a broker, for `kubectl workqueue local` and for tests.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::item::{Item, ItemSource};
use crate::mark::MarkMessage;
use crate::queue::{Consuming, Delivery, DeliveryTag, Queue, QueueCounts, QueueEvent, Settlement};

/// An item in a store.
#[derive(Debug, Clone)]
struct StoredItem {
    id: String,
    body: Arc<Vec<u8>>,
    earlier_deliveries: u32,
}

/// What several workers of one process share.
#[derive(Debug, Clone, Default)]
pub struct Store {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<StoredItem>,
    consumers: u64,
    failed: u64,
    /// Whether more items will be added.
    input_goes_on: bool,
    /// Counts the breaks; a session ends when it sees a new one.
    broken: u64,
    /// What workers have told each other.
    told: Vec<MarkMessage>,
}

impl Store {
    /// Adds an item.
    pub fn push(&self, id: &str, body: &[u8]) {
        self.push_again(id, body, 0);
    }

    /// Adds an item that was delivered so often before.
    pub fn push_again(&self, id: &str, body: &[u8], earlier_deliveries: u32) {
        let item = StoredItem { id: id.to_owned(), body: Arc::new(body.to_vec()), earlier_deliveries };
        self.lock().ready.push_back(item);
        self.changed.notify_waiters();
    }

    /// Tells the workers something, as another worker would.
    pub fn tell(&self, message: MarkMessage) {
        self.lock().told.push(message);
        self.changed.notify_waiters();
    }

    /// Says whether more items will be added, so that no worker leaves.
    pub fn set_input(&self, goes_on: bool) {
        self.lock().input_goes_on = goes_on;
    }

    /// Items that wait for a worker.
    pub fn ready(&self) -> usize {
        self.lock().ready.len()
    }

    /// Ends all sessions, as a broker that is restarted does.
    pub fn break_sessions(&self) {
        self.lock().broken += 1;
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requeued items are delivered first, as by a broker.
    fn requeue(&self, items: impl IntoIterator<Item = StoredItem>) {
        let mut state = self.lock();
        for item in items {
            state.ready.push_front(StoredItem { earlier_deliveries: item.earlier_deliveries + 1, ..item });
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

/// A worker's view of a store, or of items that are read one after the other.
pub struct MemoryQueue<S: ItemSource> {
    store: Store,
    feed: Feed<S>,
    held: HashMap<u64, StoredItem>,
    room: usize,
    /// Numbers of items that are read and not delivered.
    skip: HashSet<u64>,
    session: u64,
    last_number: u64,
    consuming: bool,
    counted: bool,
    events: VecDeque<QueueEvent>,
    broken: u64,
    /// Messages heard so far; `None` before this worker has told anything.
    heard: Option<usize>,
}

enum Feed<S: ItemSource> {
    /// Items come only from the store, whenever somebody adds some.
    Store,
    /// Items are read as there is room for them, and numbered.
    Items(S, u64),
    /// All items have been read, or no more can be.
    Ended(Result<(), S::Error>),
    /// The end has been reported.
    Reported,
}

/// The source of a queue whose items come only from its store.
pub enum StoreOnly {}

impl ItemSource for StoreOnly {
    type Error = Infallible;

    async fn next(&mut self) -> Result<Option<Item>, Infallible> {
        match *self {}
    }
}

impl MemoryQueue<StoreOnly> {
    /// The items of a store; holds at most `room` at a time.
    pub fn over_store(store: &Store, room: usize) -> Self {
        Self::new(store.clone(), Feed::Store, room)
    }
}

impl<S: ItemSource> MemoryQueue<S> {
    fn new(store: Store, feed: Feed<S>, room: usize) -> Self {
        Self {
            store,
            feed,
            held: HashMap::new(),
            room,
            skip: HashSet::new(),
            session: 0,
            last_number: 0,
            consuming: false,
            counted: false,
            events: VecDeque::new(),
            broken: 0,
            heard: None,
        }
    }

    /// The items of an input, at most `room` of them in memory; their ids are their numbers.
    /// An input that cannot be read ends here; its error is the queue's once all earlier items are settled.
    pub fn over_items(items: S, room: usize) -> Self {
        Self::new(Store::default(), Feed::Items(items, 0), room)
    }

    /// The same, without the items of these numbers.
    #[must_use]
    pub fn skipping(self, skip: HashSet<u64>) -> Self {
        Self { skip, ..self }
    }

    fn deliver(&mut self, item: StoredItem) -> QueueEvent {
        self.last_number += 1;
        self.held.insert(self.last_number, item.clone());
        QueueEvent::Delivery(Delivery {
            tag: DeliveryTag { session: self.session, number: self.last_number },
            id: item.id,
            body: item.body,
            earlier_deliveries: item.earlier_deliveries,
            redelivered: item.earlier_deliveries > 0,
            earlier_failures: 0,
        })
    }

    /// Reads on if there is room; returns no item when there is none now.
    async fn read(&mut self) -> Option<StoredItem> {
        if !self.consuming || self.held.len() >= self.room {
            return None;
        }
        if let Some(item) = self.store.lock().ready.pop_front() {
            return Some(item);
        }
        let Feed::Items(items, number) = &mut self.feed else { return None };
        let next = loop {
            let next = items.next().await;
            *number += u64::from(matches!(next, Ok(Some(_))));
            if !matches!(next, Ok(Some(_))) || !self.skip.remove(number) {
                break next;
            }
        };
        match next {
            Ok(Some(item)) => Some(StoredItem {
                id: number.to_string(),
                body: Arc::new(item.body.into()),
                earlier_deliveries: 0,
            }),
            Ok(None) => {
                self.feed = Feed::Ended(Ok(()));
                None
            }
            Err(error) => {
                self.feed = Feed::Ended(Err(error));
                None
            }
        }
    }

    fn end(&mut self) -> Option<Result<QueueEvent, S::Error>> {
        if !self.held.is_empty() || self.store.ready() > 0 || !matches!(self.feed, Feed::Ended(_)) {
            return None;
        }
        match std::mem::replace(&mut self.feed, Feed::Reported) {
            Feed::Ended(Err(error)) => Some(Err(error)),
            _ => Some(Ok(QueueEvent::End)),
        }
    }

    fn count(&mut self, counts: bool) {
        let mut state = self.store.lock();
        match (self.counted, counts) {
            (false, true) => state.consumers += 1,
            (true, false) => state.consumers -= 1,
            _ => {}
        }
        drop(state);
        self.counted = counts;
    }

    fn hear(&mut self) {
        let Some(heard) = &mut self.heard else { return };
        let state = self.store.lock();
        self.events.extend(state.told.iter().skip(*heard).cloned().map(QueueEvent::Heard));
        *heard = state.told.len();
    }

    fn follow_breaks(&mut self) {
        let broken = self.store.lock().broken;
        if broken != self.broken {
            self.broken = broken;
            let session = self.session;
            self.session += 1;
            let held = std::mem::take(&mut self.held);
            self.events.extend(held.keys().map(|&number| QueueEvent::Lost(DeliveryTag { session, number })));
            self.store.requeue(held.into_values());
        }
    }
}

impl<S: ItemSource> Queue for MemoryQueue<S> {
    type Error = S::Error;

    async fn next(&mut self) -> Result<QueueEvent, S::Error> {
        loop {
            // Armed first, so that no change between looking and waiting is missed.
            let changed = self.store.changed.clone();
            let mut changed = std::pin::pin!(changed.notified());
            changed.as_mut().enable();
            self.follow_breaks();
            self.hear();
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            if let Some(item) = self.read().await {
                return Ok(self.deliver(item));
            }
            if let Some(end) = self.end() {
                return end;
            }
            changed.await;
        }
    }

    fn settle(&mut self, tag: DeliveryTag, settlement: Settlement) {
        let current = tag.session == self.session;
        let Some(item) = self.held.remove(&tag.number).filter(|_| current) else {
            self.events.push_back(QueueEvent::Lost(tag));
            return;
        };
        match settlement {
            Settlement::Done(_) => {}
            Settlement::Failed { .. } => self.store.lock().failed += 1,
            Settlement::Requeue => self.store.requeue([item]),
        }
        self.events.push_back(QueueEvent::Settled(tag));
    }

    fn consume(&mut self, how: Consuming) {
        self.consuming = how == Consuming::Active;
        self.count(how != Consuming::Paused);
    }

    fn request_counts(&mut self) {
        let state = self.store.lock();
        let ready = state.ready.len() as u64;
        let counts = QueueCounts {
            ready,
            consumers: state.consumers,
            failed: state.failed,
            input_goes_on: state.input_goes_on,
        };
        drop(state);
        self.events.push_back(QueueEvent::Counts(counts));
    }

    fn prefetch_extra(&mut self, _extra: bool) -> bool {
        false
    }

    fn tell(&mut self, message: MarkMessage) {
        self.heard.get_or_insert(0);
        self.store.tell(message);
    }

    async fn close(mut self) {
        self.count(false);
        self.store.requeue(std::mem::take(&mut self.held).into_values());
    }
}
