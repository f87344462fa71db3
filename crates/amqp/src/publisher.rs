//! Publishes items with confirms in flight: an item counts once the broker has taken charge of
//! it. What is not settled is kept, and goes out again on the next connection.

use tokio::time::Instant;

use super::link::{self, Link, Stream};
use super::pace::Pace;
use super::window::Window;
use super::wire::{self, Envelope, Frame};
use super::{Endpoint, Error};
use workqueue_core::item::Item;
use workqueue_core::names::QueueName;

pub use super::tally::{Envelopes, Progress, Tally};

/// Bytes that may wait for their confirm at one time; one larger item may go over it alone.
const WINDOW_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that are encoded ahead of the socket.
const OUTPUT_AHEAD: usize = 128 * 1024;

/// Publishes to one queue, over one connection after the other.
pub struct Publisher {
    queue: QueueName,
    batch: String,
    envelope: Envelope,
    window: Window,
    pace: Pace,
    link: Option<Link>,
    confirming: bool,
    /// Bytes of the next item's body that have been encoded, once its header has.
    body_sent: Option<usize>,
    /// The broker's limit for an item, once it has told it.
    max_size: Option<usize>,
    tally: Tally,
}

impl Publisher {
    /// A publisher that is not connected yet. `batch` makes the ids of its items unique: an
    /// item's `message_id` is `BATCH.N`, N counted on from `last_number`.
    pub fn new(queue: &QueueName, batch: &str, last_number: u64, envelopes: &Envelopes) -> Self {
        let ttl = envelopes.ttl.map(|ttl| ttl.as_millis());
        Self {
            queue: queue.clone(),
            batch: batch.to_owned(),
            envelope: Envelope::new(link::CHANNEL, queue.as_str(), &envelopes.headers, ttl),
            window: Window::new(last_number),
            pace: Pace::new(Instant::now()),
            link: None,
            confirming: false,
            body_sent: None,
            max_size: None,
            tally: Tally::default(),
        }
    }

    /// Logs in over a stream that leads to the broker, for the first time or again. What was in flight will go out again.
    ///
    /// # Errors
    /// [`Error::LoginRefused`], [`Error::LoginTimeout`] or [`Error::Connection`].
    pub async fn connect(
        &mut self,
        stream: Box<dyn Stream>,
        endpoint: &Endpoint,
        purpose: &str,
    ) -> Result<(), Error> {
        self.link = None;
        let link = Link::login(stream, endpoint, purpose).await?;
        self.restart();
        self.link = Some(link);
        Ok(())
    }

    fn restart(&mut self) {
        self.confirming = false;
        self.body_sent = None;
        self.tally.repeated += self.window.restart();
        self.pace = Pace::new(Instant::now());
    }

    /// What became of the items so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The number of the last item up to which all are settled.
    pub fn settled_up_to(&self) -> u64 {
        self.window.settled_up_to()
    }

    /// Items in flight.
    pub fn in_flight(&self) -> usize {
        self.window.len()
    }

    /// Whether [`push`](Self::push) may be called: the window has room.
    pub fn has_room(&self) -> bool {
        self.window.len() < self.pace.limit() && self.window.bytes() < WINDOW_BYTES
    }

    /// Whether confirms are awaited.
    pub fn is_waiting(&self) -> bool {
        self.window.len() > 0
    }

    /// Takes an item; [`drive`](Self::drive) sends it.
    pub fn push(&mut self, item: Item) {
        self.tally.published += 1;
        self.window.push(item);
    }

    /// Sends, and takes confirms, until something has come of it. Safe to cancel.
    ///
    /// # Errors
    /// A lost connection ([`Error::is_transient`]) or a refusal; what is in flight stays so.
    pub async fn drive(&mut self) -> Result<Progress, Error> {
        loop {
            if let Some(progress) = self.take_frames()? {
                return Ok(progress);
            }
            if self.refuse_known_larger() {
                return Ok(Progress::Moved);
            }
            let more = self.encode()?;
            let link = self.link.as_mut().ok_or_else(not_connected)?;
            let before = link.output.len();
            link.pump().await?;
            // Room to encode more, or to be handed more, is worth a turn.
            if !more && link.output.is_empty() && before > 0 && self.confirming {
                return Ok(Progress::Moved);
            }
        }
    }

    /// Encodes what waits in the window, as far as the socket needs it. Tells if there is more.
    fn encode(&mut self) -> Result<bool, Error> {
        let link = self.link.as_mut().ok_or_else(not_connected)?;
        while self.confirming && link.output.len() < OUTPUT_AHEAD {
            let Some(entry) = self.window.unsent() else { return Ok(false) };
            if self.body_sent.is_none() && self.max_size.is_some_and(|max| entry.body.len() > max) {
                return Ok(true);
            }
            let offset = *self.body_sent.get_or_insert_with(|| {
                let id = format!("{}.{}", self.batch, entry.number);
                self.envelope.put(&mut link.output, &id, entry.body.len());
                0
            });
            let end = entry.body.len().min(offset + link.body_max);
            wire::put_body(&mut link.output, link::CHANNEL, &entry.body[offset..end]);
            self.body_sent = Some(end);
            if end == entry.body.len() {
                self.pace.sent(entry.number);
                self.window.mark_sent();
                self.body_sent = None;
            }
        }
        Ok(self.window.unsent().is_some())
    }

    fn take_frames(&mut self) -> Result<Option<Progress>, Error> {
        let mut moved = None;
        let mut confirms = 0;
        while let Some(frame) = self.link.as_mut().ok_or_else(not_connected)?.next_frame()? {
            match frame {
                Frame::Confirm { tag, multiple, taken } => {
                    let tally = &mut self.tally;
                    let known = self.window.confirm(tag, multiple, taken, |settled| {
                        confirms += 1;
                        tally.count(settled);
                    });
                    if !known {
                        return Err(link::malformed());
                    }
                    moved = Some(Progress::Moved);
                }
                Frame::ReturnedHeader(id) => {
                    let number = id.as_deref().and_then(|id| id.strip_prefix(&self.batch)?.strip_prefix('.'));
                    if let Some(number) = number.and_then(|number| number.parse().ok()) {
                        self.window.returned(number);
                    }
                }
                Frame::Method { id: link::BLOCKED, mut arguments } => {
                    let reason = wire::short_string(&mut arguments).unwrap_or_default();
                    moved = Some(Progress::Blocked(reason));
                    break;
                }
                Frame::Method { id: link::UNBLOCKED, .. } => {
                    moved = Some(Progress::Unblocked);
                    break;
                }
                Frame::Method { id, arguments } => {
                    if self.take_method(id, arguments)? {
                        moved = Some(Progress::Moved);
                    }
                }
                Frame::Ignored => {}
            }
        }
        if confirms > 0 {
            self.pace.confirmed(confirms, self.window.settled_up_to(), Instant::now());
        }
        Ok(moved)
    }

    /// Tells whether items were refused by it.
    fn take_method(&mut self, id: (u16, u16), arguments: bytes::Bytes) -> Result<bool, Error> {
        let link = self.link.as_mut().ok_or_else(not_connected)?;
        let mut refused = false;
        match id {
            link::CHANNEL_OPEN_OK => link.put_confirm_select(),
            link::CONFIRM_SELECT_OK => self.confirming = true,
            link::CLOSE => return Err(link.closed(arguments)),
            link::CHANNEL_CLOSE => {
                let (code, reason) = link::close_reason(arguments);
                link.reopen_channel();
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

    /// A broker closes the channel over a message that is larger than its limit: that message is
    /// refused, as are others that were next, and the rest goes on. Tells whether there was one.
    fn refuse_larger(&mut self, limit: usize, reason: &str) -> bool {
        let mut found = false;
        while let Some(position) = self.window.take_larger(limit) {
            self.tally.refuse(position, reason.to_owned());
            found = true;
        }
        found
    }

    /// Once the limit is known, larger items are not sent any more. Delivery tags count what is
    /// sent, so that leaving one out needs no new channel. Tells whether there was one.
    fn refuse_known_larger(&mut self) -> bool {
        let Some(limit) = self.max_size else { return false };
        let is_next =
            self.body_sent.is_none() && self.window.unsent().is_some_and(|next| next.body.len() > limit);
        is_next && self.refuse_larger(limit, &format!("larger than {limit} bytes"))
    }

    /// Takes leave of the broker.
    pub async fn close(self) {
        if let Some(link) = self.link {
            link.close().await;
        }
    }
}

fn not_connected() -> Error {
    Error::Connection("there is none".to_owned())
}

/// The broker's limit for a message, from its words: `… is larger than configured max size N`.
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
