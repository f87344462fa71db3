//! Draining workers: every item ends, whatever its program and the cluster do meanwhile.

use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bed::{Bed, FRUITS, Outcome, finish, kubectl, seed_worker, spawn, variable};

/// The image of nothing but the static worker, built from this checkout and pushed to the test bed's
/// registry.
pub fn worker_image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        // Not under the deadline of a test's command: a first build takes minutes.
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/build-worker");
        let built = Command::new(script).output().expect("it is there");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let binary = String::from_utf8(built.stdout).expect("text");
        let name = format!("{}/workqueue-worker:e2e", variable("WORKQUEUE_TEST_REGISTRY"));
        let build =
            ["workqueue", "build", "--worker-only", "--worker", binary.trim(), "--image", &name, "--push"];
        finish(spawn(kubectl(), &build), b"").ok().says("is pushed").stdout.trim().to_owned()
    })
}

/// `run` with a worker that is brought into the seed's image, and a shell script for each item.
pub fn run(bed: &Bed, flags: &[&str], script: &str) -> Outcome {
    finish(start(bed, flags, script), b"")
}

/// Starts the same, and leaves it to the test.
pub fn start(bed: &Bed, flags: &[&str], script: &str) -> Child {
    let image = seed_worker();
    let head = ["run", "--image", &image, "--worker-image", worker_image()];
    bed.spawn(&[&head, flags, &["--", "/bin/sh", "-c", script]].concat())
}

/// The names of the worker pods that run, once there are as many.
pub fn running_workers(bed: &Bed, wanted: usize) -> Vec<String> {
    let select =
        ["pods", "-l", "app.kubernetes.io/component=worker", "--field-selector", "status.phase=Running"];
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let pods = bed.get(&select);
        let names = pods["items"].as_array().into_iter().flatten();
        let names: Vec<String> =
            names.filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_owned())).collect();
        if names.len() >= wanted {
            return names;
        }
        assert!(Instant::now() < deadline, "the workers did not start: {names:?}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_few_pods_drain_the_queue() {
    let bed = Bed::with_release("fine");
    bed.workqueue(&[&["enqueue"], FRUITS.as_slice()].concat()).ok();
    let done =
        run(&bed, &["--parallelism", "2"], "read item; echo did $item").ok().says("is complete: 8 done");
    for fruit in FRUITS {
        let line = format!(" did {fruit}");
        // At least once: a repeat is allowed.
        assert!(done.stdout.lines().any(|text| text.ends_with(&line)), "{fruit} is not in:\n{}", done.stdout);
    }
    let pods = bed.get(&["pods", "-l", "app.kubernetes.io/component=worker"]);
    assert_eq!(pods["items"].as_array().map(Vec::len), Some(2), "two pods did it all");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn more_pods_than_items_and_no_items_at_all() {
    let bed = Bed::with_release("few");
    run(&bed, &["--parallelism", "8", "apple"], "cat").ok().says("is complete: 1 done");
    run(&bed, &["--parallelism", "8"], "cat").ok().says("there is nothing to do");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_script_needs_no_image_of_its_own() {
    let bed = Bed::with_release("script");
    let script = std::env::temp_dir().join(format!("{}.py", bed.namespace));
    let text = "#!/usr/bin/env python3\nimport sys\nprint('script got', sys.stdin.read(), *sys.argv[1:])\n";
    std::fs::write(&script, text).expect("writable");
    let path = script.display().to_string();
    let (image, worker) = (seed_worker(), worker_image());
    let head = ["run", "--image", &image, "--worker-image", worker, "--script", &path, "apple", "--", "x"];
    let done = bed.workqueue(&head).ok();
    assert!(done.stdout.contains("script got apple x"), "{}", done.stdout);
    bed.workqueue(&["down", "--yes"]).ok();
    let left = bed.kubectl(&["get", "configmaps", "-o", "name"]).ok().stdout;
    assert!(!left.contains("workqueue"), "{left}");
    std::fs::remove_file(&script).expect("ours");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn one_pod_an_item_with_the_worker() {
    let bed = Bed::with_release("once");
    let flags = ["--mode", "coarse", "--parallelism", "2", "--retries", "0", "apple", "bad"];
    let ended =
        run(&bed, &flags, "read item; echo saw $item; [ $item != bad ]").exits(6).says("1 done, 1 failed");
    assert!(ended.stdout.contains("saw apple") && ended.stdout.contains("saw bad"), "{}", ended.stdout);
    assert_eq!(bed.messages("job1.failed"), 1);
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn every_item_ends_although_pods_and_broker_go() {
    let bed = Bed::with_release("faults");
    let items: String = (1..=120).map(|number| format!("item-{number}\n")).collect();
    bed.workqueue_with_input(&["enqueue", "-f", "-"], items.as_bytes()).ok();
    let script = "read item; sleep 1; echo finished $item";
    let child = start(&bed, &["--parallelism", "4", "--concurrency", "4"], script);
    let pods = running_workers(&bed, 4);
    // A pod goes without a word, the broker goes and comes back.
    bed.kubectl(&["delete", "pod", &pods[0], "--grace-period=0", "--force"]).ok();
    bed.kubectl(&["delete", "pod", "workqueue-broker-0", "--wait=false"]).ok();

    let ended = finish(child, b"").ok().says("is complete: 120 done");
    let finished =
        |number: u32| ended.stdout.lines().filter(|line| line.ends_with(&format!(" item-{number}"))).count();
    // The pod that was deleted took its log along: what it had finished is not among the lines.
    let seen = (1..=120).filter(|&number| finished(number) > 0).count();
    assert!(seen >= 120 - 16, "{seen} of 120 items are in the logs");
    assert_eq!((bed.messages("job1"), bed.messages("job1.failed")), (0, 0));
    let job = bed.get(&["jobs"])["items"][0]["status"].clone();
    assert_eq!(job["succeeded"], Value::from(4), "{job}");
}
