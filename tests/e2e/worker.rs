//! Draining workers: every item ends, whatever its program and the cluster do meanwhile.

use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::bed::{Bed, FRUITS, finish, seed_worker, variable};

/// The image with the static worker, built from this checkout and pushed to the test bed's registry.
pub fn worker_image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let run = |program: &str, args: &[&str]| {
            let output = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output();
            let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("text").trim().to_owned()
        };
        let binary = run("scripts/build-worker", &[]);
        let context = std::env::temp_dir().join(format!("workqueue-e2e-worker-{}", std::process::id()));
        std::fs::create_dir_all(&context).expect("a temporary directory");
        std::fs::copy(binary, context.join("workqueue-worker")).expect("it was built");
        let dockerfile =
            "FROM scratch\nCOPY workqueue-worker /workqueue-worker\nENTRYPOINT [\"/workqueue-worker\"]\n";
        std::fs::write(context.join("Dockerfile"), dockerfile).expect("writable");
        let image = format!("{}/workqueue-worker:e2e", variable("WORKQUEUE_TEST_REGISTRY"));
        run("docker", &["build", "-q", "-t", &image, &context.display().to_string()]);
        run("docker", &["push", "-q", &image]);
        std::fs::remove_dir_all(&context).expect("ours");
        image
    })
}

/// `run` with a worker that is brought into the seed's image, and a shell script for each item.
pub fn run(bed: &Bed, flags: &[&str], script: &str) -> crate::bed::Outcome {
    let image = seed_worker();
    let head = ["run", "--image", &image, "--worker-image", worker_image()];
    bed.workqueue(&[&head, flags, &["--", "/bin/sh", "-c", script]].concat())
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
fn items_that_fail_for_good_are_set_aside() {
    let bed = Bed::with_release("aside");
    let items: String = (1..=100).map(|number| format!("{number}\n")).collect();
    bed.workqueue_with_input(&["enqueue", "-f", "-"], items.as_bytes()).ok();
    // One in ten attempts fails at random, and five items always do.
    let script = "read n; case $n in 7|21|42|63|99) echo never $n >&2; exit 3;; esac; \
                  [ $(od -An -N1 -tu1 /dev/urandom) -gt 25 ]";
    let flags = ["--parallelism", "2", "--concurrency", "4", "--retries", "5", "--backoff", "10ms..50ms"];
    run(&bed, &flags, script).exits(6).says("95 done, 5 failed").says("failed list");
    assert_eq!(bed.messages("job1"), 0);
    assert_eq!(bed.messages("job1.failed"), 5);
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
    let image = seed_worker();
    let script = "read item; sleep 1; echo finished $item";
    let flags = [
        "run",
        "--image",
        &image,
        "--worker-image",
        worker_image(),
        "--parallelism",
        "4",
        "--concurrency",
        "4",
    ];
    let child = bed.spawn(&[&flags[..], &["--", "/bin/sh", "-c", script]].concat());
    let workers = ["pods", "-l", "app.kubernetes.io/component=worker"];
    let running = || -> Vec<String> {
        let pods = bed.get(&[&workers[..], &["--field-selector", "status.phase=Running"]].concat());
        let names = pods["items"].as_array().into_iter().flatten();
        names.filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_owned())).collect()
    };
    let started = std::time::Instant::now();
    while running().len() < 4 {
        assert!(started.elapsed().as_secs() < 90, "the workers did not start");
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    // A pod goes without a word, a worker is killed, the broker goes and comes back.
    let pods = running();
    bed.kubectl(&["delete", "pod", &pods[0], "--grace-period=0", "--force"]).ok();
    bed.kubectl(&["exec", &pods[1], "--", "/bin/sh", "-c", "kill -9 1; kill -9 $(pidof workqueue-worker)"]);
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
