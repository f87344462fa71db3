//! Appends to a stream of the books, confirmed.

use std::time::Duration;

use lapin::{BasicProperties, Channel, Confirmation};

use crate::Error;
use crate::broker::within;
use crate::confirms::{Route, publish};
use crate::properties::PERSISTENT;
use workqueue_core::names::random_suffix;

/// Pause after a publish that the broker refused.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// How often a refused publish is repeated.
const REPEATS: u32 = 30;

/// Length of the id of a mark, in characters: nobody else uses the same one.
const MARK_LENGTH: usize = 16;

/// An id by which a mark is recognized.
pub(crate) fn mark_id() -> String {
    random_suffix(MARK_LENGTH)
}

/// Appends a message, and waits until it is confirmed.
///
/// # Errors
/// [`Error::NoQueue`] if the stream (or queue) does not exist; refusals; lost connections.
pub(super) async fn append_message(
    channel: &Channel,
    to: &Route,
    body: &[u8],
    id: Option<&str>,
) -> Result<(), Error> {
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into());
    if let Some(id) = id {
        properties = properties.with_message_id(id.into());
    }
    for _ in 0..REPEATS {
        match within(publish(channel, to, body, properties.clone())).await? {
            Confirmation::Ack(None) | Confirmation::NotRequested => return Ok(()),
            Confirmation::Ack(Some(_)) => return Err(Error::NoQueue(to.queue.clone())),
            Confirmation::Nack(_) => tokio::time::sleep(REFUSED_PAUSE).await,
        }
    }
    let (operation, reason) = (format!("writing to {}", to.queue), "it confirmed nothing".to_owned());
    Err(Error::Refused { operation, reason })
}
