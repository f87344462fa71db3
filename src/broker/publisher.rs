//! Publishes items with confirms in flight: an item counts once the broker has taken charge of it.

use std::collections::VecDeque;

use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};

use super::{Broker, Error, topology};
use crate::item::{Item, Position};
use crate::names::QueueName;

/// Messages that may wait for their confirm at one time. Beyond some thousands the rate of a
/// quorum queue no longer grows, while what a broken connection repeats does.
const WINDOW_MESSAGES: usize = 4096;

/// Bytes that may wait for their confirm at one time; one larger item may go over it alone.
const WINDOW_BYTES: usize = 16 * 1024 * 1024;

/// AMQP's delivery mode for messages that survive a restart of the broker.
const PERSISTENT: u8 = 2;

/// What became of the items so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Handed to [`Publisher::publish`].
    pub published: u64,
    /// Taken charge of by the broker.
    pub confirmed: u64,
    /// Refused by the broker: the queue is at its limit, or gone.
    pub refused: u64,
    /// The first refused item and the broker's words.
    pub first_refused: Option<(Position, String)>,
}

/// Publishes to one queue over one channel.
pub struct Publisher {
    channel: Channel,
    queue: ShortString,
    batch: String,
    window: VecDeque<InFlight>,
    window_bytes: usize,
    tally: Tally,
}

struct InFlight {
    number: u64,
    confirm: PublisherConfirm,
    position: Position,
    size: usize,
}

impl Publisher {
    /// Opens a channel with confirms. `batch` makes the ids of this publisher's items unique:
    /// an item's `message_id` is `BATCH.N`, N from 1.
    ///
    /// # Errors
    /// Lost connections and refusals.
    pub async fn open(broker: &Broker, queue: &QueueName, batch: &str) -> Result<Self, Error> {
        let channel = broker.channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .map_err(|error| Error::from_lapin("asking for confirms", &error))?;
        Ok(Self {
            channel,
            queue: topology::short(queue),
            batch: batch.to_owned(),
            window: VecDeque::with_capacity(WINDOW_MESSAGES),
            window_bytes: 0,
            tally: Tally::default(),
        })
    }

    /// What became of the items so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether [`publish`](Self::publish) may be called: the window has room.
    pub fn has_room(&self) -> bool {
        self.window.len() < WINDOW_MESSAGES && self.window_bytes < WINDOW_BYTES
    }

    /// Whether confirms are awaited.
    pub fn is_waiting(&self) -> bool {
        !self.window.is_empty()
    }

    /// Sends an item, and returns before its confirm.
    ///
    /// # Errors
    /// A lost connection or a closed channel; the items in the window are then in doubt.
    pub async fn publish(&mut self, item: Item) -> Result<(), Error> {
        let number = self.tally.published + 1;
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_message_id(format!("{}.{number}", self.batch).into());
        // Mandatory: without it a queue that was deleted meanwhile would swallow items silently.
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = self
            .channel
            .basic_publish("".into(), self.queue.clone(), options, &item.body, properties)
            .await
            .map_err(|error| self.failure(&error, None))?;
        self.tally.published = number;
        self.window_bytes += item.body.len();
        self.window.push_back(InFlight { number, confirm, position: item.position, size: item.body.len() });
        Ok(())
    }

    /// Waits until the oldest item in the window is settled; returns at once when none is.
    /// Safe to cancel.
    ///
    /// # Errors
    /// As for [`publish`](Self::publish).
    pub async fn settle_one(&mut self) -> Result<(), Error> {
        let Some(oldest) = self.window.front_mut() else { return Ok(()) };
        let outcome = (&mut oldest.confirm).await;
        let Some(settled) = self.window.pop_front() else { return Ok(()) };
        self.window_bytes -= settled.size;
        match outcome {
            Ok(Confirmation::Ack(None)) => self.tally.confirmed += 1,
            Ok(Confirmation::Ack(Some(returned))) => {
                let position = self.position_of(&returned, settled);
                self.refuse(position, "the queue is gone");
            }
            Ok(Confirmation::Nack(_)) => self.refuse(settled.position, "the queue takes no more"),
            Ok(Confirmation::NotRequested) => self.refuse(settled.position, "the broker sends no confirms"),
            Err(error) => return Err(self.failure(&error, Some(&settled))),
        }
        Ok(())
    }

    /// Where the returned message was read. lapin hands returned messages out in their order of
    /// arrival, not with the confirm of the same message, so its id tells.
    fn position_of(&self, returned: &BasicReturnMessage, settled: InFlight) -> Position {
        let id = returned.properties.message_id().as_ref().map(|id| id.as_str());
        let number = id.and_then(|id| id.rsplit_once('.')?.1.parse::<u64>().ok());
        let in_flight = self.window.iter().find(|other| Some(other.number) == number);
        in_flight.map_or(settled.position, |other| other.position.clone())
    }

    fn refuse(&mut self, position: Position, reason: &str) {
        self.tally.refused += 1;
        self.tally.first_refused.get_or_insert_with(|| (position, reason.to_owned()));
    }

    /// A broker closes the channel over a message that is too large, and tells its size: that
    /// finds the item. `settled` is the one that was taken from the window last.
    fn failure(&self, error: &lapin::Error, settled: Option<&InFlight>) -> Error {
        let failure = Error::from_lapin(format!("publishing to queue {}", self.queue), error);
        let Error::Refused { reason, .. } = &failure else { return failure };
        let size =
            reason.split_once("message size ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        match settled.into_iter().chain(&self.window).find(|item| Some(item.size) == size) {
            Some(item) => Error::ItemRefused { position: item.position.clone(), reason: reason.clone() },
            None => failure,
        }
    }
}
