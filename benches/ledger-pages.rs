//! Fills the ledger of a run with pages, as its keeper would write them:
//!
//! `ledger-pages QUEUE RUN quick|slow ITEMS`, on the broker of WORKQUEUE_TEST_AMQP_URL.
//!
//! Quick items come in pages of 50,000 that follow each other. Slow ones, of 100 workers with an item of
//! one second each, come in pages of 200: what ended within two seconds, every other one of 400.

use workqueue_core::ledger::LedgerPage;
use workqueue_core::record::Status;
use workqueue_test_support::{Bench, variable};

const BATCH: &str = "k2x9bcdf";

fn main() {
    // Cargo adds a `--bench` of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [queue, run, shape, items] = arguments.as_slice() else {
        eprintln!("usage: ledger-pages QUEUE RUN quick|slow ITEMS");
        std::process::exit(2);
    };
    let items: u32 = items.parse().expect("a number of items");
    let (window, step) = match shape.as_str() {
        "quick" => (50_000, 1),
        "slow" => (400, 2),
        other => panic!("{other:?} is neither quick nor slow"),
    };
    tokio::runtime::Runtime::new().expect("threads").block_on(fill(queue, run, items, window, step));
}

/// Publishes pages of every `step`th item of a window, until each item of it is in one.
async fn fill(queue: &str, run: &str, items: u32, window: u32, step: u32) {
    let bench = Bench::attach(&variable("WORKQUEUE_TEST_AMQP_URL"), queue).await;
    let ledger = format!(".ledger.{run}");
    let (mut pages, mut bytes) = (0_u64, 0_u64);
    for start in (1..=items).step_by(window as usize) {
        for first in start..start + step {
            let mut page = LedgerPage::default();
            for number in (first..(start + window).min(items + 1)).step_by(step as usize) {
                page.settle(&format!("{BATCH}.{number}"), Status::Done, 0);
            }
            let json = page.to_json();
            bytes += json.len() as u64;
            pages += 1;
            bench.publish_to(&ledger, None, &json).await;
        }
    }
    println!("{items} items in {pages} pages of {} bytes each", bytes / pages);
}
