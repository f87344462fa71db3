//! Seeding: nothing is lost on the way into the queue, whoever stops it. What happens when the API
//! server stops is in `tests/e2e_alone`.

use std::time::{Duration, Instant};

use workqueue_test_support::{Bed, Sandbox, numbers};

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn an_enqueue_that_was_stopped_is_resumed() {
    const ITEMS: usize = 400_000;
    let bed = Bed::with_release("resume");
    let files = Sandbox::new();
    let file = files.file("items", numbers(ITEMS)).display().to_string();
    let args = ["enqueue", "-o", "json", "-f", &file];
    bed.workqueue(&[&args[..], &["--resume"]].concat()).exits(1).says("nothing to resume");

    let stop = |more: &[&str], signal: &str| {
        let mut enqueue = bed.start(&[&args[..], more].concat());
        enqueue.wait_for("items confirmed");
        std::thread::sleep(Duration::from_millis(500));
        enqueue.signal(signal);
        enqueue.finish()
    };
    // Ctrl-C: what is confirmed is known exactly.
    let report = stop(&[], "-INT").exits(130).json();
    let confirmed = report["confirmed"].as_u64().expect("a number");
    assert!(confirmed > 0 && confirmed < ITEMS as u64, "{report}");
    assert_eq!(bed.messages("job1"), confirmed);
    // A crash: at most a window is repeated.
    assert_eq!(stop(&["--resume"], "-KILL").code, None);
    let last = bed.workqueue(&[&args[..], &["--resume"]].concat()).ok().json();
    assert!(last["skipped"].as_u64().expect("a number") >= confirmed, "{last}");
    bed.assert_numbers(ITEMS, 32 * 1024);
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_lost_queue_is_reported_and_not_made_again() {
    const ITEMS: usize = 400_000;
    let bed = Bed::with_release("lost");
    let files = Sandbox::new();
    let file = files.file("items", "item\n".repeat(ITEMS)).display().to_string();
    let args = ["enqueue", "-f", &file];
    let mut enqueue = bed.start(&args);
    enqueue.wait_for("items confirmed");
    enqueue.signal("-INT");
    enqueue.finish().exits(130);

    bed.rabbitmqctl(&["delete_queue", "job1"]);
    let resume = [&args[..], &["--resume"]].concat();
    bed.workqueue(&resume).exits(3).says("queue job1 is gone, and with it");
    let queues = bed.workqueue(&["queues"]).ok().stdout;
    assert!(!queues.lines().any(|line| line.starts_with("job1 ")), "{queues}");
    // What was settled is gone, so there is nothing to go on from.
    bed.workqueue(&resume).exits(1).says("nothing to resume");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn an_interrupt_ends_it_also_when_the_connection_breaks_then() {
    let bed = Bed::with_release("interrupt");
    let mut enqueue = bed.start_enqueue(1_000_000, 5000);
    enqueue.wait_for("items confirmed");
    bed.rabbitmqctl(&["set_disk_free_limit", "1000000GB"]);
    enqueue.wait_for("the broker accepts no messages");
    // It waits for the confirms of what is in flight, and none comes any more.
    enqueue.signal("-INT");
    bed.kubectl(&["delete", "pod", "workqueue-broker-0", "--wait=false", "--grace-period=0", "--force"]).ok();
    let interrupted = Instant::now();
    let outcome = enqueue.finish().exits(130);
    assert!(interrupted.elapsed() < Duration::from_secs(30), "{}", outcome.stderr);
    assert_eq!(outcome.json()["interrupted"], true);
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_blocked_broker_is_shown_and_goes_on_by_itself() {
    const ITEMS: usize = 100_000;
    let bed = Bed::with_release("blocked");
    let mut enqueue = bed.start_enqueue(ITEMS, 5000);
    enqueue.wait_for("items confirmed");
    bed.rabbitmqctl(&["set_disk_free_limit", "1000000GB"]);
    enqueue.wait_for("the broker accepts no messages: low on disk");
    std::thread::sleep(Duration::from_secs(10));
    bed.rabbitmqctl(&["set_disk_free_limit", "50MB"]);
    enqueue.wait_for("the broker accepts messages again");
    let outcome = enqueue.finish().ok();
    assert_eq!(outcome.json()["republished"], 0, "the connection has held");
    bed.assert_enqueued(ITEMS, &outcome.json());
}
