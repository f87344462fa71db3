//! What the worker's loop asks of a queue; the broker and the in-memory queue answer it.

use std::error::Error;
use std::sync::Arc;

use crate::record::ResultRecord;

/// The right to settle one delivery. It ends with the session that the delivery came in: after
/// that the item comes again, with another claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Counts the sessions (connections) of one worker.
    pub session: u64,
    /// The delivery within the session.
    pub tag: u64,
}

/// One item, handed out.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What it is settled by.
    pub claim: Claim,
    /// Stable over retries and redeliveries.
    pub id: String,
    /// What the program gets on its standard input.
    pub body: Arc<Vec<u8>>,
    /// How often it was handed out before, as far as the queue tells; at least 1 if
    /// `redelivered`.
    pub earlier: u32,
    /// Whether it was handed out before, to this worker or another.
    pub redelivered: bool,
    /// How often it had failed for good before, and was put back since.
    pub failures: i64,
}

/// What is to become of an item.
#[derive(Debug)]
pub enum Verdict {
    /// It is done: the record is kept, then the item is gone.
    Done(Arc<ResultRecord>),
    /// It has failed for good: the record is kept, the item goes to the failed ones, then it is
    /// gone from the queue.
    Failed {
        /// How it went.
        record: Arc<ResultRecord>,
        /// The item.
        body: Arc<Vec<u8>>,
    },
    /// It goes back, as if it had not been taken.
    GiveBack,
}

/// How full the queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Items that wait for a worker.
    pub ready: u64,
    /// Workers that may hold items, this one not counted while it is paused.
    pub consumers: u64,
    /// Items that lie among the failed ones.
    pub failed: u64,
}

/// Whether items are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consuming {
    /// As many as the worker has room for.
    Active,
    /// None; the worker does not count as a consumer.
    Paused,
    /// None, but the worker still counts as one: it holds items that may come back.
    Leaving,
}

/// What a queue says.
#[derive(Debug)]
pub enum Event {
    /// An item.
    Delivery(Delivery),
    /// The item of this claim is settled, as it was asked for.
    Settled(Claim),
    /// The claim is void. The item is in the queue again, or with another worker.
    Lost(Claim),
    /// The answer to [`Queue::measure`].
    Depth(Depth),
    /// Something that the user should know.
    Note(String),
    /// There are no more items and never will be.
    End,
}

/// A queue as one worker sees it. Requests return at once; answers come as events.
pub trait Queue: Send {
    /// What ends the work: nothing that a new connection could mend.
    type Error: Error + Send;

    /// The next event. Safe to cancel: no event is lost.
    ///
    /// # Errors
    /// See [`Self::Error`]; nothing comes after it.
    fn next(&mut self) -> impl Future<Output = Result<Event, Self::Error>> + Send;

    /// Settles an item in the background. [`Event::Settled`] or [`Event::Lost`] follows, unless
    /// the claim was void already.
    fn settle(&mut self, claim: Claim, verdict: Verdict);

    /// Switches the flow of items. Those that were on their way still come.
    fn consume(&mut self, how: Consuming);

    /// Asks how full the queue is; [`Event::Depth`] follows unless the session is lost meanwhile.
    fn measure(&mut self);

    /// Says whether items are over so quickly that it pays to hold some more of them ready than
    /// there are slots; gives whether the queue does hold more.
    fn look_ahead(&mut self, quick: bool) -> bool;

    /// Sends what is still to be sent, and takes leave. Items that are not settled go back.
    fn close(self) -> impl Future<Output = ()> + Send;
}
