//! `run --build`: a script becomes an image, goes to a real registry, and the kubelet pulls it.

use std::time::{Duration, Instant};

use serde_json::Value;

use workqueue_test_support::{Bed, FRUITS, Sandbox, registry, seed_worker};

/// The tutorial's script, without its ten seconds of sleep.
const SCRIPT: &str = "\
#!/usr/bin/env python

# Just prints standard out.
import sys
print(\"Processing \" + sys.stdin.readlines()[0])
";

/// Workers of a release.
const WORKERS: &str = "app.kubernetes.io/component=worker";

/// A script in a directory of its own.
struct Script(Sandbox);

impl Script {
    fn new(text: &str) -> Self {
        let script = Self(Sandbox::new());
        script.write(text);
        script
    }

    fn write(&self, text: &str) {
        self.0.file("worker", text);
    }

    /// The arguments that build it on the image that has Python and amqp-tools.
    fn build_args(&self, bed: &Bed) -> Vec<String> {
        let path = self.0.path("worker").display().to_string();
        let args = ["--build", &path, "--image", &image(bed), "--base-image", &seed_worker()];
        args.map(str::to_owned).to_vec()
    }

    /// Builds it, pushes it and runs it over the fruits; what they printed.
    fn run(&self, bed: &Bed) -> String {
        let args = self.build_args(bed);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let outcome =
            bed.workqueue(&[&["run", "--parallelism", "4"], args.as_slice(), &FRUITS].concat()).ok();
        outcome.says("is pushed").stdout
    }
}

fn image(bed: &Bed) -> String {
    format!("{}/{}:1", registry(), bed.namespace)
}

/// The items that logs say were worked on, in order.
fn processed(log: &str) -> Vec<&str> {
    let mut items: Vec<&str> = log.lines().filter_map(|line| line.split("Processing ").nth(1)).collect();
    items.sort_unstable();
    items
}

fn workers(bed: &Bed) -> Vec<Value> {
    bed.get(&["pods", "-l", WORKERS])["items"].as_array().expect("a list").clone()
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn the_tutorials_script_is_built_pushed_pulled_and_run() {
    let bed = Bed::new("build");
    bed.up(&["--preset", "ephemeral"]).ok();
    let script = Script::new(SCRIPT);
    assert_eq!(processed(&script.run(&bed)), FRUITS);

    // The kubelet got it from the registry, by its digest. Kubelets that use Docker put a scheme in
    // front, and an image of the same content may be known there under another name.
    let pulled = format!("{}/", registry());
    let pods = workers(&bed);
    assert_eq!(pods.len(), FRUITS.len());
    for pod in pods {
        let id = pod["status"]["containerStatuses"][0]["imageID"].as_str().expect("an image");
        let name = id.strip_prefix("docker-pullable://").unwrap_or(id);
        assert!(name.starts_with(&pulled) && name.contains("@sha256:"), "{id}");
    }

    // The same tag again with another program: the node must not run the one that it has.
    script.write(&SCRIPT.replace("Processing ", "Processing the "));
    let log = script.run(&bed);
    assert!(processed(&log).iter().all(|item| item.starts_with("the ")), "{log}");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn the_tutorials_own_objects_do_as_well() {
    let bed = Bed::new("preset");
    // A tenth of a core, as the tutorial has it, lets a broker take its time.
    bed.up(&["--preset", "tutorial", "--timeout", "4m"]).ok().says("job.batch/job-wq-1: left to");
    let names = bed.names("services,replicationcontrollers,jobs");
    assert_eq!(names, "service/rabbitmq-service\nreplicationcontroller/rabbitmq-controller\n");

    assert_eq!(processed(&Script::new(SCRIPT).run(&bed)), FRUITS);
    let status = bed.workqueue(&["status", "-o", "json"]).ok().json();
    assert_eq!(
        (&status["runs"][0]["pods"]["succeeded"], &status["runs"][0]["end"]),
        (&8.into(), &"complete".into())
    );
    assert_eq!(processed(&bed.workqueue(&["logs"]).ok().stdout), FRUITS);
    let unchanged = bed.up(&["--preset", "tutorial"]).ok();
    assert!(!unchanged.stdout.contains("configured"), "{}", unchanged.stdout);

    bed.workqueue(&["down", "--yes"]).ok();
    let left = bed.names("services,replicationcontrollers,jobs,secrets");
    assert!(left.lines().all(|name| name.starts_with("secret/default-token")), "{left}");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_program_that_fails_fails_its_pod_and_keeps_its_item() {
    let bed = Bed::new("build-fail");
    bed.up(&["--preset", "ephemeral"]).ok();
    let script = Script::new("#!/bin/sh\ncat >/dev/null\nexit 7\n");
    let args = script.build_args(&bed);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    bed.workqueue(&[&["run", "--detach"], args.as_slice(), &["apple"]].concat()).ok();
    let started = Instant::now();
    while !workers(&bed).iter().any(|pod| pod["status"]["phase"] == "Failed") {
        assert!(started.elapsed() < Duration::from_secs(120), "no pod has failed: {:?}", workers(&bed));
        std::thread::sleep(Duration::from_millis(500));
    }
    bed.kubectl(&["delete", "jobs", "--all"]).ok();
    assert_eq!(bed.messages("job1"), 1);
}
