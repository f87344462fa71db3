//! Following a run: to success, to failure, away from it and back.

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use crate::bed::{Bed, finish, seed_worker, variable};

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_failing_program_fails_the_run_and_keeps_the_item() {
    let bed = Bed::with_release("failing");
    let script = "read item; echo \"cannot do $item\" >&2; exit 3";
    let program = [
        "--amqp-consume",
        "--backoff-limit",
        "1",
        "--image",
        &seed_worker(),
        "bad",
        "--",
        "/bin/sh",
        "-c",
        script,
    ];
    let failed = bed.workqueue(&[&["run"], &program[..]].concat()).exits(4);
    let failed = failed.says("BackoffLimitExceeded").says("cannot do bad").says("0 of 1 are done");
    assert!(failed.stdout.lines().any(|line| line.ends_with(" cannot do bad")), "{}", failed.stdout);
    assert_eq!(bed.messages("job1"), 1, "the item is still there");

    // A program that is mended does it.
    let mended = bed.workqueue(&["run", "--image", &seed_worker(), "-o", "json"]).ok().json();
    assert_eq!((&mended["pods"]["succeeded"], &mended["end"]), (&1.into(), &"complete".into()), "{mended}");
    assert_eq!(bed.messages("job1"), 0);
    bed.workqueue(&["run", "--image", &seed_worker()]).ok().says("there is nothing to do");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn ctrl_c_detaches_and_attach_comes_back() {
    let bed = Bed::with_release("detach");
    let slow = "read item; echo \"begin $item\"; sleep 5; echo \"end $item\"";
    let run =
        ["run", "--amqp-consume", "--image", &seed_worker(), "apple", "banana", "--", "/bin/sh", "-c", slow];
    let mut child = bed.spawn(&run);
    // Both pods have begun: now the user leaves.
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    for _ in 0..2 {
        stdout.read_line(&mut line).expect("a line");
    }
    assert!(line.contains("begin apple") && line.contains("begin banana"), "{line}");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill is there").success());
    child.stdout = Some(stdout.into_inner());
    finish(child, b"").exits(130).says("kubectl workqueue attach");

    let busy = bed.workqueue(&["run", "--image", &seed_worker(), "cherry"]);
    busy.exits(1).says("is still working on queue job1");

    let attached = bed.workqueue(&["attach"]).ok().says("is complete: 2 done");
    for fruit in ["apple", "banana"] {
        assert!(attached.stdout.contains(&format!("end {fruit}")), "{}", attached.stdout);
    }
    let again = bed.workqueue(&["logs"]).ok().stdout;
    assert_eq!(again.lines().count(), 4, "{again}");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_detached_run_is_shown_by_status() {
    let bed = Bed::with_release("status");
    let run =
        bed.workqueue(&["run", "--detach", "-o", "json", "--image", &seed_worker(), "apple"]).ok().json();
    let attached = bed.workqueue(&["attach", run["run"].as_str().expect("a name"), "-o", "json"]).ok().json();
    assert_eq!((&attached["run"], &attached["pods"]["succeeded"]), (&run["run"], &1.into()));
    let status = bed.workqueue(&["status", "-o", "json"]).ok().json();
    assert_eq!(status["runs"][0]["run"], run["run"], "{status}");
    assert_eq!(status["queues"][0], serde_json::json!({"name": "job1", "ready": 0, "consumers": 0}));
    bed.workqueue(&["logs", "nonesuch"]).exits(1).says("there is no run \"nonesuch\"");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn more_items_than_pods_allowed_is_refused_before_a_job_is_made() {
    let bed = Bed::with_release("cap");
    bed.workqueue(&["run", "--image", &seed_worker(), "--max-pods", "2", "a", "b", "c"])
        .exits(1)
        .says("holds 3 items; with one pod per item, that is more than 2 pods")
        .says("--max-pods");
    assert_eq!(bed.messages("job1"), 3);
    assert_eq!(bed.kubectl(&["get", "jobs", "-o", "name"]).ok().stdout, "");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn items_that_a_complete_job_left_behind_are_reported() {
    let bed = Bed::with_release("left");
    // Its shell succeeds without taking an item, as some tools do when their program fails.
    let image = format!("{}/busybox:latest", variable("WORKQUEUE_TEST_REGISTRY"));
    let run = bed.workqueue(&["run", "--image", &image, "apple"]);
    run.exits(6).says("is complete, but 1 item is in queue job1");
    assert_eq!(bed.messages("job1"), 1);
}
