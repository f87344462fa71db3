//! A run that is made wider, narrower, paused, resumed and halted, and what becomes of its items.

use std::time::{Duration, Instant};

use serde_json::Value;

use workqueue_test_support::{Bed, Outcome, Sandbox, seed_worker, worker_image};

/// The last run, as `status` shows it.
fn last_run(bed: &Bed) -> Value {
    let status = bed.workqueue(&["status", "-o", "json"]).ok().json();
    status["runs"].as_array().and_then(|runs| runs.last()).cloned().expect("a run")
}

/// Waits until so many pods of the last run are at work.
#[track_caller]
fn wait_for_pods(bed: &Bed, wanted: u64) {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let run = last_run(bed);
        if run["pods"]["active"] == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{wanted} pods were expected: {run}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Every number from 1 to `count` is done, as the results tell.
#[track_caller]
fn assert_all_done(bed: &Bed, count: usize) {
    let results = bed.workqueue(&["results", "-o", "json"]).ok().json();
    assert_eq!((&results["done"], &results["failed"]), (&count.into(), &0.into()), "{results}");
    assert_eq!((bed.messages("job1"), bed.messages("job1.failed")), (0, 0));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_run_is_made_wider_and_narrower_paused_and_resumed() {
    let bed = Bed::with_release("scale");
    bed.enqueue_numbers(150);
    let files = Sandbox::new();
    let script = files.file("script.sh", "#!/bin/sh\nread item; sleep 1; echo did $item\n");
    let path = script.display().to_string();
    let image = seed_worker();
    let head = ["run", "--image", &image, "--worker-image", worker_image(), "--script", &path];
    let started =
        bed.workqueue(&[&head[..], &["--parallelism", "2", "--detach", "-o", "json"]].concat()).ok();
    let run = started.json()["run"].as_str().expect("a run").to_owned();
    wait_for_pods(&bed, 2);
    let follower = bed.start(&["attach", &run]);

    let wide = bed.workqueue(&["scale", &run, "--parallelism", "4", "-o", "json"]).ok().json();
    assert_eq!(wide["jobs"].as_array().map(Vec::len), Some(2), "{wide}");
    wait_for_pods(&bed, 4);
    // Each Job has a script of its own, which goes with it.
    let names = bed.names("jobs");
    for job in names.lines().filter_map(|name| name.strip_prefix("job.batch/")) {
        let owners = bed.get(&["configmap", job])["metadata"]["ownerReferences"].clone();
        assert_eq!(owners[0]["name"], job, "{owners}");
    }

    bed.workqueue(&["pause", &run]).ok().says("is paused");
    bed.workqueue(&["pause", "job1"]).ok().says(&format!("run {run} is already paused"));
    several_active_runs_are_not_guessed(&bed, &run);
    // Not only for the Job: pods that are about to end hold items until they do.
    let live = "status.phase!=Succeeded,status.phase!=Failed";
    let pods = ["pods", "-l", "app.kubernetes.io/component=worker", "--field-selector", live];
    let deadline = Instant::now() + Duration::from_secs(90);
    while bed.get(&pods)["items"] != Value::Array(Vec::new()) {
        assert!(Instant::now() < deadline, "the pods do not end");
        std::thread::sleep(Duration::from_millis(500));
    }
    bed.workqueue(&["status"]).ok().prints("Paused");
    let waiting = bed.messages("job1");
    assert!(waiting > 0, "nothing is left to pause for");
    bed.workqueue(&["scale", &run, "--parallelism", "2"]).exits(1).says("is paused");
    std::thread::sleep(Duration::from_secs(3));
    // What an ended pod held may come back a moment after it.
    assert!(bed.messages("job1") >= waiting, "somebody takes items");

    bed.workqueue(&["resume", &run]).ok().says("continues with 4 pods");
    wait_for_pods(&bed, 4);
    let narrow = bed.workqueue(&["scale", "--parallelism", "1", "-o", "json"]).ok().json();
    assert_eq!(narrow["parallelism"], 1, "{narrow}");
    wait_for_pods(&bed, 1);
    bed.workqueue(&["scale", "--parallelism", "8"]).ok();
    let followed = follower.finish().ok().says("is complete: 150 done");
    followed_truthfully(&followed);
    assert_all_done(&bed, 150);
    bed.workqueue(&["scale", &run, "--parallelism", "2"]).exits(1).says("has ended");
}

/// What was said about a run that was scaled and paused: nothing that our own commands did is a warning.
fn followed_truthfully(followed: &Outcome) {
    assert!(!followed.stderr.contains("warning:"), "{}", followed.stderr);
    let lines: Vec<&str> = followed.stderr.lines().filter(|line| line.contains(" of 150 items ")).collect();
    for said in ["starting (", "pods running", " is paused: ", " of 150 items done; "] {
        assert!(lines.iter().any(|line| line.contains(said)), "{said:?} is not in:\n{}", followed.stderr);
    }
    let done = lines
        .iter()
        .filter_map(|line| line.split(" of 150 items done").next()?.rsplit(' ').next()?.parse().ok());
    let done: Vec<u32> = done.collect();
    assert!(done.is_sorted() && done.last() > Some(&0), "{lines:?}");
}

/// While two runs are active, a command that names none of them changes nothing.
fn several_active_runs_are_not_guessed(bed: &Bed, run: &str) {
    let image = seed_worker();
    let more = ["run", "--image", &image, "--queue", "other", "--detach", "-o", "json"];
    // It waits for a node for ever, and takes no room from the other run.
    let waiting = ["--set", "worker.resources.requests.cpu=500", "apple"];
    let other = bed.workqueue(&[&more[..], &waiting].concat()).ok().json()["run"].clone();
    let other = other.as_str().expect("a run");
    let commands: [&[&str]; 5] =
        [&["scale", "--parallelism", "1"], &["pause"], &["resume"], &["attach"], &["logs", "--follow"]];
    for command in commands {
        let outcome = bed.workqueue(command).exits(1).says("several runs are active: ");
        let outcome = outcome.says(&format!("{run} (queue job1)")).says(&format!("{other} (queue other)"));
        let rest = command[1..].join(" ");
        let line = format!("  kubectl workqueue {} {other} {rest}", command[0]);
        outcome.says(line.trim_end());
    }
    let attached = bed.workqueue(&["attach", "other", "--start-timeout", "2s"]);
    attached.exits(5).says(&format!("no pod of run {other} has started"));
    bed.workqueue(&["stop", other]).ok();
    bed.workqueue(&["delete", other, "--queue", "other", "--yes"]).ok();
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn failures_halt_a_run_and_what_is_left_can_be_run_again() {
    const ITEMS: usize = 200;
    let bed = Bed::with_release("halt");
    bed.enqueue_numbers(ITEMS);
    let flags = ["--parallelism", "2", "--concurrency", "2", "--retries", "0", "-o", "json"];
    let halting = |rule: &str, script: &str| -> Outcome {
        bed.run_script(&[&flags[..], &["--halt", rule]].concat(), script)
    };
    let program = "read n; sleep 0.2; [ $((n % 10)) != 3 ]";
    let halted = halting("soon,fail=3", program).exits(6).says("was halted (soon,fail=3)");
    let report = halted.json();
    let number = |key: &str| report["outcome"][key].as_u64().expect("a number");
    // Those that ran when the third one failed may have failed as well.
    assert!((3..=6).contains(&number("failed")), "{report}");
    let (waiting, failed) = (number("ready"), number("failed"));
    assert!(waiting > 0 && waiting < ITEMS as u64, "{report}");
    let results = bed.workqueue(&["results", "-o", "json"]).ok().json();
    assert_eq!(results["done"].as_u64(), Some(ITEMS as u64 - waiting - failed), "{results}");

    // Running programs, which would never end, are ended, and their items are not lost.
    let now = halting("now,fail=1", "read n; [ $((n % 2)) = 0 ] || exit 1; sleep 9999").exits(6);
    let (after, more) = (now.json()["outcome"]["ready"].clone(), now.json()["outcome"]["failed"].clone());
    assert_eq!(after.as_u64().zip(more.as_u64()).map(|(a, b)| a + b), Some(waiting), "{after} {more}");

    let rest = bed.run_script(&flags, "cat").exits(0).json();
    assert_eq!(rest["itemsAtStart"], after, "{rest}");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_run_is_not_over_before_the_pods_of_a_deleted_job_have_ended() {
    let bed = Bed::with_release("grace");
    let script = "read item; echo begin $item; sleep 20; echo end $item";
    let mut followed = bed.start_script(&["--parallelism", "1", "--grace", "120s", "apple"], script);
    followed.wait_for_output("begin apple");
    // The Job is gone at once. Its pod has its grace period, and its program ends in it.
    bed.kubectl(&["delete", "jobs", "--all", "--wait=false"]).ok();
    let outcome = followed.finish().exits(4).says("1 pod to end").says("somebody deleted the Job");
    outcome.prints("end apple").says("no items are left in the queue");
}
