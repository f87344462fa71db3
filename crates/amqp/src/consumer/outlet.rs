//! One of the queues that a worker publishes to: one message at a time, again until the queue takes it.

use std::time::Duration;

use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::Mutex;

use super::notes::Notes;
use crate::broker::close_channel;
use crate::confirms::{Route, confirming_channel, publish};
use crate::{Broker, Error};

/// Pause after a publish that the queue refused.
pub(super) const REFUSED_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 2000 });

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Published {
    /// The queue has it.
    Confirmed,
    /// There is no such queue.
    NoQueue,
}

/// How the queue answered one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is the end of it.
    Published(Published),
    /// The queue or its disk is full.
    Refused,
}

/// A queue that a worker publishes to.
pub(super) struct Outlet {
    broker: Broker,
    pub route: Route,
    pub notes: Notes,
    /// lapin hands out returned messages in order of arrival, not with their own confirm: messages
    /// are published one at a time, so that no return is attributed to another message.
    way: Mutex<Way>,
}

#[derive(Default)]
struct Way {
    /// None before the first message, and after one whose confirm nobody waits for any more.
    channel: Option<Channel>,
    /// The queue refuses messages, and that was said.
    refused: bool,
}

impl Outlet {
    pub(super) fn new(broker: &Broker, route: Route, notes: &Notes) -> Self {
        Self { broker: broker.clone(), route, notes: notes.clone(), way: Mutex::default() }
    }

    /// Publishes a message, and waits for the confirm. While the queue refuses it, it is published again,
    /// and that is said once. `waiting` says what waits meanwhile.
    ///
    /// # Errors
    /// Lost connections, and messages that the broker does not take, such as one that is too large.
    pub(super) async fn publish(
        &self,
        body: &[u8],
        properties: &BasicProperties,
        waiting: &str,
    ) -> Result<Published, Error> {
        loop {
            match self.try_publish(body, properties, waiting).await? {
                Answer::Refused => tokio::time::sleep(REFUSED_PAUSE).await,
                Answer::Published(published) => return Ok(published),
            }
        }
    }

    /// Publishes a message once, and waits for the answer.
    ///
    /// # Errors
    /// As for [`publish`](Self::publish).
    pub(super) async fn try_publish(
        &self,
        body: &[u8],
        properties: &BasicProperties,
        waiting: &str,
    ) -> Result<Answer, Error> {
        let mut way = self.way.lock().await;
        let channel = match way.channel.take() {
            Some(channel) => channel,
            None => confirming_channel(&self.broker).await?,
        };
        // Should the caller stop to wait, then the channel goes too, and a late confirm with it.
        let confirmation = publish(&channel, &self.route, body, properties.clone()).await?;
        way.channel = Some(channel);
        match confirmation {
            Confirmation::Ack(None) | Confirmation::NotRequested => {
                if std::mem::take(&mut way.refused) {
                    self.notes.say(format!("queue {} accepts messages again", self.route.queue));
                }
                Ok(Answer::Published(Published::Confirmed))
            }
            Confirmation::Ack(Some(_)) => Ok(Answer::Published(Published::NoQueue)),
            Confirmation::Nack(_) => {
                if !std::mem::replace(&mut way.refused, true) {
                    self.notes.say(format!("queue {} refuses messages: {waiting}", self.route.queue));
                }
                Ok(Answer::Refused)
            }
        }
    }

    /// Makes the next attempt use another channel.
    pub(super) async fn renew(&self) {
        if let Some(channel) = self.way.lock().await.channel.take() {
            close_channel(&channel).await;
        }
    }
}
