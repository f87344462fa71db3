//! Fills the ledger of a run with pages as its keeper would write them, and reads it as the end of a run
//! does, on the broker of WORKQUEUE_TEST_AMQP_URL:
//!
//! `ledger-pages write QUEUE RUN quick|slow|slow-without-sums ITEMS`
//! `ledger-pages read QUEUE RUN`, which prints seconds, messages and peak memory in MiB.
//!
//! Quick items come in pages of 50,000 that follow each other. Slow ones, of 100 workers with an item of
//! one second each, come in pages of 200: what ended within two seconds, every other one of 400. One item
//! in a hundred has failed.

use std::time::Instant;

use workqueue_amqp::ledger::{self, PageWriter};
use workqueue_amqp::{Broker, Endpoint};
use workqueue_core::ledger::LedgerPage;
use workqueue_core::names::QueueName;
use workqueue_core::record::Status;
use workqueue_test_support::variable;

const BATCH: &str = "k2x9bcdf";

#[tokio::main]
async fn main() {
    // Cargo adds a `--bench` of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let endpoint = Endpoint::parse(&variable("WORKQUEUE_TEST_AMQP_URL"), None).expect("a broker's URL");
    let broker = Broker::connect(&endpoint, "bench").await.expect("the broker is there");
    match arguments.as_slice() {
        ["write", queue, run, shape, items] => {
            let (window, step) = if *shape == "quick" { (50_000, 1) } else { (400, 2) };
            let items = items.parse().expect("a number of items");
            let queue = queue.parse().expect("a legal name");
            let mut writer = PageWriter::open(&broker, &queue, run).await.expect("it opens");
            fill(&mut writer, items, (window, step), *shape != "slow-without-sums").await;
        }
        ["read", queue, run] => read(&broker, &queue.parse().expect("a legal name"), run).await,
        _ => {
            panic!("usage: ledger-pages write QUEUE RUN quick|slow|slow-without-sums ITEMS | read QUEUE RUN")
        }
    }
    broker.close().await;
}

/// Writes pages of every `step`th item of a window, until each item of it is in one.
async fn fill(writer: &mut PageWriter, items: u32, (window, step): (u32, u32), sums: bool) {
    for start in (1..=items).step_by(window as usize) {
        for first in start..start + step {
            let mut page = LedgerPage::default();
            for number in (first..(start + window).min(items + 1)).step_by(step as usize) {
                let status = if number % 100 == 0 { Status::Failed } else { Status::Done };
                page.settle(&format!("{BATCH}.{number}"), status, 0);
            }
            writer.write(page).await.expect("it is confirmed");
            if sums {
                writer.sum_up().await.expect("it is confirmed");
            }
        }
    }
}

async fn read(broker: &Broker, queue: &QueueName, run: &str) {
    let start = Instant::now();
    let pages = ledger::read_pages_marked(broker, queue, run).await.expect("it answers").expect("it exists");
    let seconds = start.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux");
    let peak: f64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    println!("{seconds:.2} {} {:.1}", pages.messages, peak / 1024.0);
}
