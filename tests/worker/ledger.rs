//! The books of a queue on a real broker.

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
        for name in [self.queue.ledger(), self.queue.run_ledger("r1"), self.queue.outcomes("r1")] {
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
