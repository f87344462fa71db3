//! A queue of its own on a broker, workers on this machine, and a look into the queues.

use std::process::Command;
use std::time::Duration;

use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use serde_json::Value;
use workqueue_amqp::topology::{self, DELIVERY_LIMIT, QueueSpec};
use workqueue_amqp::{Broker, Endpoint};
use workqueue_core::names::random_suffix;

use crate::{Outcome, Running, worker};

/// A state of a queue that does not come by then does not come.
const LONGEST: Duration = Duration::from_secs(120);

/// Waits for a worker without holding up the test's own connections.
pub async fn ended(worker: Running) -> Outcome {
    tokio::task::spawn_blocking(|| worker.finish()).await.expect("it ends in time")
}

/// A queue of its own for each test, on the broker of `WORKQUEUE_TEST_AMQP_URL`.
pub struct Bench {
    pub url: String,
    pub queue: String,
    channel: Channel,
    connection: Connection,
}

impl Bench {
    /// Makes the queue as `enqueue` would.
    pub async fn new() -> Self {
        let url = std::env::var("WORKQUEUE_TEST_AMQP_URL")
            .expect("WORKQUEUE_TEST_AMQP_URL is not set: run it with tests/worker/with-broker");
        // Built before there is a connection that has to be kept alive.
        worker();
        let queue = format!("worker-test-{}", random_suffix(8));
        let endpoint = Endpoint::parse(&url, None).expect("WORKQUEUE_TEST_AMQP_URL is a broker's URL");
        let broker = Broker::connect(&endpoint, "tests").await.expect("the broker is there");
        let spec = QueueSpec { name: queue.parse().expect("a legal name"), delivery_limit: DELIVERY_LIMIT };
        topology::ensure(&broker, &spec).await.expect("the queue can be made");
        broker.close().await;
        Self::attach(&url, &queue).await
    }

    /// A bench with these items in its queue, under the ids 1, 2, …
    pub async fn with_items(items: &[impl AsRef<[u8]>]) -> Self {
        let bench = Self::new().await;
        bench.fill(items).await;
        bench
    }

    /// A new connection to a queue that is there.
    pub async fn attach(url: &str, queue: &str) -> Self {
        let connection =
            Connection::connect(url, ConnectionProperties::default()).await.expect("it is there");
        let channel = connection.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        Self { url: url.to_owned(), queue: queue.to_owned(), channel, connection }
    }

    pub async fn publish(&self, id: Option<&str>, body: &[u8]) {
        self.publish_to("", id, body).await;
    }

    /// Publishes a message to the queue with this suffix.
    pub async fn publish_to(&self, suffix: &str, id: Option<&str>, body: &[u8]) {
        let mut properties = BasicProperties::default().with_delivery_mode(2);
        if let Some(id) = id {
            properties = properties.with_message_id(id.into());
        }
        let (options, queue) = (BasicPublishOptions::default(), format!("{}{suffix}", self.queue));
        let queue = queue.as_str().into();
        let sent = self.channel.basic_publish("".into(), queue, options, body, properties).await;
        assert!(sent.expect("it is sent").await.expect("it is confirmed").is_ack());
    }

    /// Consumes so many messages of the queue with this suffix, and holds them.
    pub async fn hold(&self, suffix: &str, messages: usize) -> (Consumer, Vec<Delivery>) {
        use futures_util::StreamExt as _;
        let queue = format!("{}{suffix}", self.queue);
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = self.channel.basic_consume(queue.as_str().into(), "holder".into(), options, arguments);
        let mut consumer = consumer.await.expect("the queue is there");
        let mut held = Vec::new();
        while held.len() < messages {
            held.push(consumer.next().await.expect("it goes on").expect("a message"));
        }
        (consumer, held)
    }

    /// Ends the connection: what it holds is requeued.
    pub async fn disconnect(self) {
        self.connection.close(200, "done".into()).await.expect("it can be closed");
    }

    /// Publishes items with the ids 1, 2, …
    pub async fn fill(&self, items: &[impl AsRef<[u8]>]) {
        for (number, body) in (1..).zip(items) {
            self.publish(Some(&number.to_string()), body.as_ref()).await;
        }
    }

    /// Starts a worker that reaches the broker at some URL.
    pub fn start_at(&self, url: &str, flags: &[&str], program: &[&str]) -> Running {
        let mut command = Command::new(worker());
        command.env("BROKER_URL", url).env("QUEUE", &self.queue).env("WORKQUEUE_RUN", "r1");
        Running::start(command.args(["--backoff", "10ms"]).args(flags).arg("--").args(program))
    }

    pub fn start(&self, flags: &[&str], program: &[&str]) -> Running {
        self.start_at(&self.url, flags, program)
    }

    /// Runs a worker to its end.
    pub async fn work(&self, flags: &[&str], program: &[&str]) -> Outcome {
        ended(self.start(flags, program)).await
    }

    /// Takes a message from the queue with this suffix.
    pub async fn take(&self, suffix: &str) -> Option<lapin::message::BasicGetMessage> {
        let queue = format!("{}{suffix}", self.queue);
        let got = self.channel.basic_get(queue.as_str().into(), BasicGetOptions { no_ack: true }).await;
        got.expect("the queue is there")
    }

    /// Messages in the queue with this suffix that nobody holds.
    pub async fn ready(&self, suffix: &str) -> u64 {
        let queue = format!("{}{suffix}", self.queue);
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared =
            self.channel.queue_declare(queue.as_str().into(), passive, FieldTable::default()).await;
        declared.expect("the queue is there").message_count().into()
    }

    /// Waits until the queue holds as many items that wait.
    pub async fn until_ready(&self, wanted: u64) {
        let deadline = tokio::time::Instant::now() + LONGEST;
        while self.ready("").await != wanted {
            assert!(tokio::time::Instant::now() < deadline, "it does not come to {wanted} items");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The records of the results' stream, as many as are expected.
    pub async fn records(&self, expected: usize) -> Vec<Value> {
        use futures_util::StreamExt as _;
        let channel = self.connection.create_channel().await.expect("a channel");
        channel.basic_qos(100, BasicQosOptions::default()).await.expect("streams need it");
        let mut arguments = FieldTable::default();
        arguments.insert("x-stream-offset".into(), AMQPValue::LongString("first".into()));
        let queue = format!("{}.results", self.queue);
        let options = BasicConsumeOptions::default();
        let consumer =
            channel.basic_consume(queue.as_str().into(), "reader".into(), options, arguments).await;
        let mut consumer = consumer.expect("the stream is there");
        let mut records = Vec::new();
        while records.len() < expected {
            let next = tokio::time::timeout(Duration::from_secs(10), consumer.next()).await;
            let Ok(Some(Ok(message))) = next else { break };
            message.acker.ack(BasicAckOptions::default()).await.expect("it is read");
            let lines = serde_json::Deserializer::from_slice(&message.data).into_iter::<Value>();
            records.extend(lines.map(|record| record.expect("a record is JSON")));
        }
        records
    }

    /// Makes a plain queue where the one of the bench was.
    pub async fn declare(&self) {
        let (durable, queue) = (QueueDeclareOptions::durable(), self.queue.as_str().into());
        self.channel.queue_declare(queue, durable, FieldTable::default()).await.expect("it can be made");
    }

    /// Deletes the queue with this suffix.
    pub async fn delete(&self, suffix: &str) {
        let queue = format!("{}{suffix}", self.queue);
        let deleted = self.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await;
        deleted.expect("it can be deleted");
    }

    /// Deletes all that the test has made.
    pub async fn clear(self) {
        for suffix in ["", ".failed", ".results", ".starts"] {
            self.delete(suffix).await;
        }
    }
}
