//! Publishing through lapin with publisher confirms: records, dead letters and retried items. Items of
//! a batch go through [`publisher`](crate::publisher), which is faster.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};

use crate::broker::{answer, short};
use crate::{Broker, Error};
use workqueue_core::names::QueueName;

/// Opens a channel whose messages are confirmed.
pub(crate) async fn confirming_channel(broker: &Broker) -> Result<Channel, Error> {
    let channel = broker.channel().await?;
    answer("requesting confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
    Ok(channel)
}

/// Publishes, and waits for the confirm.
pub(crate) async fn publish(
    channel: &Channel,
    queue: &QueueName,
    body: &[u8],
    properties: BasicProperties,
) -> Result<Confirmation, Error> {
    let confirm = send(channel, queue, body, properties).await?;
    confirm.await.map_err(|error| publishing(queue, &error))
}

/// Publishes, and returns before the confirm. A message that no queue takes is returned.
pub(crate) async fn send(
    channel: &Channel,
    queue: &QueueName,
    body: &[u8],
    properties: BasicProperties,
) -> Result<PublisherConfirm, Error> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let sent = channel.basic_publish("".into(), short(queue), options, body, properties).await;
    sent.map_err(|error| publishing(queue, &error))
}

/// The error of a publish.
pub(crate) fn publishing(queue: &QueueName, error: &lapin::Error) -> Error {
    Error::from_lapin(format!("publishing to queue {queue}"), error)
}
