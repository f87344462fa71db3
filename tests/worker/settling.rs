//! What a broker holds after items were settled or requeued.

use std::time::Duration;

use workqueue_amqp::failed_history;
use workqueue_test_support::{Bench, ended};

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn results_and_failed_items_tell_what_happened() {
    let bench = Bench::with_items(&["good", "bad"]).await;
    let script = "echo out; echo oops >&2; [ \"$(cat)\" = good ] || exit 7";
    bench.work(&["--retries", "1"], &["sh", "-c", script]).await.ok();
    let records = bench.records(2).await;
    let [good, bad] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((&good["id"], &good["status"], &good["run"]), (&"1".into(), &"done".into(), &"r1".into()));
    assert_eq!((&bad["id"], &bad["status"], &bad["exit"]), (&"2".into(), &"failed".into(), &7.into()));
    assert_eq!((&bad["attempts"], &bad["reason"]), (&2.into(), &"exit".into()));
    assert_eq!((&bad["stdout"]["tail"], &bad["stderr"]["tail"]), (&"out\n".into(), &"oops\n".into()));
    let failed = bench.take(".failed").await.expect("the item that failed");
    assert_eq!(failed.delivery.data, b"bad");
    let properties = &failed.delivery.properties;
    assert_eq!(properties.message_id().as_ref().map(|id| id.as_str()), Some("2"));
    let noted = failed_history(properties.headers().as_ref());
    assert_eq!((noted.reason.as_str(), noted.exit, noted.attempts), ("exit", Some(7), 2));
    assert_eq!((noted.stderr.as_str(), noted.failures, noted.run.as_deref()), ("oops\n", 1, Some("r1")));
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn equal_bodies_without_ids_are_two_items() {
    let bench = Bench::new().await;
    bench.publish(None, b"same").await;
    bench.publish(None, b"same").await;
    let run = bench.work(&["--concurrency", "2"], &["sh", "-c", "echo $WORKQUEUE_ITEM_ID"]).await.ok();
    // printf same | sha256sum
    let id = "sha256-0967115f2813a354";
    assert_eq!(run.stdout, format!("{id}\t{id}\n").repeat(2));
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn sigterm_lets_items_finish_or_requeues_them() {
    let bench = Bench::with_items(&["a", "", "c"]).await;
    let worker = bench.start(&["--forever"], &["sh", "-c", "sleep 1; cat"]);
    bench.until_ready(2).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    worker.signal("-TERM");
    assert_eq!(ended(worker).await.exits(143).stdout, "a\n");
    bench.until_ready(2).await;
    bench.take("").await.expect("one of the two");
    let worker =
        bench.start(&["--forever", "--grace", "1s"], &["sh", "-c", "trap '' TERM; sleep 100; sleep 100"]);
    bench.until_ready(0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    worker.signal("-TERM");
    ended(worker).await.exits(143);
    bench.until_ready(1).await;
    // Delivered three times at most: to the first worker when it was leaving, if nobody else took
    // items, to the second, and now.
    let run = bench.work(&[], &["sh", "-c", "echo $WORKQUEUE_ATTEMPT"]).await;
    let attempt: u32 = run.stdout.trim().parse().expect("a number");
    assert!((2..=3).contains(&attempt), "requeueing was counted too often: {attempt}");
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn once_exits_as_the_program_did() {
    let bench = Bench::with_items(&["0", "3", "3", "0"]).await;
    let program = ["sh", "-c", "exit $(cat)"];
    let flags = ["--once", "--retries", "0"];
    for (flags, code) in [
        (&flags[..], 0),
        (&flags[..], 3),
        (&[&flags[..], &["--settled-is-success"]].concat(), 0),
        (&flags[..], 0),
    ] {
        bench.work(flags, &program).await.exits(code);
    }
    bench.work(&flags, &program).await.ok();
    assert_eq!((bench.ready("").await, bench.ready(".failed").await), (0, 2));
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_missing_queue_and_a_wrong_password_are_reported() {
    let mut bench = Bench::new().await;
    let queue = std::mem::replace(&mut bench.queue, "worker-test-nowhere".to_owned());
    bench.work(&[], &["true"]).await.exits(1).says("there is no queue worker-test-nowhere");
    bench.queue = queue;
    let (scheme, rest) = bench.url.split_once("://").expect("a URL");
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    let url = format!("{scheme}://nobody:wr0ng@{host}");
    let run = ended(bench.start_at(&url, &[], &["true"])).await.exits(1).says("refused the login");
    assert!(!run.stderr.contains("wr0ng"), "{}", run.stderr);
    bench.clear().await;
}
