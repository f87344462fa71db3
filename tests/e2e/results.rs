//! What is known of items after they were worked on: results, failed items, progress.

use std::collections::BTreeSet;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bed::{Bed, Outcome, finish, kubectl, seed_worker, spawn};
use crate::worker::run;

/// A program that fails with every item that ends in 3, and says so.
const FAILS_ON_3: &str = "read x; echo out $x; echo err $x >&2; case $x in *3) exit 7;; esac";

/// A worker on this machine, which reaches the pods of the test bed.
fn start_worker(bed: &Bed, run: &str, arguments: &[&str]) -> Child {
    let secret = |key: &str| {
        let template = format!("go-template={{{{.data.{key}|base64decode}}}}");
        bed.kubectl(&["get", "secret", "workqueue-credentials", "-o", &template]).ok().stdout
    };
    let pod = bed.get(&["pod", "workqueue-broker-0"]);
    let address = pod["status"]["podIP"].as_str().expect("the broker has an address").to_owned();
    let mut command = Command::new(worker_program());
    let url = format!("amqp://{}:{}@{address}", secret("username"), secret("password"));
    command.env("BROKER_URL", url).env("QUEUE", "job1").env("WORKQUEUE_RUN", run);
    spawn(command, arguments)
}

fn work(bed: &Bed, run: &str, program: &str) -> Outcome {
    let arguments = ["--drain", "--concurrency", "4", "--retries", "1", "--backoff", "10ms"];
    finish(start_worker(bed, run, &[&arguments[..], &["--", "sh", "-c", program]].concat()), b"")
}

/// `kubectl workqueue failed …`: the flags belong to its own subcommands.
pub fn failed(bed: &Bed, command: &str, more: &[&str]) -> Outcome {
    let full = [&["workqueue", "failed", command, "--namespace", &bed.namespace], more].concat();
    finish(spawn(kubectl(), &full), b"")
}

fn enqueue(bed: &Bed, items: std::ops::RangeInclusive<u32>) {
    let lines: String = items.map(|item| format!("{item}\n")).collect();
    bed.workqueue_with_input(&["enqueue", "-f", "-"], lines.as_bytes()).ok();
}

pub fn ids(document: &Value) -> BTreeSet<String> {
    let items = document["items"].as_array().or(document["records"].as_array()).expect("a list").iter();
    items.map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn every_item_has_a_result_that_stays() {
    let bed = Bed::with_release("results");
    bed.workqueue(&["results"]).ok().says("there are no such results");
    enqueue(&bed, 1..=40);
    work(&bed, "one", FAILS_ON_3).ok();

    let all = bed.workqueue(&["results", "-o", "json"]).ok().json();
    assert_eq!((&all["done"], &all["failed"], &all["truncated"]), (&36.into(), &4.into(), &false.into()));
    assert_eq!(ids(&all).len(), 40);
    let table = bed.workqueue(&["results", "--status", "failed", "-o", "wide"]).ok().says("4 results");
    assert_eq!(table.stdout.lines().count(), 5, "{}", table.stdout);
    assert!(table.stdout.lines().skip(1).all(|line| line.contains("err ")), "{}", table.stdout);
    let id = ids(&all).into_iter().next().expect("there are 40");
    let lines = bed.workqueue(&["results", "--item", &id, "--run", "one", "-o", "jsonl"]).ok();
    assert_eq!(lines.json()["id"], id.as_str());
    bed.workqueue(&["results", "--run", "other"]).ok().says("there are no such results");

    let directory = std::env::temp_dir().join(&bed.namespace);
    let log = directory.join("log");
    std::fs::create_dir_all(&directory).expect("a temporary directory");
    let (log_path, results_path) = (log.to_str().expect("text"), directory.to_str().expect("text"));
    let files = bed.workqueue(&["results", "--joblog", log_path, "--results", results_path]).ok();
    assert_eq!(files.stdout, "");
    let text = std::fs::read_to_string(&log).expect("the log");
    assert_eq!(text.lines().count(), 41, "{text}");
    assert_eq!(text.lines().filter(|line| line.split('\t').nth(6) == Some("7")).count(), 4, "{text}");
    let stdout = std::fs::read_to_string(directory.join(&id).join("stdout")).expect("its output");
    assert!(stdout.starts_with("out "), "{stdout}");
    std::fs::remove_dir_all(&directory).expect("our own directory");

    // Settled again in the same run: the last record counts.
    failed(&bed, "retry", &["--all"]).ok().says("4 items are back in the queue");
    work(&bed, "one", "cat").ok();
    let again = bed.workqueue(&["results", "--run", "one", "-o", "json"]).ok();
    let again = again.says("4 earlier records of the same items are not shown").json();
    assert_eq!((&again["done"], &again["failed"], &again["superseded"]), (&40.into(), &0.into(), &4.into()));
    assert_eq!(ids(&again), ids(&all));
    bed.workqueue(&["results", "--status", "failed"]).ok().says("there are no such results");
}

/// On RabbitMQ 3.10 and on 4.0: they count deliveries differently, and limit them differently.
fn failed_items_are_never_lost(bed: &Bed) {
    bed.up(&[]).ok();
    failed(bed, "list", &[]).ok().says("there are no failed items");
    enqueue(bed, 1..=120);
    work(bed, "one", "cat >/dev/null; echo broken >&2; exit 65").ok();
    let list = || failed(bed, "list", &["-o", "json"]).ok().json();
    let all = ids(&list());
    assert_eq!(all.len(), 120);
    // More looks than the delivery limit that quorum queues have from 4.0 on.
    for look in 0..24 {
        assert_eq!(ids(&list()), all, "look {look}");
    }
    let id = all.first().expect("there are some").clone();
    let shown = failed(bed, "show", &[&id]).ok().stdout;
    for line in ["Reason:        do-not-retry", "Exit:          65", "Run:           one", "  broken"] {
        assert!(shown.contains(line), "{line:?} is not in:\n{shown}");
    }
    let number = failed(bed, "show", &[&id, "--body"]).ok().stdout;
    assert!((1..=120).contains(&number.parse::<u32>().expect("the item as it is")), "{number:?}");
    failed(bed, "show", &["nonesuch"]).exits(1).says("has the id \"nonesuch\"");

    // One goes back under its id, fails again, and the failures are counted on.
    failed(bed, "retry", &[&id, "nonesuch"]).exits(1).says("1 item is back").says("\"nonesuch\"");
    assert_eq!((bed.messages("job1"), bed.messages("job1.failed")), (1, 119));
    work(bed, "two", "exit 65").ok();
    let history = list();
    let item = history["items"].as_array().expect("a list").iter().find(|item| item["id"] == id.as_str());
    assert_eq!(item.expect("it failed again")["failures"], 2);

    // A retry that is killed at any moment leaves every item in one of the queues.
    let full = ["workqueue", "failed", "retry", "--all", "--namespace", &bed.namespace];
    let mut retry = spawn(kubectl(), &full);
    std::thread::sleep(Duration::from_millis(250));
    retry.kill().expect("our own child");
    retry.wait().expect("our own child");
    std::thread::sleep(Duration::from_secs(1));
    failed(bed, "retry", &["--all"]).ok();
    work(bed, "three", "cat").ok();
    let done = bed.workqueue(&["results", "--run", "three", "--status", "done", "-o", "json"]).ok().json();
    assert_eq!(ids(&done), all);
    failed(bed, "list", &[]).ok().says("there are no failed items");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn failed_items_are_never_lost_on_the_new_broker() {
    failed_items_are_never_lost(&Bed::new("failed"));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn failed_items_are_never_lost_on_the_old_broker() {
    failed_items_are_never_lost(&Bed::with_broker("failed-old", "WORKQUEUE_TEST_BROKER_IMAGE_OLD"));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn items_that_kill_their_workers_are_listed_too() {
    let bed = Bed::with_release("killers");
    bed.workqueue(&["enqueue", "--delivery-limit", "2", "poison"]).ok();
    for _ in 0..6 {
        // The program kills the worker that started it.
        let worker = start_worker(&bed, "one", &["--once", "--", "sh", "-c", "kill -9 $PPID; sleep 5"]);
        let started = Instant::now();
        std::thread::sleep(Duration::from_millis(500));
        finish_quietly(worker, started);
        if bed.messages("job1.failed") == 1 {
            break;
        }
    }
    let listed = failed(&bed, "list", &["-o", "json"]).ok().json();
    let item = &listed["items"][0];
    assert_eq!((item["reason"].as_str(), &item["failures"]), (Some("delivery-limit"), &1.into()), "{listed}");
    failed(&bed, "retry", &["--all"]).ok();
    work(&bed, "two", "exit 65").ok();
    let listed = failed(&bed, "list", &["-o", "json"]).ok().json();
    assert_eq!(listed["items"][0]["failures"], 2, "{listed}");
    failed(&bed, "purge", &[]).exits(1).says("--yes");
    failed(&bed, "purge", &["--yes"]).ok().says("1 failed item deleted");
    failed(&bed, "list", &[]).ok().says("there are no failed items");
}

/// Ends a worker that has not ended by itself: an empty queue keeps `--once` waiting.
fn finish_quietly(mut worker: Child, started: Instant) {
    while worker.try_wait().expect("our own child").is_none() {
        if started.elapsed() > Duration::from_secs(5) {
            worker.kill().expect("our own child");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn status_counts_the_items_of_a_run() {
    let bed = Bed::with_release("progress");
    enqueue(&bed, 1..=20);
    // Its pods take an item each and keep it.
    let hold =
        ["run", "--detach", "--amqp-consume", "-o", "json", "--image", &seed_worker(), "--", "sleep", "300"];
    let run = bed.workqueue(&hold).ok().json()["run"].as_str().expect("a name").to_owned();
    let deadline = Instant::now() + Duration::from_secs(60);
    while bed.messages("job1") > 18 {
        assert!(Instant::now() < deadline, "the pods took no items");
    }
    let mut worker = start_worker(
        &bed,
        &run,
        &["--forever", "--retries", "0", "--", "sh", "-c", &format!("{FAILS_ON_3}; sleep 1")],
    );
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
    worker.kill().expect("our own child");
    worker.wait().expect("our own child");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn items_that_take_their_pods_down_are_counted_as_failed() {
    let bed = Bed::with_release("given-up");
    bed.workqueue(&["enqueue", "--delivery-limit", "1", "poison"]).ok();
    run(&bed, &["--parallelism", "1", "--detach"], "sleep 9999").ok();
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

/// The worker's executable. It belongs to another package, so cargo does not build it for this
/// test: `cargo build -p workqueue-worker` does, into the directory of the plugin.
pub fn worker_program() -> std::path::PathBuf {
    let path =
        std::path::Path::new(env!("CARGO_BIN_EXE_kubectl-workqueue")).with_file_name("workqueue-worker");
    assert!(path.exists(), "{} is missing: run `cargo build -p workqueue-worker` first", path.display());
    path
}
