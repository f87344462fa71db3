//! The two ways to run a worker, and a look into the broker's queues.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use workqueue_amqp::topology::{self, QueueSpec};
use workqueue_amqp::{Broker, Endpoint};
use workqueue_core::names::{QueueName, random_suffix};

/// Nothing here may take longer.
pub const LONGEST: Duration = Duration::from_secs(120);

/// A worker that has ended.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ended {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Items that were done and that failed, from the closing line of either executable.
    pub fn counts(&self) -> Option<(u64, u64)> {
        let line = self.stderr.lines().find(|line| line.contains(" items done, "))?;
        let mut numbers = line.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

pub async fn ended(child: Child) -> Ended {
    let output = tokio::time::timeout(LONGEST, child.wait_with_output()).await.expect("it ends in time");
    let output = output.expect("it can be waited for");
    Ended {
        status: output.status,
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Sends a signal, as `kill` does.
pub fn signal(child: &Child, name: &str) {
    let id = child.id().expect("it runs").to_string();
    let sent = std::process::Command::new("kill").args([name, &id]).status();
    assert!(sent.expect("kill is everywhere").success());
}

/// Over the queue in memory. Items must have no newline, or no NUL with `null`.
pub async fn local(items: &[&[u8]], null: bool, flags: &[&str], program: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-workqueue"));
    command.args(["local", "-j1", "--backoff", "10ms", "-f", "-"]);
    if null {
        command.arg("-0");
    }
    command.args(flags).arg("--").args(program);
    let mut child = spawn(command, Stdio::piped());
    let mut stdin = child.stdin.take().expect("it is piped");
    let end: &[u8] = if null { b"\0" } else { b"\n" };
    let input: Vec<u8> = items.iter().flat_map(|item| [item, end].concat()).collect();
    let feeding = async move { stdin.write_all(&input).await.err() };
    let (ended, error) = tokio::join!(ended(child), feeding);
    assert!(error.is_none(), "not all items were read: {:?}: {}", ended.status, ended.stderr);
    ended
}

fn spawn(mut command: Command, stdin: Stdio) -> Child {
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().expect("it was built for this test")
}

/// The address of the broker under test; without one a word on what is skipped.
pub fn broker_url() -> Option<String> {
    let url = std::env::var("WORKQUEUE_TEST_AMQP_URL").ok();
    if url.is_none() {
        eprintln!("skipped: needs a broker (set WORKQUEUE_TEST_AMQP_URL)");
    }
    url
}

/// Held by all tests that need the broker to stay up; the one that restarts it waits for them.
static BROKER_STAYS: RwLock<()> = RwLock::const_new(());

/// Kept as long as the broker is to stay up, or to be one's own.
#[expect(dead_code, reason = "the guards are there to be dropped")]
pub enum Hold {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

impl Hold {
    pub async fn shared() -> Self {
        Self::Shared(BROKER_STAYS.read().await)
    }

    pub async fn alone() -> Self {
        Self::Alone(BROKER_STAYS.write().await)
    }
}

/// A queue of its own for each test.
pub struct Bench {
    /// Kept to the end of the test.
    pub hold: Option<Hold>,
    pub url: String,
    pub queue: String,
    pub channel: Channel,
    connection: Connection,
}

impl Bench {
    /// Makes the queue as `enqueue` would.
    pub async fn new(url: &str) -> Self {
        Self::with(Hold::shared().await, url).await
    }

    /// The same, with a hold on the broker.
    pub async fn with(hold: Hold, url: &str) -> Self {
        let queue = format!("worker-test-{}", random_suffix(8));
        let endpoint = Endpoint::parse(url, None).expect("WORKQUEUE_TEST_AMQP_URL is a broker's URL");
        let broker = Broker::connect(&endpoint, "tests").await.expect("the broker is there");
        let spec = QueueSpec { name: name(&queue), delivery_limit: 20 };
        topology::ensure(&broker, &spec).await.expect("the queue can be made");
        broker.close().await;
        Self::attach(Some(hold), url, &queue).await
    }

    /// A new connection to a queue that is there.
    pub async fn attach(hold: Option<Hold>, url: &str, queue: &str) -> Self {
        let connection =
            Connection::connect(url, ConnectionProperties::default()).await.expect("it is there");
        let channel = connection.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        Self { hold, url: url.to_owned(), queue: queue.to_owned(), channel, connection }
    }

    pub async fn publish(&self, id: Option<&str>, body: &[u8]) {
        let mut properties = BasicProperties::default().with_delivery_mode(2);
        if let Some(id) = id {
            properties = properties.with_message_id(id.into());
        }
        let options = BasicPublishOptions::default();
        let sent = self
            .channel
            .basic_publish("".into(), self.queue.as_str().into(), options, body, properties)
            .await;
        assert!(sent.expect("it is sent").await.expect("it is confirmed").is_ack());
    }

    /// Publishes items with the ids 1, 2, …
    pub async fn fill(&self, items: &[&[u8]]) {
        for (number, body) in (1..).zip(items) {
            self.publish(Some(&number.to_string()), body).await;
        }
    }

    pub fn start_at(&self, url: &str, flags: &[&str], program: &[&str]) -> Child {
        let mut command = Command::new(worker_program());
        command.env("BROKER_URL", url).env("QUEUE", &self.queue).env("WORKQUEUE_RUN", "r1");
        command.args(["--backoff", "10ms"]).args(flags).arg("--").args(program);
        spawn(command, Stdio::null())
    }

    pub fn start(&self, flags: &[&str], program: &[&str]) -> Child {
        self.start_at(&self.url, flags, program)
    }

    pub async fn work(&self, flags: &[&str], program: &[&str]) -> Ended {
        ended(self.start(flags, program)).await
    }

    /// Takes a message from the queue with this suffix.
    pub async fn take(&self, suffix: &str) -> Option<lapin::message::BasicGetMessage> {
        let queue = format!("{}{suffix}", self.queue);
        let got = self.channel.basic_get(queue.as_str().into(), BasicGetOptions { no_ack: true }).await;
        got.expect("the queue is there")
    }

    pub async fn ready(&self, suffix: &str) -> u64 {
        let endpoint = Endpoint::parse(&self.url, None).expect("it was one before");
        let broker = Broker::connect(&endpoint, "tests").await.expect("the broker is there");
        let depth = topology::reported_depth(&broker, &name(&format!("{}{suffix}", self.queue)))
            .await
            .expect("an answer");
        broker.close().await;
        depth.expect("the queue is there").ready.into()
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
    pub async fn records(&self, expected: usize) -> Vec<serde_json::Value> {
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
            records.push(serde_json::from_slice(&message.data).expect("a record is JSON"));
        }
        records
    }

    /// Deletes the queues.
    pub async fn clear(self) {
        let channel = self.connection.create_channel().await.expect("a channel");
        let queue = name(&self.queue);
        for queue in [&queue, &queue.failed(), &queue.results()] {
            let deleted = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await;
            deleted.expect("it can be deleted");
        }
    }
}

fn name(name: &str) -> QueueName {
    name.parse().expect("a legal name")
}

/// The worker's executable. It belongs to another package, so cargo does not build it for this
/// test: `cargo build -p workqueue-worker` does, into the directory of the plugin.
pub fn worker_program() -> std::path::PathBuf {
    let path =
        std::path::Path::new(env!("CARGO_BIN_EXE_kubectl-workqueue")).with_file_name("workqueue-worker");
    assert!(path.exists(), "{} is missing: run `cargo build -p workqueue-worker` first", path.display());
    path
}
