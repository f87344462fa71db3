//! The books of a queue on a real broker.

use std::ops::RangeInclusive;
use std::time::Duration;

use workqueue_amqp::{Broker, Endpoint, ledger, topology};
use workqueue_core::ledger::{BookEntry, ItemSet, LedgerPage};
use workqueue_core::names::QueueName;
use workqueue_core::record::Status;
use workqueue_test_support::Bench;

pub const BATCH: &str = "k2x9bcdf";

pub struct Books {
    pub bench: Bench,
    pub broker: Broker,
    pub queue: QueueName,
}

impl Books {
    /// A queue with a book, and a ledger for the run `r1`.
    pub async fn new() -> Self {
        let bench = Bench::new().await;
        let endpoint = Endpoint::parse(&bench.url, None).expect("a broker's URL");
        let broker = Broker::connect(&endpoint, "tests").await.expect("the broker is there");
        let queue: QueueName = bench.queue.parse().expect("a legal name");
        topology::ensure_book(&broker, &queue).await.expect("the broker knows streams");
        topology::ensure_ledger(&broker, &queue, "r1").await.expect("the broker knows streams");
        Self { bench, broker, queue }
    }

    async fn outcome(&self, number: u32) {
        let mut page = LedgerPage::default();
        page.settle(&format!("{BATCH}.{number}"), Status::Done, 0);
        self.bench.publish_to(".outcomes.r1", None, &page.to_json()).await;
    }

    /// The same with the results of workers.
    pub async fn clear_all(self) {
        self.bench.delete(".results").await;
        self.clear().await;
    }

    async fn clear(self) {
        let of_run = [self.queue.run_ledger("r1"), self.queue.outcomes("r1"), self.queue.outputs("r1")];
        for name in [self.queue.ledger()].into_iter().chain(of_run) {
            topology::delete(&self.broker, &name).await.expect("it can be deleted");
        }
        self.broker.close().await;
        for suffix in ["", ".failed"] {
            self.bench.delete(suffix).await;
        }
    }
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_book_is_read_up_to_this_moment() {
    let books = Books::new().await;
    assert!(
        ledger::read_marked(&books.broker, &"no-such-queue".parse().expect("legal"))
            .await
            .expect("an answer")
            .is_none()
    );
    for last in 1..=50 {
        let entry = BookEntry::Enqueued { items: ItemSet::range(BATCH, last, last), repeated: 0 };
        ledger::append(&books.broker, &books.queue, &[entry]).await.expect("it is confirmed");
        let book =
            ledger::read_marked(&books.broker, &books.queue).await.expect("it answers").expect("it exists");
        assert_eq!(book.open.len(), u64::from(last), "an entry that was confirmed is read");
    }
    let seen = ledger::look(&books.broker, &books.queue).await.expect("it answers").expect("it exists");
    assert_eq!(seen.open, ItemSet::range(BATCH, 1, 50));
    books.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn outcomes_that_no_worker_took_are_written_into_the_ledger() {
    let books = Books::new().await;
    for number in 1..=3_000 {
        books.outcome(number).await;
    }
    books.bench.publish_to(".outcomes.r1", None, b"no page").await;
    let rest = ledger::take_rest(&books.broker, &books.queue, "r1", Duration::from_secs(20), |_| {}).await;
    assert_eq!(rest.expect("it answers"), ledger::Rest::Written);
    assert_eq!(books.bench.ready(".outcomes.r1").await, 0);
    let pages = ledger::read_pages_marked(&books.broker, &books.queue, "r1").await.expect("it answers");
    let pages = pages.expect("it exists");
    assert_eq!(pages.sum.done, ItemSet::range(BATCH, 1, 3_000));
    assert!(pages.bytes < 3_000 * 40, "{} bytes", pages.bytes);
    books.bench.delete(".outcomes.r1").await;
    let rest = ledger::take_rest(&books.broker, &books.queue, "r1", Duration::from_secs(20), |_| {}).await;
    assert_eq!(rest.expect("it answers"), ledger::Rest::Gone);
    books.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn outcomes_that_a_worker_holds_are_waited_for() {
    let books = Books::new().await;
    for number in 1..=10 {
        books.outcome(number).await;
    }
    let worker = Bench::attach(&books.bench.url, &books.bench.queue).await;
    let held = worker.hold(".outcomes.r1", 10).await;
    let (said_tx, said_rx) = std::sync::mpsc::channel();
    let longest = Duration::from_secs(60);
    let waiting = move |waited| said_tx.send(waited).expect("somebody listens");
    let taking = ledger::take_rest(&books.broker, &books.queue, "r1", longest, waiting);
    let dies = async {
        tokio::time::sleep(Duration::from_secs(8)).await;
        drop(held);
        worker.disconnect().await;
    };
    let (rest, ()) = tokio::join!(taking, dies);
    assert_eq!(rest.expect("it answers"), ledger::Rest::Written);
    assert!(said_rx.try_iter().count() >= 1, "the wait was not said");
    let pages = ledger::read_pages_marked(&books.broker, &books.queue, "r1").await.expect("it answers");
    assert_eq!(pages.expect("it exists").sum.done, ItemSet::range(BATCH, 1, 10));
    books.clear().await;
}

/// A page with an item, a foreign item and a repeat.
pub fn page_of(number: u32) -> LedgerPage {
    let mut page = LedgerPage::default();
    page.settle(&format!("{BATCH}.{number}"), Status::Done, 1);
    page.settle("order 7", Status::Failed, 0);
    page
}

/// Writes pages, and sums if they are wanted.
pub async fn write_pages(writer: &mut ledger::PageWriter, numbers: RangeInclusive<u32>, sums: bool) {
    for number in numbers {
        writer.write(page_of(number)).await.expect("it is confirmed");
        if sums {
            writer.sum_up().await.expect("it is confirmed");
        }
    }
}

/// Waits for the broker to count: before that, a reading may take the ledger for a young one.
pub async fn until_counted(books: &Books) {
    let ledger = books.queue.run_ledger("r1");
    loop {
        let depth = topology::reported_depth(&books.broker, &ledger).await.expect("it answers");
        if depth.expect("it exists").ready > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub fn assert_holds(pages: &ledger::Pages, items: u32) {
    assert_eq!(pages.sum.done, ItemSet::range(BATCH, 1, items));
    assert_eq!((pages.sum.foreign_failed, pages.sum.repeats), (items.into(), items.into()));
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_long_ledger_is_read_from_its_last_sum() {
    let books = Books::new().await;
    let (broker, queue) = (&books.broker, &books.queue);
    let read =
        async || ledger::read_pages(broker, queue, "r1").await.expect("it answers").expect("it exists");
    let read_marked = async || ledger::read_pages_marked(broker, queue, "r1").await.expect("it answers");
    assert!(ledger::read_pages_marked(broker, queue, "r2").await.expect("it answers").is_none());
    assert!(read_marked().await.expect("it exists").sum.is_empty());
    let mut writer = ledger::PageWriter::open(broker, queue, "r1").await.expect("it opens");
    write_pages(&mut writer, 1..=550, true).await;
    writer.close().await;
    until_counted(&books).await;
    // Another worker takes over, and goes on where the sum of the first one ends.
    let mut writer = ledger::PageWriter::open(broker, queue, "r1").await.expect("it opens");
    write_pages(&mut writer, 551..=1_050, true).await;
    writer.close().await;
    let quick = read().await;
    assert_holds(&quick, 1_050);
    assert!(quick.messages <= 202, "{} messages were read", quick.messages);
    for _ in 0..3 {
        let marked = read_marked().await.expect("it exists");
        assert_holds(&marked, 1_050);
        assert!(marked.messages <= 205, "{} messages were read after a mark", marked.messages);
    }
    // A message that tells of no sum: those before it do.
    books.bench.publish_to(".ledger.r1", None, b"{}").await;
    let looked_back = read_marked().await.expect("it exists");
    assert_holds(&looked_back, 1_050);
    assert!(looked_back.messages <= 210, "{} messages were read", looked_back.messages);
    // A sum that is not there.
    books.bench.publish_to(".ledger.r1", None, br#"{"start":700}"#).await;
    let marked = read_marked().await.expect("it exists");
    let all = read().await;
    for pages in [&marked, &all] {
        assert_holds(pages, 1_050);
        assert!(pages.messages > 1_050, "{} messages were read", pages.messages);
    }
    // Four marks and two messages more than at first: the size is that of everything, whatever was read.
    assert!((quick.bytes..quick.bytes + 6 * 40).contains(&all.bytes), "{} of {}", quick.bytes, all.bytes);
    books.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_long_ledger_without_sums_is_read_from_its_first_page_and_then_summed_up() {
    let books = Books::new().await;
    let (broker, queue) = (&books.broker, &books.queue);
    let read =
        async || ledger::read_pages(broker, queue, "r1").await.expect("it answers").expect("it exists");
    let mut writer = ledger::PageWriter::open(broker, queue, "r1").await.expect("it opens");
    write_pages(&mut writer, 1..=1_100, false).await;
    let all = read().await;
    assert_holds(&all, 1_100);
    assert_eq!(all.messages, 1_100);
    until_counted(&books).await;
    writer.sum_up().await.expect("it is confirmed");
    write_pages(&mut writer, 1_101..=1_101, false).await;
    let quick = read().await;
    assert_holds(&quick, 1_101);
    assert_eq!(quick.messages, 2);
    books.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn whoever_takes_outcomes_writes_sums() {
    let books = Books::new().await;
    let (broker, queue) = (&books.broker, &books.queue);
    let mut writer = ledger::PageWriter::open(broker, queue, "r1").await.expect("it opens");
    write_pages(&mut writer, 1..=250, false).await;
    writer.close().await;
    until_counted(&books).await;
    // More than a page holds: the first page is followed by a sum.
    for number in 251..=1_300 {
        books.bench.publish_to(".outcomes.r1", None, &page_of(number).to_json()).await;
    }
    let rest = ledger::take_rest(broker, queue, "r1", Duration::from_secs(20), |_| {}).await;
    assert_eq!(rest.expect("it answers"), ledger::Rest::Written);
    let pages = ledger::read_pages_marked(broker, queue, "r1").await.expect("it answers").expect("it exists");
    assert_holds(&pages, 1_300);
    // The sum, and the second page.
    assert_eq!(pages.messages, 2);
    books.clear().await;
}
