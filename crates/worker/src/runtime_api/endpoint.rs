//! What the endpoint of one program knows: the items that are offered, and those that the program works on.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use tokio::sync::{Notify, oneshot};

use super::invocation::{Invocation, request_id};
use super::reported::ReportedError;

/// The type of the error of an item that the program has left without an answer.
const UNANSWERED: &str = "Unanswered";

/// A program's answer for an item.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is done; the body is its output.
    Response(Bytes),
    /// The attempt has failed.
    Error(ReportedError),
}

/// The state behind one address.
pub(super) struct Endpoint {
    /// Items that the program may have under way.
    concurrency: usize,
    state: Mutex<State>,
    offered: Notify,
    init_failed: Notify,
}

#[derive(Default)]
struct State {
    offers: VecDeque<Offer>,
    under_way: HashMap<String, oneshot::Sender<Answer>>,
    /// Requests that wait for an item.
    waiting: usize,
    has_asked: bool,
    has_taken: bool,
    init_error: Option<ReportedError>,
    is_closed: bool,
}

struct Offer {
    id: String,
    invocation: Invocation,
    taken_tx: oneshot::Sender<()>,
    answer_tx: oneshot::Sender<Answer>,
}

/// An item that was offered. Without it, a program cannot take it any more, and an answer comes too late.
pub(super) struct Offered<'a> {
    endpoint: &'a Endpoint,
    id: String,
    /// Once the program has taken it.
    pub taken_rx: oneshot::Receiver<()>,
    /// The answer.
    pub answer_rx: oneshot::Receiver<Answer>,
}

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        let mut state = self.endpoint.state();
        state.offers.retain(|offer| offer.id != self.id);
        state.under_way.remove(&self.id);
    }
}

/// A request that waits for an item.
struct Asking<'a>(&'a Endpoint);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

impl Endpoint {
    /// For a program that may have so many items under way.
    pub(super) fn new(concurrency: usize) -> Self {
        Self { concurrency, state: Mutex::default(), offered: Notify::new(), init_failed: Notify::new() }
    }

    /// Items that the program may have under way.
    pub(super) fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// Offers an item, under a request id that was never used.
    pub(super) fn offer(&self, invocation: Invocation) -> Offered<'_> {
        let id = request_id();
        let ((taken_tx, taken_rx), (answer_tx, answer_rx)) = (oneshot::channel(), oneshot::channel());
        let offer = Offer { id: id.clone(), invocation, taken_tx, answer_tx };
        self.state().offers.push_back(offer);
        self.offered.notify_one();
        Offered { endpoint: self, id, taken_rx, answer_rx }
    }

    /// Waits for an item, and takes it. Safe to cancel.
    pub(super) async fn next(&self) -> (String, Invocation) {
        let _asking = self.asks();
        loop {
            let mut offered = std::pin::pin!(self.offered.notified());
            offered.as_mut().enable();
            if let Some(taken) = self.take() {
                return taken;
            }
            offered.await;
        }
    }

    /// Notes that the program asks for an item. If it asks for as many as it may have, it works on none:
    /// those that it has taken will have no answer.
    fn asks(&self) -> Asking<'_> {
        let mut state = self.state();
        state.has_asked = true;
        state.waiting += 1;
        if state.waiting >= self.concurrency {
            for (_, answer_tx) in state.under_way.drain() {
                let message = "the program asked for its next item before it had answered for this one";
                answer_tx.send(Answer::Error(ReportedError::new(UNANSWERED, message))).ok();
            }
        }
        drop(state);
        Asking(self)
    }

    fn take(&self) -> Option<(String, Invocation)> {
        let mut state = self.state();
        // A program that cannot start is ended soon.
        if state.is_closed || state.init_error.is_some() {
            return None;
        }
        let Offer { id, invocation, taken_tx, answer_tx } = state.offers.pop_front()?;
        state.has_taken = true;
        state.under_way.insert(id.clone(), answer_tx);
        taken_tx.send(()).ok();
        Some((id, invocation))
    }

    /// Whether the program works on the item with this request id.
    pub(super) fn is_under_way(&self, id: &str) -> bool {
        self.state().under_way.contains_key(id)
    }

    /// Takes an answer. Returns whether the item waits for one.
    pub(super) fn answer(&self, id: &str, answer: Answer) -> bool {
        let answer_tx = self.state().under_way.remove(id);
        answer_tx.is_some_and(|answer_tx| answer_tx.send(answer).is_ok())
    }

    /// Takes the error that keeps the program from starting. Returns false for one that has started.
    pub(super) fn init_error(&self, error: ReportedError) -> bool {
        let mut state = self.state();
        if state.has_asked {
            return false;
        }
        state.init_error = Some(error);
        self.init_failed.notify_one();
        true
    }

    /// Waits for an error of the program's start. Each is told once.
    pub(super) async fn init_failed(&self) {
        self.init_failed.notified().await;
    }

    /// What the program has said of its start.
    pub(super) fn reported(&self) -> Option<ReportedError> {
        self.state().init_error.clone()
    }

    /// Whether the program has taken an item.
    pub(super) fn has_taken(&self) -> bool {
        self.state().has_taken
    }

    /// The number of items that the program works on.
    pub(super) fn under_way(&self) -> usize {
        self.state().under_way.len()
    }

    /// Hands out no further item.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
