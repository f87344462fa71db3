//! The queue in memory: the worker's loop without a broker, for `local` and for tests.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::item::{Item, ItemSource};
use crate::queue::{Claim, Consuming, Delivery, Depth, Event, Queue, Verdict};

/// An item in the store.
#[derive(Debug, Clone)]
struct Message {
    id: String,
    body: Arc<Vec<u8>>,
    earlier: u32,
}

/// What several workers of one process share.
#[derive(Debug, Clone, Default)]
pub struct Store {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Message>,
    consumers: u64,
    failed: u64,
    /// Sessions are ended when this differs from what they have seen.
    broken: u64,
}

impl Store {
    /// Adds an item.
    pub fn push(&self, id: &str, body: &[u8]) {
        let message = Message { id: id.to_owned(), body: Arc::new(body.to_vec()), earlier: 0 };
        self.lock().ready.push_back(message);
        self.changed.notify_waiters();
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

    /// Items that went back are handed out first, as brokers do it.
    fn put_back(&self, messages: impl IntoIterator<Item = Message>) {
        let mut state = self.lock();
        for message in messages {
            state.ready.push_front(Message { earlier: message.earlier + 1, ..message });
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

/// A worker's view of a store, or of items that are read one after the other.
pub struct MemoryQueue<S: ItemSource> {
    store: Store,
    source: Source<S>,
    held: HashMap<u64, Message>,
    room: usize,
    session: u64,
    last_tag: u64,
    consuming: bool,
    counted: bool,
    events: VecDeque<Event>,
    broken: u64,
}

enum Source<S: ItemSource> {
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
    /// Items that somebody puts into a store, at most `room` at a time.
    pub fn over_store(store: &Store, room: usize) -> Self {
        Self::new(store.clone(), Source::Store, room)
    }
}

impl<S: ItemSource> MemoryQueue<S> {
    fn new(store: Store, source: Source<S>, room: usize) -> Self {
        Self {
            store,
            source,
            held: HashMap::new(),
            room,
            session: 0,
            last_tag: 0,
            consuming: false,
            counted: false,
            events: VecDeque::new(),
            broken: 0,
        }
    }

    /// The items of an input, at most `room` of them in memory; their ids are their numbers.
    /// What cannot be read ends the input, and is the queue's error once all before is settled.
    pub fn over_items(items: S, room: usize) -> Self {
        Self::new(Store::default(), Source::Items(items, 0), room)
    }

    fn deliver(&mut self, message: Message) -> Event {
        self.last_tag += 1;
        self.held.insert(self.last_tag, message.clone());
        Event::Delivery(Delivery {
            claim: Claim { session: self.session, tag: self.last_tag },
            id: message.id,
            body: message.body,
            earlier: message.earlier,
            redelivered: message.earlier > 0,
            failures: 0,
        })
    }

    /// Reads on if there is room; comes back without an item when there is none to be had now.
    async fn read(&mut self) -> Option<Message> {
        if !self.consuming || self.held.len() >= self.room {
            return None;
        }
        if let Some(message) = self.store.lock().ready.pop_front() {
            return Some(message);
        }
        let Source::Items(items, number) = &mut self.source else { return None };
        match items.next().await {
            Ok(Some(item)) => {
                *number += 1;
                Some(Message { id: number.to_string(), body: Arc::new(item.body.into()), earlier: 0 })
            }
            Ok(None) => {
                self.source = Source::Ended(Ok(()));
                None
            }
            Err(error) => {
                self.source = Source::Ended(Err(error));
                None
            }
        }
    }

    fn end(&mut self) -> Option<Result<Event, S::Error>> {
        if !self.held.is_empty() || self.store.ready() > 0 || !matches!(self.source, Source::Ended(_)) {
            return None;
        }
        match std::mem::replace(&mut self.source, Source::Reported) {
            Source::Ended(Err(error)) => Some(Err(error)),
            _ => Some(Ok(Event::End)),
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

    fn follow_breaks(&mut self) {
        let broken = self.store.lock().broken;
        if broken != self.broken {
            self.broken = broken;
            let session = self.session;
            self.session += 1;
            let held = std::mem::take(&mut self.held);
            self.events.extend(held.keys().map(|&tag| Event::Lost(Claim { session, tag })));
            self.store.put_back(held.into_values());
        }
    }
}

impl<S: ItemSource> Queue for MemoryQueue<S> {
    type Error = S::Error;

    async fn next(&mut self) -> Result<Event, S::Error> {
        loop {
            // Told first, so that no change between looking and waiting is missed.
            let changed = self.store.changed.clone();
            let mut changed = std::pin::pin!(changed.notified());
            changed.as_mut().enable();
            self.follow_breaks();
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            if let Some(message) = self.read().await {
                return Ok(self.deliver(message));
            }
            if let Some(end) = self.end() {
                return end;
            }
            changed.await;
        }
    }

    fn settle(&mut self, claim: Claim, verdict: Verdict) {
        let current = claim.session == self.session;
        let Some(message) = self.held.remove(&claim.tag).filter(|_| current) else {
            self.events.push_back(Event::Lost(claim));
            return;
        };
        match verdict {
            Verdict::Done(_) => {}
            Verdict::Failed { .. } => self.store.lock().failed += 1,
            Verdict::GiveBack => self.store.put_back([message]),
        }
        self.events.push_back(Event::Settled(claim));
    }

    fn consume(&mut self, how: Consuming) {
        self.consuming = how == Consuming::Active;
        self.count(how != Consuming::Paused);
    }

    fn measure(&mut self) {
        let state = self.store.lock();
        let ready = state.ready.len() as u64;
        let depth = Depth { ready, consumers: state.consumers, failed: state.failed };
        drop(state);
        self.events.push_back(Event::Depth(depth));
    }

    fn look_ahead(&mut self, _quick: bool) -> bool {
        false
    }

    async fn close(mut self) {
        self.count(false);
        self.store.put_back(std::mem::take(&mut self.held).into_values());
    }
}
