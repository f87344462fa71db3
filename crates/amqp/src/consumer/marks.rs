//! The stream of marks, `QUEUE.starts`: carries what the workers of a queue tell each other. It has a
//! connection of its own: lapin reports a channel that the broker closes as an error of its connection,
//! and a stream that is missing or forbidden must not end a session.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::stream::{FuturesOrdered, StreamExt as _};
use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Consumer};
use tokio::sync::{mpsc, oneshot};

use super::plan::ConsumerPlan;
use crate::broker::{answer, short};
use crate::confirms::{Route, confirming_channel, publishing, send};
use crate::properties::PERSISTENT;
use crate::{Broker, Error, topology};
use workqueue_core::mark::MarkMessage;
use workqueue_core::names::QueueName;
use workqueue_core::queue::QueueEvent;

/// Messages in flight; the broker sends no more before some are acknowledged.
const PREFETCH: u16 = 1000;

/// Pause before the stream is opened again.
const FAILED_PAUSE: Duration = Duration::from_secs(2);

/// Messages that may wait for a connection. More are lost.
const UNCONFIRMED: usize = 10_000;

/// How long nothing is tried after the broker has refused the stream.
const DEAF_FOR: Duration = Duration::from_secs(60);

/// How long it may take to hand something over to the connection. lapin gives no answer if the connection
/// breaks just then.
const HAND_OVER: Duration = Duration::from_secs(5);

/// How long a worker that leaves waits for its last messages to be confirmed.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// What workers tell each other, as one worker tells and hears it.
pub(super) struct Marks {
    requests_tx: mpsc::UnboundedSender<Request>,
    heard_rx: mpsc::UnboundedReceiver<QueueEvent>,
}

enum Request {
    Tell(MarkMessage),
    Flush(oneshot::Sender<()>),
}

impl Marks {
    /// Starts to read the stream, from its first message on.
    pub(super) fn open(plan: ConsumerPlan) -> Self {
        let (requests_tx, requests_rx) = mpsc::unbounded_channel();
        let (heard_tx, heard_rx) = mpsc::unbounded_channel();
        let stream =
            MarkStream { plan, requests_rx, heard_tx, unconfirmed: VecDeque::new(), flushes: Vec::new() };
        tokio::spawn(stream.run());
        Self { requests_tx, heard_rx }
    }

    /// Tells all workers something, once there is a connection.
    pub(super) fn tell(&self, message: MarkMessage) {
        // The task ends only with this value.
        self.requests_tx.send(Request::Tell(message)).ok();
    }

    /// The next message of a worker. Safe to cancel.
    pub(super) async fn next(&mut self) -> QueueEvent {
        match self.heard_rx.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// Waits until all that was told is confirmed; not for long.
    pub(super) async fn flush(&self) {
        let (done_tx, done_rx) = oneshot::channel();
        self.requests_tx.send(Request::Flush(done_tx)).ok();
        tokio::time::timeout(FLUSH_TIMEOUT, done_rx).await.ok();
    }
}

/// The task behind it.
struct MarkStream {
    plan: ConsumerPlan,
    requests_rx: mpsc::UnboundedReceiver<Request>,
    heard_tx: mpsc::UnboundedSender<QueueEvent>,
    /// What was told and not confirmed, in order. It is published again after a failure.
    unconfirmed: VecDeque<MarkMessage>,
    /// Whom to answer once nothing is unconfirmed.
    flushes: Vec<oneshot::Sender<()>>,
}

impl MarkStream {
    async fn run(mut self) {
        // It ends without an error once the worker is gone.
        while let Err(error) = self.serve().await {
            let is_there = if error.is_transient() || matches!(error, Error::LoginRefused) {
                self.pause().await
            } else {
                self.deaf(&error).await
            };
            if !is_there {
                return;
            }
        }
    }

    /// Waits before the next attempt. Returns whether the worker is still there.
    async fn pause(&mut self) -> bool {
        let over = tokio::time::sleep(FAILED_PAUSE);
        let mut over = std::pin::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return true,
                request = self.requests_rx.recv() => match request {
                    Some(request) => self.take(request),
                    None => return false,
                },
            }
        }
    }

    /// What is told is lost for a while. Returns whether the worker is still there.
    async fn deaf(&mut self, error: &Error) -> bool {
        let over = tokio::time::sleep(DEAF_FOR);
        let mut over = std::pin::pin!(over);
        loop {
            self.lose(error.to_string());
            tokio::select! {
                () = &mut over => return true,
                request = self.requests_rx.recv() => match request {
                    Some(request) => self.take(request),
                    None => return false,
                },
            }
        }
    }

    /// What was told is lost.
    fn lose(&mut self, reason: String) {
        self.unconfirmed.clear();
        self.flushes.clear();
        self.heard_tx.send(QueueEvent::Deaf(reason)).ok();
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Tell(_) if self.unconfirmed.len() >= UNCONFIRMED => {
                let reason = format!("queue {} takes no message", self.plan.queue.starts());
                self.heard_tx.send(QueueEvent::Deaf(reason)).ok();
            }
            Request::Tell(message) => self.unconfirmed.push_back(message),
            Request::Flush(done_tx) => self.flushes.push(done_tx),
        }
    }

    /// Tells and hears over one connection, until the worker is gone.
    async fn serve(&mut self) -> Result<(), Error> {
        let broker = Broker::connect(&self.plan.endpoint, &format!("{} marks", self.plan.purpose)).await?;
        let served = self.serve_over(&broker).await;
        broker.close().await;
        served
    }

    async fn serve_over(&mut self, broker: &Broker) -> Result<(), Error> {
        topology::ensure_starts(broker, &self.plan.queue).await?;
        let stream = self.plan.queue.starts();
        let exchange = topology::exchange_for_worker(broker, &self.plan.queue).await?;
        let route = exchange.to(stream.clone());
        let telling = confirming_channel(broker).await?;
        let hearing = broker.channel().await?;
        let mut consumer = consume(&hearing, &stream).await?;
        let mut confirms = FuturesOrdered::new();
        loop {
            while let Some(message) = self.unconfirmed.get(confirms.len()) {
                confirms.push_back(handed_over(tell(&telling, &route, message)).await??);
            }
            if self.unconfirmed.is_empty() {
                self.flushes.clear();
            }
            tokio::select! {
                request = self.requests_rx.recv() => match request {
                    Some(request) => self.take(request),
                    None => return Ok(()),
                },
                Some(confirm) = confirms.next(), if !confirms.is_empty() => {
                    check(&stream, confirm)?;
                    self.unconfirmed.pop_front();
                }
                message = consumer.next() => self.hear(&stream, message).await?,
            }
        }
    }

    /// Takes a message of the stream.
    async fn hear(
        &mut self,
        stream: &QueueName,
        message: Option<lapin::Result<Message>>,
    ) -> Result<(), Error> {
        let message = match message {
            Some(message) => message.map_err(|error| reading(stream, &error))?,
            None => return Err(Error::Connection(format!("the broker ended the reading of queue {stream}"))),
        };
        let acking = message.acker.ack(BasicAckOptions::default());
        handed_over(acking).await?.map_err(|error| reading(stream, &error))?;
        // Messages of later versions are not for this one.
        if let Ok(message) = serde_json::from_slice(&message.data) {
            self.heard_tx.send(QueueEvent::Heard(message)).ok();
        }
        Ok(())
    }
}

/// What is only handed over to the connection, in time.
async fn handed_over<T>(handing: impl Future<Output = T>) -> Result<T, Error> {
    let timely = tokio::time::timeout(HAND_OVER, handing).await;
    timely.map_err(|_| Error::Connection("the broker does not answer".to_owned()))
}

/// Reads from the first message on, also after a failure: the stream may be another one then, and hearing a
/// message twice does no harm. The broker refuses the argument for a queue that is not a stream.
async fn consume(channel: &Channel, stream: &QueueName) -> Result<Consumer, Error> {
    let from = AMQPValue::LongString("first".into());
    let mut arguments = FieldTable::default();
    arguments.insert("x-stream-offset".into(), from);
    let operation = format!("reading queue {stream}");
    answer(&operation, channel.basic_qos(PREFETCH, BasicQosOptions::default())).await?;
    let options = BasicConsumeOptions::default();
    answer(operation, channel.basic_consume(short(stream), "marks".into(), options, arguments)).await
}

/// Publishes a message; the answer comes later.
async fn tell(
    channel: &Channel,
    route: &Route,
    message: &MarkMessage,
) -> Result<lapin::PublisherConfirm, Error> {
    let body = serde_json::to_vec(message).map_err(|error| Error::Connection(error.to_string()))?;
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into());
    send(channel, route, &body, properties).await
}

fn check(stream: &QueueName, confirm: lapin::Result<Confirmation>) -> Result<(), Error> {
    match confirm.map_err(|error| publishing(stream, &error))? {
        Confirmation::Ack(None) | Confirmation::NotRequested => Ok(()),
        Confirmation::Ack(Some(_)) => Err(Error::Connection(format!("queue {stream} is gone"))),
        Confirmation::Nack(_) => Err(Error::Connection(format!("queue {stream} takes no message"))),
    }
}

fn reading(stream: &QueueName, error: &lapin::Error) -> Error {
    Error::from_lapin(format!("reading queue {stream}"), error)
}
