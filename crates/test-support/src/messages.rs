//! Items that are numbers: enqueued, taken out of the queue, counted, and looked up in the results.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write as _;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use serde_json::Value;

use crate::{Bed, Running, kubectl};

/// A message: id and body.
pub type Message = (String, Vec<u8>);

/// The numbers from 1 to `count`, one a line.
pub fn numbers(count: usize) -> String {
    (1..=count).map(|number| format!("{number}\n")).collect()
}

impl Bed {
    /// Enqueues the numbers from 1 to `count`: each gets itself as the number in its id.
    #[track_caller]
    pub fn enqueue_numbers(&self, count: usize) {
        self.workqueue_with_input(&["enqueue", "-f", "-"], numbers(count)).ok();
    }

    /// Starts an `enqueue` of the numbers from 1 to `count`, at most `rate` a second. What it did
    /// not take while the broker was away is not made up for, so that items are left for each fault.
    pub fn start_enqueue(&self, count: usize, rate: usize) -> Running {
        let mut command = self.command(&["enqueue", "-o", "json", "-f", "-"]);
        Running::start_fed(&mut command, move |mut stdin| {
            let tenth = rate / 10;
            for start in (0..count).step_by(tenth) {
                std::thread::sleep(Duration::from_millis(100));
                let end = count.min(start + tenth);
                let text: String = (start..end).map(|number| format!("{}\n", number + 1)).collect();
                stdin.write_all(text.as_bytes())?;
            }
            Ok(())
        })
    }

    /// Fails the test unless `report`, of an `enqueue` of the numbers from 1 to `count`, and the
    /// queue agree: all are there, and no more of them twice than the report admits.
    #[track_caller]
    pub fn assert_enqueued(&self, count: usize, report: &Value) {
        assert_eq!(report["confirmed"], count, "{report}");
        self.assert_numbers(count, report["republished"].as_u64().expect("a number") as usize);
    }

    /// Fails the test unless the numbers from 1 to `count` are in the queue, and at most `admitted`
    /// of them a second time, under the same id. Takes them out.
    #[track_caller]
    pub fn assert_numbers(&self, count: usize, admitted: usize) {
        let messages = self.drain("job1");
        let mut bodies: HashMap<&[u8], usize> = HashMap::new();
        let mut ids: HashMap<&str, &[u8]> = HashMap::new();
        for (id, body) in &messages {
            *bodies.entry(body).or_default() += 1;
            assert_eq!(*ids.entry(id).or_insert(body), body, "an id stands for one item");
        }
        let missing =
            (1..=count).filter(|number| !bodies.contains_key(number.to_string().as_bytes())).count();
        assert_eq!((missing, bodies.len()), (0, count), "missing items");
        let duplicates = messages.len() - count;
        assert!(duplicates <= admitted, "{duplicates} duplicates, but {admitted} admitted");
        println!("{count} items, {duplicates} duplicates, {admitted} admitted");
    }

    /// Takes all messages out of a queue.
    pub fn drain(&self, queue: &str) -> Vec<Message> {
        let (_forward, url) = self.forwarded_url();
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        runtime.block_on(drain(&url, queue))
    }

    /// An AMQP URL that leads to the broker's pod as long as the value lives.
    pub(crate) fn forwarded_url(&self) -> (Running, String) {
        let forward = ["port-forward", "pod/workqueue-broker-0", ":5672", "--namespace", &self.namespace];
        let mut forward = Running::start(kubectl().args(forward));
        let said = forward.wait_for_output(" -> 5672");
        let address = said.split_whitespace().find(|word| word.starts_with("127.0.0.1:"));
        let url = self.broker_url("amqp", address.expect("kubectl tells where it listens"));
        (forward, url)
    }

    /// The records of a run, or of all runs, by the number of their item.
    #[track_caller]
    pub fn records(&self, flags: &[&str]) -> BTreeMap<usize, Value> {
        let all = self.workqueue(&[&["results", "-o", "json"], flags].concat()).ok().json();
        println!(
            "{flags:?}: {} done, {} failed, {} superseded",
            all["done"], all["failed"], all["superseded"]
        );
        let records = all["records"].as_array().expect("a list").iter();
        records.map(|record| (number(record), record.clone())).collect()
    }
}

/// The ids of a document's items.
pub fn ids(document: &Value) -> BTreeSet<String> {
    let items = document["items"].as_array().or(document["records"].as_array()).expect("a list").iter();
    items.map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

/// The number of a record's item.
pub fn number(record: &Value) -> usize {
    let id = record["id"].as_str().expect("an id");
    id.rsplit('.').next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{id}"))
}

/// The numbers of the items that ended with a status.
pub fn ended_with(status: &str, records: &BTreeMap<usize, Value>) -> Vec<usize> {
    let ended = records.iter().filter(|(_, record)| record["status"] == status);
    ended.map(|(number, _)| *number).collect()
}

async fn drain(url: &str, queue: &str) -> Vec<Message> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("it is ready");
    let channel = connection.create_channel().await.expect("connected");
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(queue.into(), passive, FieldTable::default()).await;
    let total = declared.expect("the queue is there").message_count() as usize;

    channel.basic_qos(5000, BasicQosOptions::default()).await.expect("connected");
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer = channel.basic_consume(queue.into(), "drain".into(), options, arguments).await;
    let mut consumer = consumer.expect("the queue is there");
    let mut messages = Vec::with_capacity(total);
    while messages.len() < total {
        let delivery = consumer.next().await.expect("connected").expect("connected");
        let id = delivery.properties.message_id().as_ref().map(|id| id.as_str().to_owned());
        messages.push((id.unwrap_or_default(), delivery.data.clone()));
        if messages.len() % 1000 == 0 || messages.len() == total {
            delivery.ack(BasicAckOptions { multiple: true }).await.expect("connected");
        }
    }
    connection.close(200, "done".into()).await.expect("connected");
    messages
}
