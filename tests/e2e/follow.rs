//! Following a run: to success, to failure, away from it and back.

use workqueue_test_support::{Bed, kubectl, registry, seed_worker};

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
    let failed = failed.says("BackoffLimitExceeded").says("cannot do bad").says("0 done; 1 item is still");
    assert!(failed.stdout.lines().any(|line| line.ends_with(" cannot do bad")), "{}", failed.stdout);
    assert_eq!(bed.messages("job1"), 1, "the item is still there");

    // A repaired program does it.
    let repaired = bed.workqueue(&["run", "--image", &seed_worker(), "-o", "json"]).ok().json();
    assert_eq!(
        (&repaired["pods"]["succeeded"], &repaired["end"]),
        (&1.into(), &"complete".into()),
        "{repaired}"
    );
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
    let mut followed = bed.start(&run);
    // Both pods have begun: now the user leaves.
    followed.wait_for_output("begin ");
    followed.wait_for_output("begin ");
    followed.signal("-INT");
    let detached = followed.finish().exits(130);
    let line = detached.stderr.lines().find_map(|line| line.trim().strip_prefix("follow it:  kubectl "));
    let line: Vec<String> = line.expect("the next command").split(' ').map(str::to_owned).collect();

    let busy = bed.workqueue(&["run", "--image", &seed_worker(), "cherry"]);
    busy.exits(1).says("is still working on queue job1");

    // As it was printed, in a directory and a namespace of its own.
    let attached = workqueue_test_support::run(kubectl().args(&line)).ok().says("is complete: 2 done");
    attached.prints("end apple").prints("end banana");
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
    assert_eq!(bed.names("jobs"), "");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn items_that_a_complete_job_left_behind_are_reported() {
    let bed = Bed::with_release("left");
    // Its shell succeeds without taking an item, as some tools do when their program fails.
    let image = format!("{}/busybox:latest", registry());
    let run = bed.workqueue(&["run", "--image", &image, "apple"]);
    run.exits(6).says("is complete, but 1 item is in queue job1");
    assert_eq!(bed.messages("job1"), 1);
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn of_two_runs_that_start_at_once_at_most_one_goes_on() {
    let bed = Bed::with_release("race");
    let image = seed_worker();
    let args = ["run", "--image", image.as_str(), "--detach", "apple"];
    let outcomes = [bed.start(&args), bed.start(&args)].map(|run| run.finish());
    let refused = outcomes.into_iter().filter(|outcome| outcome.code != Some(0)).count();
    // Created in the same second, both give way.
    assert!((1..=2).contains(&refused), "{refused} were refused");
    let jobs = bed.names("jobs").lines().count();
    assert_eq!(jobs, 2 - refused);
    if refused == 2 {
        assert_eq!(bed.messages("job1"), 2, "no item is lost");
    }
}
