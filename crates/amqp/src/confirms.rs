//! Publishing through lapin with publisher confirms: records, dead letters and retried items. Items of
//! a batch go through [`publisher`](crate::publisher), which is faster.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};

use crate::broker::{answer, short};
use crate::{Broker, Error};
use workqueue_core::names::QueueName;

/// An exchange to publish to.
#[derive(Debug, Clone)]
pub(crate) struct Exchange(ShortString);

impl Exchange {
    /// The one that leads to every queue of the virtual host.
    pub(crate) fn default() -> Self {
        Self("".into())
    }

    /// The one that leads from a queue's workers to what belongs to that queue.
    pub(crate) fn of_workers(queue: &QueueName) -> Self {
        Self(queue.workers_exchange().into())
    }

    /// The way through it to a queue.
    pub(crate) fn to(&self, queue: QueueName) -> Route {
        Route { exchange: self.clone(), queue }
    }
}

/// A queue to publish to, and the exchange that leads there.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    exchange: Exchange,
    pub queue: QueueName,
}

impl Route {
    /// The way through the default exchange.
    pub(crate) fn direct(queue: QueueName) -> Self {
        Exchange::default().to(queue)
    }
}

/// Opens a channel whose messages are confirmed.
pub(crate) async fn confirming_channel(broker: &Broker) -> Result<Channel, Error> {
    let channel = broker.channel().await?;
    answer("requesting confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
    Ok(channel)
}

/// Publishes, and waits for the confirm.
pub(crate) async fn publish(
    channel: &Channel,
    route: &Route,
    body: &[u8],
    properties: BasicProperties,
) -> Result<Confirmation, Error> {
    let confirm = send(channel, route, body, properties).await?;
    confirm.await.map_err(|error| publishing(&route.queue, &error))
}

/// Publishes, and returns before the confirm. A message that no queue takes is returned.
pub(crate) async fn send(
    channel: &Channel,
    route: &Route,
    body: &[u8],
    properties: BasicProperties,
) -> Result<PublisherConfirm, Error> {
    let (exchange, queue) = (route.exchange.0.clone(), &route.queue);
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let sent = channel.basic_publish(exchange, short(queue), options, body, properties).await;
    sent.map_err(|error| publishing(queue, &error))
}

/// The error of a publish.
pub(crate) fn publishing(queue: &QueueName, error: &lapin::Error) -> Error {
    Error::from_lapin(format!("publishing to queue {queue}"), error)
}
