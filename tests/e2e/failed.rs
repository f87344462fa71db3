//! Items that have failed: kept, listed, sent back and deleted.

use std::time::{Duration, Instant};

use workqueue_test_support::{Bed, Running, ids};

/// On RabbitMQ 3.10 and on 4.0: they count deliveries differently, and limit them differently.
fn failed_items_are_never_lost(bed: &Bed) {
    bed.up(&[]).ok();
    bed.workqueue(&["failed", "list"]).exits(1).says("there is no queue job1");
    bed.enqueue_numbers(120);
    bed.work("one", "cat >/dev/null; echo broken >&2; exit 65").ok();
    let list = || bed.workqueue(&["failed", "list", "-o", "json"]).ok().json();
    let all = ids(&list());
    assert_eq!(all.len(), 120);
    // More looks than the delivery limit that quorum queues have from 4.0 on.
    for look in 0..24 {
        assert_eq!(ids(&list()), all, "look {look}");
    }
    let id = all.first().expect("there are some").clone();
    let shown = bed.workqueue(&["failed", "show", &id]).ok().stdout;
    for line in ["Reason:        do-not-retry", "Exit:          65", "Run:           one", "  broken"] {
        assert!(shown.contains(line), "{line:?} is not in:\n{shown}");
    }
    let number = bed.workqueue(&["failed", "show", &id, "--body"]).ok().stdout;
    assert!((1..=120).contains(&number.parse::<u32>().expect("the item as it is")), "{number:?}");
    bed.workqueue(&["failed", "show", "nonesuch"]).exits(1).says("has the id \"nonesuch\"");

    // One goes back under its id, fails again, and the failures are counted on.
    bed.workqueue(&["failed", "retry", &id, "nonesuch"]).exits(1).says("1 item is back").says("\"nonesuch\"");
    assert_eq!((bed.messages("job1"), bed.messages("job1.failed")), (1, 119));
    bed.work("two", "exit 65").ok();
    let history = list();
    let item = history["items"].as_array().expect("a list").iter().find(|item| item["id"] == id.as_str());
    assert_eq!(item.expect("it failed again")["failures"], 2);

    // A retry that is killed at any moment leaves every item in one of the queues.
    let retry = bed.start(&["failed", "retry", "--all"]);
    std::thread::sleep(Duration::from_millis(250));
    retry.kill();
    std::thread::sleep(Duration::from_secs(1));
    bed.workqueue(&["failed", "retry", "--all"]).ok();
    bed.work("three", "cat").ok();
    let done = bed.workqueue(&["results", "--run", "three", "--status", "done", "-o", "json"]).ok().json();
    assert_eq!(ids(&done), all);
    bed.workqueue(&["failed", "list"]).ok().says("there are no failed items");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn failed_items_are_never_lost_on_the_new_broker() {
    failed_items_are_never_lost(&Bed::new("failed"));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn failed_items_are_never_lost_on_the_old_broker() {
    failed_items_are_never_lost(&Bed::with_old_broker("failed-old"));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn items_that_kill_their_workers_are_listed_too() {
    let bed = Bed::with_release("killers");
    bed.workqueue(&["enqueue", "--delivery-limit", "2", "poison"]).ok();
    for _ in 0..6 {
        // The program kills the worker that started it.
        let worker = bed.start_worker("one", &["--once", "--", "sh", "-c", "kill -9 $PPID; sleep 5"]);
        std::thread::sleep(Duration::from_millis(500));
        end(worker);
        if bed.messages("job1.failed") == 1 {
            break;
        }
    }
    let listed = bed.workqueue(&["failed", "list", "-o", "json"]).ok().json();
    let item = &listed["items"][0];
    assert_eq!((item["reason"].as_str(), &item["failures"]), (Some("delivery-limit"), &1.into()), "{listed}");
    bed.workqueue(&["failed", "retry", "--all"]).ok();
    bed.work("two", "exit 65").ok();
    let listed = bed.workqueue(&["failed", "list", "-o", "json"]).ok().json();
    assert_eq!(listed["items"][0]["failures"], 2, "{listed}");
    bed.workqueue(&["failed", "purge"]).exits(1).says("--yes");
    bed.workqueue(&["failed", "purge", "--yes"]).ok().says("1 failed item deleted");
    bed.workqueue(&["failed", "list"]).ok().says("there are no failed items");
}

/// Ends a worker that has not ended by itself: an empty queue keeps `--once` waiting.
fn end(mut worker: Running) {
    let deadline = Instant::now() + Duration::from_millis(4500);
    while !worker.has_ended() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
}
