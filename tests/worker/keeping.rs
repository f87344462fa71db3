//! Workers that record how their items ended in the ledger of a run.

use std::time::{Duration, Instant};

use workqueue_amqp::ledger;
use workqueue_amqp::result_stream::{self, ReadFrom, ResultReader};
use workqueue_core::ledger::{ItemSet, LedgerPage};
use workqueue_test_support::{Running, ended};

use super::ledger::{BATCH, Books, assert_holds, page_of, until_counted, write_pages};

/// Fails the items with even numbers.
const ODD_IS_DONE: &str = "[ $(($(cat) % 2)) = 1 ]";

/// A sum that is not there by then does not come.
const LONGEST: Duration = Duration::from_secs(60);

impl Books {
    /// Books with the items 1, 2, … of a batch in the queue.
    pub async fn with_items(count: u32) -> Self {
        let books = Self::new().await;
        for number in 1..=count {
            books.bench.publish(Some(&format!("{BATCH}.{number}")), number.to_string().as_bytes()).await;
        }
        books
    }

    pub fn worker(&self, flags: &[&str], script: &str) -> Running {
        self.bench.start(&[&["--ledger", "--retries", "0"], flags].concat(), &["sh", "-c", script])
    }

    /// What is in the ledger, without what is on its way to it.
    pub async fn written(&self) -> LedgerPage {
        let pages = ledger::read_pages_marked(&self.broker, &self.queue, "r1").await;
        pages.expect("it answers").expect("it exists").sum
    }

    /// The same at the end of a run.
    pub async fn closed(&self) -> LedgerPage {
        let rest = ledger::take_rest(&self.broker, &self.queue, "r1", Duration::from_secs(60), |_| {}).await;
        assert_eq!(rest.expect("it answers"), ledger::Rest::Written);
        self.written().await
    }
}

fn numbers(numbers: impl Iterator<Item = u32>) -> ItemSet {
    let mut set = ItemSet::default();
    numbers.for_each(|number| set.add(&ItemSet::range(BATCH, number, number)));
    set
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn the_outcomes_of_all_workers_are_in_the_ledger() {
    let books = Books::with_items(300).await;
    let flags = ["--concurrency", "4"];
    let workers: Vec<_> = (0..3).map(|_| books.worker(&flags, ODD_IS_DONE)).collect();
    for worker in workers {
        ended(worker).await.ok();
    }
    let page = books.closed().await;
    assert_eq!(page.done, numbers((1..=300).step_by(2)));
    assert_eq!(page.failed, numbers((2..=300).step_by(2)));
    assert_eq!((page.foreign_done, page.foreign_failed), (0, 0));
    assert_eq!(books.bench.ready(".failed").await, 150);
    books.clear_all().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_worker_that_leaves_has_written_the_ledger() {
    let books = Books::with_items(20).await;
    books.bench.publish_to(".outcomes.r1", None, b"apple").await;
    books.bench.publish(Some("order 7"), b"21").await;
    let run = ended(books.worker(&[], ODD_IS_DONE)).await.ok();
    run.says("has messages that are no outcomes: they are skipped");
    let page = books.written().await;
    assert_eq!(page.settled(), ItemSet::range(BATCH, 1, 20));
    assert_eq!((page.foreign_done, page.foreign_failed, page.repeats), (1, 0, 0));
    assert_eq!(books.bench.ready(".outcomes.r1").await, 0);
    books.clear_all().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_worker_for_one_item_leaves_its_outcome_to_others() {
    let books = Books::with_items(1).await;
    ended(books.worker(&["--once"], ODD_IS_DONE)).await.ok();
    assert!(books.written().await.is_empty());
    assert_eq!(books.closed().await.done, ItemSet::range(BATCH, 1, 1));
    books.clear_all().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_worker_that_is_killed_while_it_keeps_the_ledger_loses_nothing() {
    let books = Books::with_items(400).await;
    let script = "cat >/dev/null; sleep 0.02; echo done";
    // The broker gives the outcomes to whoever subscribed first.
    let mut keeper = books.worker(&["--concurrency", "2"], script);
    for _ in 0..3 {
        keeper.wait_for_output("done");
    }
    let other = books.worker(&["--concurrency", "2"], script);
    for _ in 0..50 {
        keeper.wait_for_output("done");
    }
    keeper.kill();
    ended(other).await.ok();
    let page = books.closed().await;
    assert_eq!(page.done, ItemSet::range(BATCH, 1, 400));
    books.clear_all().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn without_its_queue_for_outcomes_the_work_goes_on() {
    let books = Books::with_items(20).await;
    let mut worker = books.worker(&[], "cat >/dev/null; sleep 0.2; echo done");
    worker.wait_for_output("done");
    books.bench.delete(".outcomes.r1").await;
    let run = ended(worker).await.ok().says("nothing will prove that items are done");
    assert_eq!(run.stdout.lines().count(), 20);
    assert_eq!(run.stderr.matches(".outcomes.r1").count(), 1, "{}", run.stderr);
    assert_eq!(books.bench.ready("").await, 0);
    books.clear_all().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn without_its_stream_of_results_the_work_goes_on() {
    let books = Books::with_items(20).await;
    let mut worker = books.worker(&[], "cat >/dev/null; sleep 0.2; echo done");
    worker.wait_for_output("done");
    books.bench.delete(".results").await;
    let run = ended(worker).await.ok().says("the stream of results is gone: no more results are recorded");
    assert_eq!(run.stdout.lines().count(), 20);
    assert_eq!(books.closed().await.done, ItemSet::range(BATCH, 1, 20));
    books.clear_all().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn quick_items_share_messages_and_each_has_its_record() {
    let books = Books::with_items(500).await;
    ended(books.worker(&["--concurrency", "8"], "true")).await.ok();
    let end = result_stream::end(&books.broker, &books.queue).await.expect("it answers").expect("records");
    let reader = ResultReader::open(&books.broker, &books.queue, ReadFrom::Oldest, end).await;
    let mut reader = reader.expect("it answers");
    let (mut ids, mut shared, mut last, mut offsets) = (Vec::new(), 0, None, Vec::new());
    while let Some(message) = reader.next().await.expect("it answers") {
        for (position, record) in message.records() {
            assert!(Some(position) > last, "{position:?}");
            last = Some(position);
            shared += u32::from(position.index > 0);
            ids.push(record.expect("a record").id);
        }
        offsets.push(message.offset());
    }
    reader.close().await;
    let middle = ReadFrom::After(offsets[offsets.len() / 2]);
    let reader = ResultReader::open(&books.broker, &books.queue, middle, end).await;
    let (mut reader, mut rest) = (reader.expect("it answers"), Vec::new());
    while let Some(message) = reader.next().await.expect("it answers") {
        rest.push(message.offset());
    }
    reader.close().await;
    assert_eq!(rest, offsets[offsets.len() / 2 + 1..]);
    assert!(shared > 0, "every record had a message of its own");
    ids.sort();
    let mut expected: Vec<String> = (1..=500).map(|number| format!("{BATCH}.{number}")).collect();
    expected.sort();
    assert_eq!(ids, expected);
    books.clear_all().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_worker_sums_up_a_long_ledger_while_it_works() {
    let books = Books::new().await;
    let mut writer = ledger::PageWriter::open(&books.broker, &books.queue, "r1").await.expect("it opens");
    write_pages(&mut writer, 1..=250, false).await;
    writer.close().await;
    until_counted(&books).await;
    books.bench.publish(Some("order 8"), b"").await;
    books.bench.publish_to(".outcomes.r1", None, &page_of(251).to_json()).await;
    let mut worker = books.worker(&[], "echo started; sleep 60");
    worker.wait_for_output("started");
    let deadline = Instant::now() + LONGEST;
    loop {
        let read = ledger::read_pages(&books.broker, &books.queue, "r1").await;
        let pages = read.expect("it answers").expect("it exists");
        if pages.messages == 1 {
            assert_holds(&pages, 251);
            break;
        }
        assert!(Instant::now() < deadline, "no sum: {} messages were read", pages.messages);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    worker.kill();
    books.clear_all().await;
}
