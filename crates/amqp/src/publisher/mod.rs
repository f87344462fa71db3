//! Publishes a batch of items with publisher confirms: an item counts once the broker has confirmed it.
//! Items that are not settled are kept, and published again on the next connection.
//!
//! This is an AMQP client of its own, for speed. From the top: [`Publisher`]; `login` makes a
//! `connection`, which exchanges `frames`; `window` keeps the items in flight and
//! `in_flight_limit` says how many they may be; `counts` reports.

mod connection;
mod counts;
#[cfg(test)]
mod fake_broker_tests;
pub(crate) mod frames;
mod in_flight_limit;
mod login;
mod probe;
mod window;

use tokio::time::Instant;

use crate::{ByteStream, Endpoint, Error};
use workqueue_core::item::Item;
use workqueue_core::ledger::{ItemId, ItemSet};
use workqueue_core::names::QueueName;

use connection::Connection;
use frames::{Frame, MessageFrames};
use in_flight_limit::InFlightLimit;
use window::{Settled, Window};

pub use counts::{BatchProperties, PublishCounts, PublishProgress};
pub use probe::{Probe, ProbeAnswer, probe};

/// Bytes of items that may be in flight; a single larger item may exceed it.
const WINDOW_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that are encoded ahead of the socket.
const OUTPUT_AHEAD: usize = 128 * 1024;

/// Publishes to one queue, over one connection after another.
pub struct Publisher {
    queue: QueueName,
    batch: String,
    frames: MessageFrames,
    window: Window,
    limit: InFlightLimit,
    connection: Option<Connection>,
    confirming: bool,
    /// Bytes of the next item's body that have been encoded, once its header has.
    body_sent: Option<usize>,
    /// The largest item that the broker takes, in bytes, once it has said so.
    max_size: Option<usize>,
    counts: PublishCounts,
    confirmed: ItemSet,
}

impl Publisher {
    /// A publisher that is not connected yet. `batch` makes the ids of its items unique: an
    /// item's `message_id` is `BATCH.N`, and N counts on from `last_number`.
    pub fn new(queue: &QueueName, batch: &str, last_number: u64, properties: &BatchProperties) -> Self {
        let ttl = properties.ttl.map(|ttl| ttl.as_millis());
        Self {
            queue: queue.clone(),
            batch: batch.to_owned(),
            frames: MessageFrames::new(connection::CHANNEL, queue.as_str(), &properties.headers, ttl),
            window: Window::new(last_number),
            limit: InFlightLimit::new(Instant::now()),
            connection: None,
            confirming: false,
            body_sent: None,
            max_size: None,
            counts: PublishCounts::default(),
            confirmed: ItemSet::default(),
        }
    }

    /// Logs in over a stream that leads to the broker, for the first time or again. Items that were
    /// in flight will be published again.
    ///
    /// # Errors
    /// [`Error::LoginRefused`], [`Error::LoginTimeout`] or [`Error::Connection`].
    pub async fn connect(
        &mut self,
        stream: Box<dyn ByteStream>,
        endpoint: &Endpoint,
        purpose: &str,
    ) -> Result<(), Error> {
        self.connection = None;
        let connection = login::login(stream, endpoint, purpose).await?;
        self.restart();
        self.connection = Some(connection);
        Ok(())
    }

    fn restart(&mut self) {
        self.confirming = false;
        self.body_sent = None;
        self.counts.repeated += self.window.restart();
        self.limit = InFlightLimit::new(Instant::now());
    }

    /// How many items were published and settled so far.
    pub fn counts(&self) -> &PublishCounts {
        &self.counts
    }

    /// The items that the broker has confirmed.
    pub fn confirmed(&self) -> &ItemSet {
        &self.confirmed
    }

    /// The number of the last item up to which all are settled.
    pub fn settled_up_to(&self) -> u64 {
        self.window.settled_up_to()
    }

    /// Items in flight.
    pub fn in_flight(&self) -> usize {
        self.window.len()
    }

    /// Whether [`push`](Self::push) may be called.
    pub fn has_room(&self) -> bool {
        self.window.len() < self.limit.limit() && self.window.bytes() < WINDOW_BYTES
    }

    /// Whether items wait for confirms.
    pub fn is_waiting(&self) -> bool {
        self.window.len() > 0
    }

    /// Takes an item, which [`drive`](Self::drive) sends.
    pub fn push(&mut self, item: Item) {
        self.counts.published += 1;
        self.window.push(item);
    }

    /// Sends items and takes confirms until there is something to report. Safe to cancel.
    ///
    /// # Errors
    /// A lost connection ([`Error::is_transient`]) or a refusal; items in flight stay in flight.
    pub async fn drive(&mut self) -> Result<PublishProgress, Error> {
        loop {
            if let Some(progress) = self.take_frames()? {
                return Ok(progress);
            }
            if self.refuse_known_larger() {
                return Ok(PublishProgress::Moved);
            }
            let more = self.encode()?;
            let connection = self.connection.as_mut().ok_or_else(not_connected)?;
            let before = connection.output.len();
            connection.pump().await?;
            // There is room to encode more, or to take more from the caller.
            if !more && connection.output.is_empty() && before > 0 && self.confirming {
                return Ok(PublishProgress::Moved);
            }
        }
    }

    /// Encodes unsent items, as many as the socket needs. Returns whether there are more.
    fn encode(&mut self) -> Result<bool, Error> {
        let connection = self.connection.as_mut().ok_or_else(not_connected)?;
        while self.confirming && connection.output.len() < OUTPUT_AHEAD {
            let Some(entry) = self.window.unsent() else { return Ok(false) };
            if self.body_sent.is_none() && self.max_size.is_some_and(|max| entry.body.len() > max) {
                return Ok(true);
            }
            let offset = *self.body_sent.get_or_insert_with(|| {
                let id = format!("{}.{}", self.batch, entry.number);
                self.frames.put(&mut connection.output, &id, entry.body.len());
                0
            });
            let end = entry.body.len().min(offset + connection.body_max);
            // AMQP 0-9-1, 4.2.6: a message of size 0 has no body frame.
            if end > offset {
                frames::put_body(&mut connection.output, connection::CHANNEL, &entry.body[offset..end]);
            }
            self.body_sent = Some(end);
            if end == entry.body.len() {
                self.limit.sent(entry.number);
                self.window.mark_sent();
                self.body_sent = None;
            }
        }
        Ok(self.window.unsent().is_some())
    }

    fn take_frames(&mut self) -> Result<Option<PublishProgress>, Error> {
        let mut moved = None;
        let mut confirms = 0;
        while let Some(frame) = self.connection.as_mut().ok_or_else(not_connected)?.next_frame()? {
            match frame {
                Frame::Confirm { tag, multiple, ack } => {
                    confirms += self.take_confirm(tag, multiple, ack)?;
                    moved = Some(PublishProgress::Moved);
                }
                Frame::ReturnedHeader(id) => {
                    let number = id.as_deref().and_then(|id| id.strip_prefix(&self.batch)?.strip_prefix('.'));
                    if let Some(number) = number.and_then(|number| number.parse().ok()) {
                        self.window.returned(number);
                    }
                }
                Frame::Method { id: connection::BLOCKED, mut arguments } => {
                    let reason = frames::short_string(&mut arguments).unwrap_or_default();
                    moved = Some(PublishProgress::Blocked(reason));
                    break;
                }
                Frame::Method { id: connection::UNBLOCKED, .. } => {
                    moved = Some(PublishProgress::Unblocked);
                    break;
                }
                Frame::Method { id, arguments } => {
                    if self.take_method(id, arguments)? {
                        moved = Some(PublishProgress::Moved);
                    }
                }
                Frame::Ignored => {}
            }
        }
        if confirms > 0 {
            self.limit.confirmed(confirms, self.window.settled_up_to(), Instant::now());
        }
        Ok(moved)
    }

    /// Handles a confirm. Returns how many items it settles.
    fn take_confirm(&mut self, tag: u64, multiple: bool, ack: bool) -> Result<u64, Error> {
        let (mut confirms, counts, confirmed) = (0, &mut self.counts, &mut self.confirmed);
        let batch = &self.batch;
        let known = self.window.confirm(tag, multiple, ack, |settled| {
            confirms += 1;
            if let Settled::Confirmed(number) = settled
                && let Ok(number) = u32::try_from(number)
            {
                confirmed.insert(ItemId { batch, number });
            }
            counts.count(settled);
        });
        if known { Ok(confirms) } else { Err(connection::malformed()) }
    }

    /// Handles a method other than a confirm. Returns whether it refuses items.
    fn take_method(&mut self, id: (u16, u16), arguments: bytes::Bytes) -> Result<bool, Error> {
        let connection = self.connection.as_mut().ok_or_else(not_connected)?;
        let mut refused = false;
        match id {
            connection::CHANNEL_OPEN_OK => connection.put_confirm_select(),
            connection::CONFIRM_SELECT_OK => self.confirming = true,
            connection::CLOSE => return Err(connection.closed(arguments)),
            connection::CHANNEL_CLOSE => {
                let (code, reason) = connection::close_reason(arguments);
                connection.reopen_channel();
                let Some(limit) = size_limit(&reason) else {
                    return Err(Error::refused(code, format!("publishing to queue {}", self.queue), reason));
                };
                self.max_size = Some(limit);
                self.window.stop_at_larger(limit);
                refused = self.refuse_larger(limit, &reason);
                self.restart();
            }
            _ => {}
        }
        Ok(refused)
    }

    /// A broker closes the channel when a message is larger than its limit: that message is refused,
    /// as are larger ones right after it, and the rest goes on. Returns whether there was one.
    fn refuse_larger(&mut self, limit: usize, reason: &str) -> bool {
        let mut found = false;
        while let Some(position) = self.window.take_larger(limit) {
            self.counts.refuse(position, reason.to_owned());
            found = true;
        }
        found
    }

    /// Once the limit is known, larger items are no longer sent. Delivery tags count sent messages
    /// only, so that leaving one out needs no new channel. Returns whether there was one.
    fn refuse_known_larger(&mut self) -> bool {
        let Some(limit) = self.max_size else { return false };
        let is_next =
            self.body_sent.is_none() && self.window.unsent().is_some_and(|next| next.body.len() > limit);
        is_next && self.refuse_larger(limit, &format!("larger than {limit} bytes"))
    }

    /// Closes the connection.
    pub async fn close(self) {
        if let Some(connection) = self.connection {
            connection.close().await;
        }
    }
}

fn not_connected() -> Error {
    Error::Connection("it was never made".to_owned())
}

/// The largest message that the broker takes, from its words: `… is larger than configured max size N`.
fn size_limit(reason: &str) -> Option<usize> {
    let (_, rest) = reason.split_once("max size ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_for_a_message_is_read_from_the_brokers_words() {
        // RabbitMQ 3.10 and 4.0.
        for words in [
            "PRECONDITION_FAILED - message size 2000001 is larger than configured max size 2000000",
            "PRECONDITION_FAILED - message size 2000001 is larger than max size 2000000",
        ] {
            assert_eq!(size_limit(words), Some(2_000_000), "{words}");
        }
        assert_eq!(size_limit("NOT_FOUND - no exchange"), None);
    }
}
