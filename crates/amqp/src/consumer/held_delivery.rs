//! A delivery that the worker holds, and what settles it.

use std::sync::Arc;

use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::{Acker, BasicProperties, Channel};

use crate::Error;

/// What is needed to settle a delivery.
#[derive(Debug, Clone)]
pub(super) struct HeldDelivery {
    pub acker: Acker,
    /// Its tag within its channel.
    pub tag: u64,
    pub properties: Arc<BasicProperties>,
    pub id: String,
    /// The item.
    pub body: Arc<Vec<u8>>,
    /// The channel that it came through, if that is not the session's own: closing it would requeue
    /// the delivery.
    pub channel: Option<Channel>,
}

impl HeldDelivery {
    /// Its tag, if it came through the session's own channel.
    pub(super) fn own_tag(&self) -> Option<u64> {
        self.channel.is_none().then_some(self.tag)
    }

    /// Acknowledges it, and with `multiple` all earlier deliveries of its channel.
    ///
    /// # Errors
    /// The session is over: the item will be redelivered.
    pub(super) async fn ack(&self, multiple: bool) -> Result<(), Error> {
        check_open(self.acker.ack(BasicAckOptions { multiple }).await)
    }

    /// Returns it to the queue.
    ///
    /// # Errors
    /// As for [`ack`](Self::ack).
    pub(super) async fn requeue(&self) -> Result<(), Error> {
        let requeue = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        check_open(self.acker.nack(requeue).await)
    }
}

/// lapin answers `false` for a delivery whose channel is closed.
fn check_open(answered: lapin::Result<bool>) -> Result<(), Error> {
    match answered {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Connection("the channel is closed".to_owned())),
        Err(error) => Err(Error::from_lapin("settling a delivery", &error)),
    }
}
