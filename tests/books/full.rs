//! What takes too long for the reduced form.

use std::time::{Duration, Instant};

use serde_json::Value;
use workqueue_test_support::{Bed, worker_image};

use crate::trial::Trial;

/// Items are given back by each of these, and the broker counts every time.
const RESTARTS: usize = 10;
const PAUSES: usize = 20;

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn ten_restarts_of_the_broker_and_twenty_pauses_dead_letter_nothing() {
    let mut trial = Trial::empty("ten broker restarts and twenty pauses");
    trial.items = 60;
    trial.enqueue();
    // Held until the end, so that it is the same items that come back each time.
    let work = "while [ ! -e /witness/go ]; do sleep 0.5; done";
    let flags = ["--parallelism", "2", "--concurrency", "4", "--grace", "1s", "--backoff-limit", "1000"];
    let run = trial.start_with(&flags, work);
    until_held(&trial, 8);
    let name = trial.run_name();
    for _ in 0..RESTARTS {
        trial.restart_broker();
        until_held(&trial, 8);
    }
    for _ in 0..PAUSES {
        trial.bed.workqueue(&["pause", &name]).ok();
        until_no_workers(&trial.bed);
        trial.bed.workqueue(&["resume", &name]).ok();
        until_held(&trial, 8);
    }
    trial.witness.shell("touch /witness/go").ok();
    let settled = trial.balances(run, 0);
    assert!(settled.failed.is_empty(), "{:?}", settled.failed);
}

/// Waits until workers hold so many items.
#[track_caller]
fn until_held(trial: &Trial, wanted: u64) {
    let deadline = Instant::now() + Duration::from_secs(180);
    let (total, mut ready) = (trial.items as u64, u64::MAX);
    while ready > total - wanted {
        assert!(Instant::now() < deadline, "{ready} of {total} items wait");
        std::thread::sleep(Duration::from_millis(500));
        let status = trial.bed.workqueue(&["status", "-o", "json"]).json();
        let queues = status["queues"].as_array().into_iter().flatten();
        let of_queue = |queue: &&Value| queue["name"] == "job1";
        ready =
            queues.into_iter().find(of_queue).and_then(|queue| queue["ready"].as_u64()).unwrap_or(u64::MAX);
    }
}

#[track_caller]
fn until_no_workers(bed: &Bed) {
    let select = ["pods", "-l", "app.kubernetes.io/component=worker", "--field-selector"];
    let live = "status.phase!=Succeeded,status.phase!=Failed";
    let deadline = Instant::now() + Duration::from_secs(180);
    while bed.get(&[&select[..], &[live]].concat())["items"] != Value::Array(Vec::new()) {
        assert!(Instant::now() < deadline, "the pods do not end");
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn a_leader_that_is_silent_for_30_seconds_is_waited_for() {
    crate::silent_leader::a_silent_leader(Some(Duration::from_secs(30)));
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn a_ledger_that_cannot_fit_is_refused_before_the_start() {
    let bed = Bed::with_release("room");
    bed.enqueue_numbers(1_000_000);
    let status: Value = serde_json::from_str(&bed.rabbitmqctl(&["status", "--formatter", "json"]).stdout)
        .expect("the status of the broker");
    let free = status["disk_free"].as_u64().expect("the broker knows its disk");
    bed.rabbitmqctl(&["set_disk_free_limit", &(free - 30_000_000).to_string()]);
    bed.workqueue(&["run", "--image", worker_image(), "--worker-in-image", "--", "true"])
        .exits(1)
        .says("error: the run's ledger may need 40 MB, and the broker has ")
        .says("hint: the items are still in the queue");
    bed.rabbitmqctl(&["set_disk_free_limit", "50000000"]);
    assert_eq!(bed.names("jobs"), "");
    assert_eq!(bed.messages("job1"), 1_000_000);
}
