//! Counts what is in the worker's queue, in the background: a leader that does not answer must not hold up
//! settlements.

use std::pin::Pin;

use lapin::Channel;
use lapin::message::Delivery as Message;

use crate::Error;
use crate::topology::{self, ConfirmedDepth};
use workqueue_core::names::QueueName;
use workqueue_core::queue::QueueCounts;

/// Counts, and a message that was got to confirm them, with its channel.
pub(super) struct Counted {
    pub counts: QueueCounts,
    pub got: Option<(Message, Channel)>,
}

/// A pending count.
pub(super) type Counting = Pin<Box<dyn Future<Output = Result<Counted, Error>> + Send>>;

/// Counts the work queue on one channel and the failed items on another: a leader that does not answer
/// blocks its channel.
pub(super) async fn count(
    channel: Channel,
    failed_channel: Channel,
    queue: QueueName,
    confirm: bool,
    input_goes_on: bool,
) -> Result<Counted, Error> {
    let (depth, message) = if confirm {
        let confirmed = topology::confirmed_depth(&channel, &queue).await?;
        confirmed.map(|ConfirmedDepth { depth, message }| (depth, message))
    } else {
        topology::reported_on(&channel, &queue).await?.map(|depth| (depth, None))
    }
    .ok_or_else(|| Error::NoQueue(queue.clone()))?;
    let failed = topology::depth_on(&failed_channel, &queue.failed()).await?;
    let counts = QueueCounts {
        ready: depth.ready.into(),
        consumers: depth.consumers.into(),
        failed: failed.map_or(0, |failed| failed.ready.into()),
        input_goes_on,
    };
    Ok(Counted { counts, got: message.map(|message| (message, channel)) })
}
