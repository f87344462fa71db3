//! What is known of items after they were worked on: results and progress.

use std::time::{Duration, Instant};

use workqueue_test_support::{Bed, Sandbox, ids, seed_worker};

/// A program that fails with every item that ends in 3, and says so.
const FAILS_ON_3: &str = "read x; echo out $x; echo err $x >&2; case $x in *3) exit 7;; esac";

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn every_item_has_a_result_that_stays() {
    let bed = Bed::with_release("results");
    bed.enqueue_numbers(40);
    bed.workqueue(&["results"]).ok().says("job1: there are no results yet");
    for command in [&["results"][..], &["failed", "list"], &["failed", "retry", "--all"], &["status"]] {
        let typo = bed.workqueue(&[command, &["--queue", "typo"]].concat()).exits(1);
        typo.says("error: there is no queue typo; there are: job1\n")
            .says("hint: name one of them with --queue");
    }
    bed.work("one", FAILS_ON_3).ok();

    let all = bed.workqueue(&["results", "-o", "json"]).ok().json();
    assert_eq!((&all["done"], &all["failed"], &all["truncated"]), (&36.into(), &4.into(), &false.into()));
    assert_eq!(ids(&all).len(), 40);
    let table = bed.workqueue(&["results", "--status", "failed", "-o", "wide"]).ok().says("4 results");
    assert_eq!(table.stdout.lines().count(), 5, "{}", table.stdout);
    assert!(table.stdout.lines().skip(1).all(|line| line.contains("err ")), "{}", table.stdout);
    let id = ids(&all).into_iter().next().expect("there are 40");
    let lines = bed.workqueue(&["results", "--item", &id, "--run", "one", "-o", "jsonl"]).ok();
    assert_eq!(lines.json()["id"], id.as_str());
    bed.workqueue(&["results", "--run", "other"]).exits(1).says("error: there is no run \"other\"");
    bed.workqueue(&["results", "--item", "other"])
        .exits(1)
        .says("there is no result of item other of queue job1");

    let files = Sandbox::new();
    let path = |name: &str| files.path(name).display().to_string();
    let written = bed.workqueue(&["results", "--joblog", &path("log"), "--results", &path("")]).ok();
    assert_eq!(written.stdout, "");
    let text = files.read("log");
    assert_eq!(text.lines().count(), 41, "{text}");
    assert_eq!(text.lines().filter(|line| line.split('\t').nth(6) == Some("7")).count(), 4, "{text}");
    let stdout = files.read(&format!("{id}/stdout"));
    assert!(stdout.starts_with("out "), "{stdout}");

    // Settled again in the same run: the last record counts.
    bed.workqueue(&["failed", "retry", "--all"]).ok().says("4 items are back in the queue");
    bed.work("one", "cat").ok();
    let again = bed.workqueue(&["results", "--run", "one", "-o", "json"]).ok();
    let again = again.says("4 earlier records of the same items are not shown").json();
    assert_eq!((&again["done"], &again["failed"], &again["superseded"]), (&40.into(), &0.into(), &4.into()));
    assert_eq!(ids(&again), ids(&all));
    bed.workqueue(&["results", "--status", "failed"]).ok().says("there are no such results");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn status_counts_the_items_of_a_run() {
    let bed = Bed::with_release("progress");
    bed.enqueue_numbers(20);
    // Its pods take an item each and keep it.
    let hold =
        ["run", "--detach", "--amqp-consume", "-o", "json", "--image", &seed_worker(), "--", "sleep", "300"];
    let run = bed.workqueue(&hold).ok().json()["run"].as_str().expect("a name").to_owned();
    let deadline = Instant::now() + Duration::from_secs(60);
    while bed.messages("job1") > 18 {
        assert!(Instant::now() < deadline, "the pods took no items");
    }
    let program = format!("{FAILS_ON_3}; sleep 1");
    let _worker = bed.start_worker(&run, &["--forever", "--retries", "0", "--", "sh", "-c", &program]);
    let status = || bed.workqueue(&["status", "-o", "json"]).ok().json()["runs"][0]["progress"].clone();
    let midway = loop {
        assert!(Instant::now() < deadline + Duration::from_secs(60), "nothing was recorded");
        let items = status();
        if items["done"].as_u64().is_some_and(|done| done >= 5) && items["held"].as_u64().is_some() {
            break items;
        }
    };
    assert!(midway["perSecond"].as_f64().is_some_and(|rate| rate > 0.1), "{midway}");
    assert!(midway["secondsLeft"].as_u64().is_some_and(|seconds| (1..200).contains(&seconds)), "{midway}");
    let end = loop {
        let items = status();
        assert!(Instant::now() < deadline + Duration::from_secs(120), "the worker hangs: {items}");
        if items["done"].as_u64().unwrap_or(0) + items["failed"].as_u64().unwrap_or(0) == 18 {
            break items;
        }
    };
    assert_eq!((&end["ready"], &end["partial"]), (&0.into(), &false.into()), "{end}");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn items_that_take_their_pods_down_are_counted_as_failed() {
    let bed = Bed::with_release("given-up");
    bed.workqueue(&["enqueue", "--delivery-limit", "1", "poison"]).ok();
    bed.run_script(&["--parallelism", "1", "--detach"], "sleep 9999").ok();
    let worker = "app.kubernetes.io/component=worker";
    let deadline = Instant::now() + Duration::from_secs(120);
    // The broker gives the item to one pod after the other, up to its delivery limit.
    while bed.messages("job1.failed") == 0 {
        assert!(Instant::now() < deadline, "the broker does not give the item up");
        if bed.messages("job1") == 0 {
            let force = ["--grace-period=0", "--force", "--ignore-not-found"];
            bed.kubectl(&[&["delete", "pod", "-l", worker], &force[..]].concat()).ok();
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    bed.workqueue(&["attach"]).exits(6).says("0 done, 1 failed");
    let status = bed.workqueue(&["status", "-o", "json"]).ok().json();
    assert_eq!(status["runs"][0]["progress"]["atDeliveryLimit"], 1, "{status}");
}
