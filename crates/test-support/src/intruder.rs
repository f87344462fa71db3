//! Somebody with a login who tries what it should not open. Each attempt has a connection of its own, since
//! a refusal closes it or its channel.

use lapin::message::BasicReturnMessage;
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind};

/// An attempt on a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    Delete,
    Purge,
    Get,
    Consume,
    /// Declares a queue of the name.
    Declare,
    /// Declares the exchange of the queue's workers.
    DeclareExchange,
    /// Binds the queue to an exchange that the intruder may write to.
    Bind,
    /// Publishes to the queue through the default exchange.
    Publish,
    /// Publishes to it through the exchange of the workers of another queue.
    PublishThrough(&'static str),
}

/// Tries it. The error is why it did not work.
///
/// # Errors
/// The broker's words.
pub async fn attempt(url: &str, attempt: Attempt, queue: &str) -> Result<(), String> {
    let connection =
        Connection::connect(url, ConnectionProperties::default()).await.map_err(|error| error.to_string())?;
    let channel = connection.create_channel().await.map_err(|error| error.to_string())?;
    let tried = on(&channel, attempt, queue).await;
    // A connection that the broker has closed needs no closing.
    connection.close(200, "done".into()).await.ok();
    tried
}

async fn on(channel: &Channel, attempt: Attempt, queue: &str) -> Result<(), String> {
    let (name, none) = (queue.into(), FieldTable::default());
    let exchange = format!("{queue}.workers");
    let tried = match attempt {
        Attempt::Delete => channel.queue_delete(name, QueueDeleteOptions::default()).await.map(drop),
        Attempt::Purge => channel.queue_purge(name, QueuePurgeOptions::default()).await.map(drop),
        Attempt::Get => channel.basic_get(name, BasicGetOptions::default()).await.map(drop),
        Attempt::Consume => {
            let options = BasicConsumeOptions::default();
            channel.basic_consume(name, "intruder".into(), options, none).await.map(drop)
        }
        Attempt::Declare => channel.queue_declare(name, QueueDeclareOptions::durable(), none).await.map(drop),
        Attempt::DeclareExchange => {
            let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            channel.exchange_declare(exchange.into(), ExchangeKind::Fanout, options, none).await
        }
        Attempt::Bind => {
            let options = QueueBindOptions::default();
            channel.queue_bind(name, "job1.workers".into(), "forged".into(), options, none).await
        }
        Attempt::Publish => return publish(channel, "", queue).await,
        Attempt::PublishThrough(other) => return publish(channel, &format!("{other}.workers"), queue).await,
    };
    tried.map_err(|error| error.to_string())
}

async fn publish(channel: &Channel, exchange: &str, queue: &str) -> Result<(), String> {
    let said = |error: lapin::Error| error.to_string();
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(said)?;
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let properties = BasicProperties::default();
    let sent = channel.basic_publish(exchange.into(), queue.into(), options, b"forged", properties).await;
    match sent.map_err(said)?.await.map_err(said)? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(returned)) => Err(why(&returned)),
        other => Err(format!("{other:?}")),
    }
}

fn why(returned: &BasicReturnMessage) -> String {
    returned.reply_text.to_string()
}
