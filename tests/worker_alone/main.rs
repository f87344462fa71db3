//! The worker's tests that restart the broker, which no other test survives.
//!
//! `tests/worker/with-broker IMAGE cargo test --test worker_alone -- --ignored --test-threads=1` runs them.

use std::process::Command;

use workqueue_test_support::{Bench, Running, Sandbox, ended, variable};

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_broker_that_is_restarted_is_waited_for() {
    let restart = variable("WORKQUEUE_TEST_AMQP_RESTART");
    let bench = Bench::with_items(&["a", "b", "c"]).await;
    let worker = bench.start(&[], &["sh", "-c", "sleep 5; echo ran $(cat)"]);
    bench.until_ready(2).await;
    ended(Running::start(Command::new("sh").args(["-c", &restart]))).await.ok();
    let run = ended(worker).await.ok();
    assert_eq!(run.stdout, "ran a\nran b\nran c\n", "{}", run.stderr);
    let bench = Bench::attach(&bench.url, &bench.queue).await;
    assert_eq!(bench.ready("").await, 0);
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn restarts_of_the_broker_are_no_deaths() {
    let restart = variable("WORKQUEUE_TEST_AMQP_RESTART");
    let bench = Bench::with_items(&["a", "b"]).await;
    // One death would be enough. What has been returned once is marked at each start.
    let flags = ["--forever", "--max-deaths", "1", "--grace", "0s"];
    let mut first = bench.start(&flags, &["sh", "-c", "echo started; sleep 1000"]);
    let first = tokio::task::spawn_blocking(move || {
        first.wait_for_output("started");
        first.signal("-TERM");
        first
    });
    ended(first.await.expect("it starts")).await.exits(143);
    bench.until_ready(2).await;
    let files = Sandbox::new();
    let go_on = files.path("go-on");
    let script = format!("while ! [ -e {} ]; do sleep 0.2; done", go_on.display());
    let workers: Vec<Running> =
        (0..2).map(|_| bench.start(&["--max-deaths", "1"], &["sh", "-c", &script])).collect();
    bench.until_ready(0).await;
    for _ in 0..10 {
        ended(Running::start(Command::new("sh").args(["-c", &restart]))).await.ok();
    }
    std::fs::write(&go_on, "").expect("writable");
    for worker in workers {
        ended(worker).await.ok();
    }
    let bench = Bench::attach(&bench.url, &bench.queue).await;
    assert_eq!((bench.ready("").await, bench.ready(".failed").await), (0, 0));
    let records = bench.records(2).await;
    assert!(records.len() >= 2 && records.iter().all(|record| record["status"] == "done"), "{records:?}");
    bench.clear().await;
}
