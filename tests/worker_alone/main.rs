//! The worker's test that restarts the broker, which no other test survives.
//!
//! `tests/worker/with-broker IMAGE cargo test --test worker_alone -- --ignored` runs it.

use std::process::Command;

use workqueue_test_support::{Bench, Running, ended, variable};

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
