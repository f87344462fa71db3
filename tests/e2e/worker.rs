//! Draining workers: every item ends, whatever its program and the cluster do meanwhile.

use workqueue_test_support::{Bed, FRUITS, Sandbox, seed_worker, worker_image};

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_few_pods_drain_the_queue() {
    let bed = Bed::with_release("fine");
    bed.workqueue(&[&["enqueue"], FRUITS.as_slice()].concat()).ok();
    // What a program prints without a newline does not share a line with the next one's.
    let done = bed.run_script(&["--parallelism", "2"], "read item; printf %s \"did $item\"");
    let done = done.ok().says("is complete: 8 done");
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
    bed.workqueue(&["enqueue", "fig", "date"]).ok();
    let run = bed.run_script(&["--parallelism", "8", "apple"], "cat").ok().says("is complete: 3 done");
    run.says("works on 3 items of queue job1: 2 were waiting, 1 is new");
    bed.run_script(&["--parallelism", "8"], "cat").ok().says("there is nothing to do");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_script_needs_no_image_of_its_own() {
    let bed = Bed::with_release("script");
    let files = Sandbox::new();
    let text = "#!/usr/bin/env python3\nimport sys\nprint('script got', sys.stdin.read(), *sys.argv[1:])\n";
    let path = files.file("script.py", text).display().to_string();
    let (image, worker) = (seed_worker(), worker_image());
    let head = ["run", "--image", &image, "--worker-image", worker, "--script", &path, "apple", "--", "x"];
    bed.workqueue(&head).ok().prints("script got apple x");
    bed.workqueue(&["down", "--yes"]).ok();
    let left = bed.names("configmaps");
    assert!(!left.contains("workqueue"), "{left}");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn one_pod_an_item_with_the_worker() {
    let bed = Bed::with_release("once");
    let flags = ["--mode", "coarse", "--parallelism", "2", "--retries", "0", "apple", "bad"];
    let ended = bed.run_script(&flags, "read item; echo saw $item; [ $item != bad ]");
    ended.exits(6).says("1 done, 1 failed").prints("saw apple").prints("saw bad");
    assert_eq!(bed.messages("job1.failed"), 1);
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn every_item_ends_although_pods_and_broker_go() {
    let bed = Bed::with_release("faults");
    bed.enqueue_numbers(120);
    let script = "read item; sleep 1; echo finished $item";
    let child = bed.start_script(&["--parallelism", "4", "--concurrency", "4"], script);
    let pods = bed.running_workers(4);
    // A pod goes without a word, the broker goes and comes back.
    bed.kubectl(&["delete", "pod", &pods[0], "--grace-period=0", "--force"]).ok();
    bed.kubectl(&["delete", "pod", "workqueue-broker-0", "--wait=false"]).ok();

    let ended = child.finish().ok().says("is complete: 120 done");
    let finished = |number: u32| {
        ended.stdout.lines().filter(|line| line.ends_with(&format!("finished {number}"))).count()
    };
    // The pod that was deleted took its log along: what it had finished is not among the lines.
    let seen = (1..=120).filter(|&number| finished(number) > 0).count();
    assert!(seen >= 120 - 16, "{seen} of 120 items are in the logs");
    assert_eq!((bed.messages("job1"), bed.messages("job1.failed")), (0, 0));
    let job = bed.get(&["jobs"])["items"][0]["status"].clone();
    assert_eq!(job["succeeded"], 4, "{job}");
}
