//! What the worker's event loop asks of a queue. The broker's queue (crate `workqueue-amqp`) and the
//! queue in memory ([`memory_queue`](crate::memory_queue)) implement it.

use std::error::Error;
use std::sync::Arc;

use crate::mark::MarkMessage;
use crate::record::ResultRecord;

/// Names one delivery, as AMQP's delivery tag does. It is valid as long as its session: after that
/// the item is delivered again, with another tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryTag {
    /// Counts the sessions (connections) of one worker.
    pub session: u64,
    /// The delivery's number within the session.
    pub number: u64,
}

/// One delivered item.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What settles it.
    pub tag: DeliveryTag,
    /// The same for all retries and redeliveries of an item.
    pub id: String,
    /// What the program gets on its standard input.
    pub body: Arc<Vec<u8>>,
    /// How often it was delivered before, as far as the queue counts; at least 1 if `redelivered`.
    pub earlier_deliveries: u32,
    /// Whether it was delivered before, to this worker or another.
    pub redelivered: bool,
    /// How often it had failed and been put back into the queue.
    pub earlier_failures: i64,
}

/// How a delivery is settled.
#[derive(Debug)]
pub enum Settlement {
    /// The item is done: its record is published, then the delivery is acknowledged.
    Done(Arc<ResultRecord>),
    /// The item has failed: its record is published, the item is dead-lettered, then the delivery
    /// is acknowledged.
    Failed {
        /// The record.
        record: Arc<ResultRecord>,
        /// The item.
        body: Arc<Vec<u8>>,
    },
    /// The item returns to the queue as if it had not been delivered.
    Requeue,
}

/// What is in the queue and who takes from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueCounts {
    /// Items that wait for a worker.
    pub ready: u64,
    /// Workers that may hold items. A paused worker does not count itself.
    pub consumers: u64,
    /// Failed items beside the queue.
    pub failed: u64,
    /// Whether somebody still puts items into the queue, so that nobody should leave.
    pub input_goes_on: bool,
}

/// Whether the worker wants items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consuming {
    /// As many as the worker has room for.
    Active,
    /// None; the worker does not count as a consumer.
    Paused,
    /// None, but the worker still counts as a consumer: it holds items that may be requeued.
    Leaving,
}

/// What a queue reports.
#[derive(Debug)]
pub enum QueueEvent {
    /// An item was delivered.
    Delivery(Delivery),
    /// The delivery is settled as requested.
    Settled(DeliveryTag),
    /// The tag is no longer valid. The item is in the queue again, or with another worker.
    Lost(DeliveryTag),
    /// The answer to [`Queue::request_counts`].
    Counts(QueueCounts),
    /// A message that a worker of this queue has [told](Queue::tell), this one or another. All workers
    /// hear the same messages in the same order.
    Heard(MarkMessage),
    /// What is told reaches nobody for now, for this reason. What was told since the last
    /// [`Heard`](Self::Heard) is lost.
    Deaf(String),
    /// Something that the user should know.
    Note(String),
    /// There are no more items and never will be.
    End,
}

/// A queue as one worker sees it. Requests return at once; answers arrive as events.
pub trait Queue: Send {
    /// What ends the work: an error that a new connection would not remove.
    type Error: Error + Send;

    /// The next event. Safe to cancel: no event is lost.
    ///
    /// # Errors
    /// See [`Self::Error`]; no event follows it.
    fn next(&mut self) -> impl Future<Output = Result<QueueEvent, Self::Error>> + Send;

    /// Settles a delivery in the background. [`QueueEvent::Settled`] or [`QueueEvent::Lost`]
    /// follows, unless the tag was invalid already.
    fn settle(&mut self, tag: DeliveryTag, settlement: Settlement);

    /// Starts or stops the flow of items. Items already on their way still arrive.
    fn consume(&mut self, how: Consuming);

    /// Asks for the counts; [`QueueEvent::Counts`] follows unless the session is lost first.
    fn request_counts(&mut self);

    /// Asks for more items than there are slots, or for no more than that. Returns whether the
    /// queue does prefetch more.
    fn prefetch_extra(&mut self, extra: bool) -> bool;

    /// Tells all workers of the queue something, this one included. The first message makes the queue
    /// report all earlier ones that are kept. Without a connection it waits for the next one.
    fn tell(&mut self, message: MarkMessage);

    /// Finishes pending settlements and closes the connection. Items that are not settled are
    /// requeued.
    fn close(self) -> impl Future<Output = ()> + Send;
}
