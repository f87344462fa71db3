//! Workers that keep whole outputs on the broker.

use std::collections::BTreeMap;
use std::time::Duration;

use workqueue_amqp::outputs::{OutputCollector, OutputReader, are_full};
use workqueue_amqp::topology;
use workqueue_core::ledger::ItemSet;
use workqueue_core::output::OutputEntry;
use workqueue_core::record::Status;
use workqueue_test_support::ended;

use super::ledger::{BATCH, Books};

const MIB: u64 = 1 << 20;

/// Prints bytes that depend on the item, as many as the item says, and no newline at the end.
const PRINTS: &str = "read n; yes \"$n ü\" | head -c \"$n\"";

/// What [`PRINTS`] prints.
fn printed(bytes: usize) -> Vec<u8> {
    format!("{bytes} ü\n").bytes().cycle().take(bytes).collect()
}

impl Books {
    /// Books with these items in the queue, and a queue for their outputs.
    async fn with_outputs(items: &[String], room: u64) -> Self {
        let books = Self::new().await;
        let made = topology::ensure_outputs(&books.broker, &books.queue, "r1", room).await;
        made.expect("the broker knows quorum queues");
        for (number, item) in (1..).zip(items) {
            books.bench.publish(Some(&format!("{BATCH}.{number}")), item.as_bytes()).await;
        }
        books
    }

    /// All outputs that wait, by item; each must be there once.
    async fn outputs(&self) -> BTreeMap<u32, OutputEntry> {
        let opened = OutputReader::open(&self.broker, &self.queue, "r1").await.expect("it answers");
        let (mut reader, mut entries) = (opened.expect("there is a queue"), BTreeMap::new());
        while let Some(message) = reader.next().await.expect("it answers") {
            note(&mut entries, message.entries.expect("outputs"));
        }
        assert_eq!(reader.missed(), 0);
        reader.close().await.expect("it answers");
        entries
    }

    async fn queued_outputs(&self) -> u64 {
        self.bench.ready(".outputs.r1").await
    }
}

fn note(entries: &mut BTreeMap<u32, OutputEntry>, message: Vec<OutputEntry>) {
    for entry in message {
        let number = entry.id.strip_prefix(BATCH).and_then(|rest| rest[1..].parse().ok());
        let earlier = entries.insert(number.expect("an item of ours"), entry);
        assert!(earlier.is_none(), "{earlier:?} came twice");
    }
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn every_byte_of_every_output_is_kept_until_it_is_removed() {
    let sizes: Vec<usize> = (0..120).map(|number| number * 97).chain([MIB as usize]).collect();
    let items: Vec<String> = sizes.iter().map(ToString::to_string).collect();
    let books = Books::with_outputs(&items, 64 * MIB).await;
    let flags = ["--outputs", "--concurrency", "4"];
    for worker in [books.worker(&flags, PRINTS), books.worker(&flags, PRINTS)] {
        let run = ended(worker).await.ok();
        assert_eq!(run.stdout, "", "what is kept is not logged");
    }
    let messages = books.queued_outputs().await;
    assert!(messages < items.len() as u64, "each of {messages} has a message of its own");
    for _ in 0..2 {
        let entries = books.outputs().await;
        assert_eq!(entries.len(), items.len());
        for (number, size) in (1..).zip(&sizes) {
            let entry = &entries[&number];
            assert!(entry.output == printed(*size), "item {number}");
            assert_eq!(entry.item.as_deref(), Some(size.to_string().as_bytes()));
            assert!(!entry.is_cut() && entry.status == Status::Done);
        }
    }
    assert_eq!(books.queued_outputs().await, messages, "reading removes nothing");
    let page = books.closed().await;
    assert_eq!((page.done.len(), page.cut.len()), (items.len() as u64, 0));
    books.clear_all().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn what_is_longer_than_the_limit_is_cut_and_named() {
    let items = ["10".to_owned(), (3 * MIB).to_string(), "20".to_owned()];
    let books = Books::with_outputs(&items, 64 * MIB).await;
    ended(books.worker(&["--outputs"], PRINTS)).await.ok();
    let entries = books.outputs().await;
    assert!(entries[&2].output == printed(3 * MIB as usize)[..MIB as usize]);
    assert_eq!((entries[&2].written, entries[&2].is_cut()), (3 * MIB, true));
    assert_eq!(books.closed().await.cut, ItemSet::range(BATCH, 2, 2));
    books.clear_all().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn only_what_the_successful_attempt_wrote_is_kept() {
    let items: Vec<String> = ["0", "1", "2"].map(str::to_owned).to_vec();
    let books = Books::with_outputs(&items, MIB).await;
    // Item 0 fails, 1 is done at once, 2 with the second attempt.
    let script = "read n; echo $WORKQUEUE_ATTEMPT; echo log >&2; [ $n = $WORKQUEUE_ATTEMPT ]";
    let flags = ["--outputs", "--retries", "1"];
    let worker = books.bench.start(&[&["--ledger"], &flags[..]].concat(), &["sh", "-c", script]);
    ended(worker).await.ok().says("log");
    let entries = books.outputs().await;
    let shown =
        |number| (entries[&number].status, String::from_utf8_lossy(&entries[&number].output).into_owned());
    assert_eq!(shown(1), (Status::Failed, String::new()));
    assert_eq!(shown(2), (Status::Done, "1\n".to_owned()));
    assert_eq!(shown(3), (Status::Done, "2\n".to_owned()));
    books.clear_all().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_queue_that_is_full_holds_workers_back_and_loses_nothing() {
    let items = vec!["60000".to_owned(); 60];
    let books = Books::with_outputs(&items, 400_000).await;
    let mut workers = [(); 2].map(|()| books.worker(&["--outputs", "--concurrency", "2"], PRINTS));
    for worker in &mut workers {
        worker.wait_for("is full of outputs that nobody has collected");
    }
    assert!(are_full(&books.broker, &books.queue, "r1").await.expect("it answers"));
    let waiting = books.bench.ready("").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(books.bench.ready("").await, waiting, "they take more items");
    assert!(waiting > 0 && workers.iter_mut().all(|worker| !worker.has_ended()), "{waiting} items wait");
    // Somebody collects: the workers go on, and come to the end.
    let mut collector = OutputCollector::open(&books.broker, &books.queue, "r1").await.expect("it is there");
    let mut entries = BTreeMap::new();
    while entries.len() < items.len() {
        let next = tokio::time::timeout(Duration::from_secs(60), collector.next()).await;
        let message = next.expect("the workers go on").expect("it answers");
        note(&mut entries, message.entries.expect("outputs"));
        collector.ack(message.tag).await.expect("it answers");
    }
    assert!(entries.values().all(|entry| entry.output == printed(60_000)));
    for worker in workers {
        ended(worker).await.ok().says("accepts messages again");
    }
    assert!(collector.rest().await.expect("it answers").is_empty());
    collector.close().await;
    assert_eq!(books.closed().await.done.len(), 60);
    books.clear_all().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_worker_that_is_killed_while_it_is_held_back_loses_no_output() {
    let items = vec!["60000".to_owned(); 20];
    let books = Books::with_outputs(&items, 100_000).await;
    let mut worker = books.worker(&["--outputs"], PRINTS);
    worker.wait_for("is full of outputs");
    worker.kill();
    let other = books.worker(&["--outputs"], PRINTS);
    let mut collector = OutputCollector::open(&books.broker, &books.queue, "r1").await.expect("it is there");
    let mut done = ItemSet::default();
    while done.len() < 20 {
        let next = tokio::time::timeout(Duration::from_secs(60), collector.next()).await;
        let message = next.expect("the worker goes on").expect("it answers");
        for entry in message.entries.expect("outputs") {
            assert!(entry.output == printed(60_000), "it is torn");
            let number = entry.id.rsplit_once('.').expect("ours").1.parse().expect("a number");
            done.add(&ItemSet::range(BATCH, number, number));
        }
        collector.ack(message.tag).await.expect("it answers");
    }
    ended(other).await.ok();
    collector.close().await;
    books.clear_all().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn without_its_queue_for_outputs_the_work_goes_on_and_the_ledger_tells() {
    let items: Vec<String> = (1..=20).map(|number| number.to_string()).collect();
    let books = Books::with_outputs(&items, MIB).await;
    let mut worker = books.worker(&["--outputs"], "cat; echo started >&2; sleep 0.2");
    worker.wait_for("started");
    worker.wait_for("started");
    books.bench.delete(".outputs.r1").await;
    ended(worker).await.ok().says("is gone: no more outputs are kept");
    let page = books.closed().await;
    assert_eq!(page.done.len(), 20);
    assert!((17..20).contains(&page.cut.len()), "{} are cut", page.cut.len());
    books.clear_all().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn workers_stay_until_the_input_has_ended() {
    let books = Books::with_outputs(&[], MIB).await;
    topology::ensure_input(&books.broker, &books.queue, "r1").await.expect("it can be made");
    let mut worker = books.worker(&["--outputs", "--await-input", "--idle-timeout", "0s"], "cat");
    // Long enough to step aside and count several times.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!worker.has_ended(), "it has left");
    books.bench.publish(Some(&format!("{BATCH}.1")), b"apple").await;
    let mut collector = OutputCollector::open(&books.broker, &books.queue, "r1").await.expect("it is there");
    let message = collector.next().await.expect("it answers");
    assert_eq!(message.entries.expect("outputs")[0].output, b"apple");
    collector.close().await;
    topology::delete(&books.broker, &books.queue.input("r1")).await.expect("it answers");
    ended(worker).await.ok();
    books.clear_all().await;
}
