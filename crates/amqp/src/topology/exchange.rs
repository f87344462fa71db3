//! The exchange through which the workers of a queue publish. It leads to what belongs to the queue, such
//! as `QUEUE.failed`, so that workers need no right to the default exchange, which leads to every queue.

use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions};
use lapin::types::FieldTable;

use crate::broker::{answer, close_channel, short, within};
use crate::confirms::Exchange;
use crate::error::is_not_found;
use crate::{Broker, Error};
use workqueue_core::names::QueueName;

/// Lets the workers of a queue publish to these queues and streams, which have to exist. Where the user may
/// not declare an exchange, or not bind queues to it, there is none, and workers use the default one. Returns
/// whether there is one.
///
/// # Errors
/// Lost connections; refusals to bind a queue to an exchange that somebody else has made.
pub(super) async fn connect(
    broker: &Broker,
    queue: &QueueName,
    companions: &[QueueName],
) -> Result<bool, Error> {
    if exists(broker, queue).await? {
        return bind(broker, queue, companions).await.map(|()| true);
    }
    match declare(broker, queue).await {
        Err(Error::Refused { .. }) => return Ok(false),
        declared => declared?,
    }
    match bind(broker, queue, companions).await {
        // Without bindings, what workers publish would be returned to them.
        Err(Error::Refused { .. }) => delete(broker, queue).await.map(|()| false),
        bound => bound.map(|()| true),
    }
}

async fn bind(broker: &Broker, queue: &QueueName, companions: &[QueueName]) -> Result<(), Error> {
    let channel = broker.channel().await?;
    for name in companions {
        let (exchange, options) = (queue.workers_exchange(), QueueBindOptions::default());
        let binding =
            channel.queue_bind(short(name), exchange.into(), short(name), options, FieldTable::default());
        answer(format!("binding queue {name} to the exchange of its workers"), binding).await?;
    }
    close_channel(&channel).await;
    Ok(())
}

/// The exchange for a worker of a queue: the queue's own, or else the default one. If other programs have
/// declared the queue, nobody has made its exchange yet.
///
/// # Errors
/// Lost connections, and refusals to look.
pub(crate) async fn exchange_for_worker(broker: &Broker, queue: &QueueName) -> Result<Exchange, Error> {
    if exists(broker, queue).await? {
        return Ok(Exchange::of_workers(queue));
    }
    let mut companions = Vec::new();
    for name in [queue.failed(), queue.results(), queue.starts()] {
        if super::exists(broker, &name).await? {
            companions.push(name);
        }
    }
    let own = connect(broker, queue, &companions).await?;
    Ok(if own { Exchange::of_workers(queue) } else { Exchange::default() })
}

async fn exists(broker: &Broker, queue: &QueueName) -> Result<bool, Error> {
    let channel = broker.channel().await?;
    let (exchange, none) = (queue.workers_exchange(), FieldTable::default());
    let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let looking = async {
        let looking = channel.exchange_declare(exchange.into(), ExchangeKind::Direct, options, none);
        match looking.await {
            Ok(()) => Ok(true),
            Err(error) if is_not_found(&error) => Ok(false),
            Err(error) => {
                Err(Error::from_lapin(format!("looking for the exchange of queue {queue}"), &error))
            }
        }
    };
    let found = within(looking).await?;
    if found {
        close_channel(&channel).await;
    }
    Ok(found)
}

async fn declare(broker: &Broker, queue: &QueueName) -> Result<(), Error> {
    let channel = broker.channel().await?;
    let (exchange, none) = (queue.workers_exchange(), FieldTable::default());
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let declaring = channel.exchange_declare(exchange.into(), ExchangeKind::Direct, options, none);
    answer(format!("declaring the exchange of queue {queue}"), declaring).await?;
    close_channel(&channel).await;
    Ok(())
}

async fn delete(broker: &Broker, queue: &QueueName) -> Result<(), Error> {
    let channel = broker.channel().await?;
    let deleting = channel.exchange_delete(queue.workers_exchange().into(), ExchangeDeleteOptions::default());
    answer(format!("deleting the exchange of queue {queue}"), deleting).await?;
    close_channel(&channel).await;
    Ok(())
}
