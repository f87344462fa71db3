//! Items that end the workers that run them, and items that come back for other reasons.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use workqueue_amqp::failed_history;
use workqueue_test_support::{Bench, Running, ended};

use super::losses::Wire;

/// Kills the worker that starts it, if the item is `poison`; another process that started it would make
/// the item fail instead.
const POISON: &str = r#"item=$(cat)
    if [ "$item" = poison ]; then
        grep -q workqueue-work /proc/$PPID/comm || exit 9
        kill -9 $PPID
        sleep 1000
    fi
    sleep 0.2"#;

fn ids(records: &[Value], status: &str) -> BTreeSet<String> {
    let records = records.iter().filter(|record| record["status"] == status);
    records.map(|record| record["id"].as_str().expect("an id").to_owned()).collect()
}

/// A worker that runs until its programs have printed `started` so often, and is asked to leave then.
async fn returns(bench: &Bench, flags: &[&str], started: usize) {
    let script = "echo started; trap '' TERM; sleep 1000 & wait";
    let mut worker = bench.start(flags, &["sh", "-c", script]);
    let worker = tokio::task::spawn_blocking(move || {
        for _ in 0..started {
            worker.wait_for_output("started");
        }
        worker.signal("-TERM");
        worker
    });
    ended(worker.await.expect("it starts")).await.exits(143);
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn an_item_that_kills_its_workers_fails_and_its_neighbours_are_done() {
    let mut items: Vec<String> = (1..=21).map(|number| format!("item {number}")).collect();
    items[2] = "poison".to_owned();
    let bench = Bench::with_items(&items).await;
    let (mut deaths, mut said) = (0, String::new());
    let last = loop {
        let run = bench.work(&["--concurrency", "4", "--retries", "0"], &["sh", "-c", POISON]).await;
        said += &run.stderr;
        if run.code.is_some() {
            break run.ok();
        }
        deaths += 1;
        assert!(deaths < 10, "it goes on and on:\n{said}");
    };
    // Nothing is known of an item that starts for the first time: that death has no mark.
    assert_eq!(deaths, 4, "\n{said}");
    last.says("item 3: 3 workers seem to have died with it; it waits 40 s")
        .says("item 3: failed: it ended its worker 3 times");
    let records = bench.records(21).await;
    let healthy: BTreeSet<String> =
        (1..=21).filter(|number| *number != 3).map(|number| number.to_string()).collect();
    assert_eq!(ids(&records, "done"), healthy);
    assert_eq!(ids(&records, "failed"), BTreeSet::from(["3".to_owned()]));
    let failed = bench.take(".failed").await.expect("the poison item");
    assert_eq!(failed.delivery.data, b"poison");
    let noted = failed_history(failed.delivery.properties.headers().as_ref());
    assert_eq!((noted.reason.as_str(), noted.attempts, noted.failures), ("deaths", 3, 1));
    assert!(noted.stderr.starts_with("workers that died with this item: "), "{}", noted.stderr);
    assert_eq!((bench.ready("").await, bench.ready(".failed").await), (0, 0));
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn twenty_returns_by_living_workers_are_no_death() {
    let bench = Bench::with_items(&["a", "b"]).await;
    // One death would be enough. Both start each time: what living workers return does not run alone.
    let flags = ["--forever", "--concurrency", "2", "--max-deaths", "1", "--grace", "0s"];
    for _ in 0..20 {
        returns(&bench, &flags, 2).await;
        bench.until_ready(2).await;
    }
    let run = bench.work(&["--max-deaths", "1"], &["cat"]).await.ok();
    assert!(run.stdout.contains('a') && run.stdout.contains('b'), "{}", run.stderr);
    assert_eq!((ids(&bench.records(2).await, "done").len(), bench.ready(".failed").await), (2, 0));
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn ten_lost_connections_of_living_workers_are_no_death() {
    let bench = Bench::with_items(&["a", "b", "c"]).await;
    // What has been returned once is marked at each start.
    returns(&bench, &["--forever", "--concurrency", "3", "--grace", "0s"], 3).await;
    bench.until_ready(3).await;
    let wire = Wire::to(&bench.url).await;
    let workers: Vec<Running> = (0..3)
        .map(|_| bench.start_at(&wire.url, &["--max-deaths", "1"], &["sh", "-c", "sleep 20; echo ran"]))
        .collect();
    bench.until_ready(0).await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        wire.cut.notify_waiters();
    }
    for worker in workers {
        ended(worker).await.ok().says("connecting again");
    }
    let done = bench.records(3).await;
    assert_eq!((ids(&done, "done").len(), ids(&done, "failed").len()), (3, 0), "{done:?}");
    assert_eq!((bench.ready("").await, bench.ready(".failed").await), (0, 0));
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_stream_of_marks_that_is_deleted_is_made_again() {
    let bench = Bench::with_items(&["poison"]).await;
    let dies = async || {
        let run = bench.work(&["--max-deaths", "1"], &["sh", "-c", POISON]).await;
        assert_eq!(run.code, None, "\n{run}");
    };
    dies().await;
    dies().await;
    bench.delete(".starts").await;
    // Its mark is lost, and so is the death.
    dies().await;
    let run = bench.work(&["--max-deaths", "1"], &["sh", "-c", POISON]).await.ok();
    run.says("it ended its worker 1 time;");
    assert_eq!(bench.ready(".failed").await, 1);
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn work_goes_on_without_a_stream_of_marks() {
    let bench = Bench::with_items(&["a", "b"]).await;
    // Another kind of queue is in its place.
    bench.delete(".starts").await;
    Bench::attach(&bench.url, &format!("{}.starts", bench.queue)).await.declare().await;
    let flags = ["--forever", "--concurrency", "2", "--grace", "0s"];
    returns(&bench, &flags, 2).await;
    let run = bench.work(&["--concurrency", "2"], &["cat"]).await.ok();
    run.says("deaths of workers are not counted (reading queue").says("x-stream-offset");
    assert_eq!((ids(&bench.records(2).await, "done").len(), bench.ready(".failed").await), (2, 0));
    bench.clear().await;
}
