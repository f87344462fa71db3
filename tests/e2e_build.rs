//! `run --build` on a real cluster: the tutorial's script, a real registry, the kubelet's pull.
//!
//! Needs WORKQUEUE_TEST_KUBECONFIG, WORKQUEUE_TEST_REGISTRY (with `seed-worker:1`) and
//! WORKQUEUE_TEST_BROKER_IMAGE, docker and kubectl: see tests/cluster/README.md.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The tutorial's script, without its ten seconds of sleep.
const SCRIPT: &str = "#!/usr/bin/env python\n\n# Just prints standard out.\nimport sys\nprint(\"Processing \" + sys.stdin.readlines()[0])\n";

const FRUITS: [&str; 8] = ["apple", "banana", "cherry", "date", "fig", "grape", "lemon", "melon"];

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: see tests/cluster/README.md"))
}

/// A namespace and a directory that go with the value.
struct Bed {
    namespace: String,
    directory: PathBuf,
}

impl Bed {
    fn new(name: &str) -> Self {
        let namespace = format!("image-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(&namespace);
        std::fs::create_dir_all(&directory).expect("a temporary directory");
        let bed = Self { namespace, directory };
        bed.kubectl(&["create", "namespace", &bed.namespace]);
        bed
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        std::fs::write(&path, text).expect("writable");
        path
    }

    fn kubectl(&self, args: &[&str]) -> String {
        let mut command = Command::new("kubectl");
        command.args(args).env("KUBECONFIG", variable("WORKQUEUE_TEST_KUBECONFIG"));
        let output = command.output().expect("kubectl is there");
        assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn plugin(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-workqueue"));
        command.args(args).args(["--namespace", &self.namespace]);
        command.env("KUBECONFIG", variable("WORKQUEUE_TEST_KUBECONFIG"));
        command.output().expect("the plugin starts")
    }

    /// Runs the plugin, which has to succeed; its standard output.
    #[track_caller]
    fn succeed(&self, args: &[&str]) -> String {
        let output = self.plugin(args);
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{args:?}\n{stdout}\n{stderr}");
        stdout.into_owned()
    }

    fn up(&self, args: &[&str]) {
        let image = variable("WORKQUEUE_TEST_BROKER_IMAGE");
        let (repository, tag) = image.rsplit_once(':').expect("a tag");
        let set = format!("broker.image.repository={repository},broker.image.tag={tag}");
        self.succeed(&[&["up", "--set", &set], args].concat());
    }

    /// Builds a script on the image that has Python and amqp-tools, pushes it and runs it over
    /// the fruits.
    fn run(&self, script: &Path) -> String {
        let registry = variable("WORKQUEUE_TEST_REGISTRY");
        let image = format!("{registry}/{}:1", self.namespace);
        let base = format!("{registry}/seed-worker:1");
        let script = script.to_str().expect("text");
        let args = ["run", "--build", script, "--image", &image, "--base-image", &base, "--parallelism", "4"];
        self.succeed(&[args.as_slice(), &FRUITS].concat())
    }

    /// The items that a run's logs say were worked on, in order.
    fn processed(log: &str) -> Vec<&str> {
        let mut items: Vec<&str> = log.lines().filter_map(|line| line.split("Processing ").nth(1)).collect();
        items.sort_unstable();
        items
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let mut command = Command::new("kubectl");
        command.args(["delete", "namespace", &self.namespace, "--wait=false"]);
        command.env("KUBECONFIG", variable("WORKQUEUE_TEST_KUBECONFIG")).output().ok();
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

#[test]
#[ignore = "needs the test bed"]
fn the_tutorials_script_is_built_pushed_pulled_and_run() {
    let bed = Bed::new("run");
    let script = bed.file("worker.py", SCRIPT);
    bed.up(&["--preset", "ephemeral"]);
    let log = bed.run(&script);
    assert_eq!(Bed::processed(&log), FRUITS);

    // The kubelet got it from the registry, by its digest.
    let path = "{.items[*].status.containerStatuses[0].imageID}";
    let selector = "app.kubernetes.io/component=worker";
    let ids = bed.kubectl(&[
        "get",
        "pods",
        "-n",
        &bed.namespace,
        "-l",
        selector,
        "-o",
        &format!("jsonpath={path}"),
    ]);
    assert_eq!(ids.split_whitespace().count(), FRUITS.len());
    let pulled = format!("{}/{}@sha256:", variable("WORKQUEUE_TEST_REGISTRY"), bed.namespace);
    assert!(ids.split_whitespace().all(|id| id.contains(&pulled)), "{ids}");

    // The same tag again, with another program: no node may run the old one.
    let changed = bed.file("worker.py", &SCRIPT.replace("Processing ", "Processing the "));
    let log = bed.run(&changed);
    assert!(Bed::processed(&log).iter().all(|item| item.starts_with("the ")), "{log}");
    bed.succeed(&["down", "--yes"]);
}

#[test]
#[ignore = "needs the test bed"]
fn a_program_that_fails_fails_its_pod_and_keeps_its_item() {
    let bed = Bed::new("fail");
    let script = bed.file("worker.sh", "#!/bin/sh\ncat >/dev/null\nexit 7\n");
    bed.up(&["--preset", "ephemeral"]);
    let registry = variable("WORKQUEUE_TEST_REGISTRY");
    let (image, base) = (format!("{registry}/{}:1", bed.namespace), format!("{registry}/seed-worker:1"));
    let script = script.to_str().expect("text");
    bed.succeed(&["run", "--build", script, "--image", &image, "--base-image", &base, "--detach", "apple"]);
    let selector = "app.kubernetes.io/component=worker";
    let path = "jsonpath={.items[0].status.phase}";
    let phase = || bed.kubectl(&["get", "pods", "-n", &bed.namespace, "-l", selector, "-o", path]);
    let started = std::time::Instant::now();
    while phase() != "Failed" {
        assert!(started.elapsed().as_secs() < 120, "the pod is {}", phase());
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    bed.kubectl(&["delete", "jobs", "--all", "-n", &bed.namespace]);
    let status = bed.succeed(&["status", "-o", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["queues"][0]["ready"], 1, "{status}");
}

#[test]
#[ignore = "needs the test bed"]
fn the_tutorials_own_objects_do_as_well() {
    let bed = Bed::new("tutorial");
    let script = bed.file("worker.py", SCRIPT);
    // A tenth of a core, as the tutorial has it, lets a broker take its time.
    bed.up(&["--preset", "tutorial", "--timeout", "8m"]);
    let found = bed.kubectl(&["get", "service,replicationcontroller", "-n", &bed.namespace, "-o", "name"]);
    assert_eq!(found, "service/rabbitmq-service\nreplicationcontroller/rabbitmq-controller\n");
    assert_eq!(Bed::processed(&bed.run(&script)), FRUITS);
    let status = bed.succeed(&["status"]);
    assert!(status.contains("8/8") && status.contains("Complete"), "{status}");
    assert_eq!(Bed::processed(&bed.succeed(&["logs"])), FRUITS);
    bed.succeed(&["down", "--yes"]);
    let left =
        bed.kubectl(&["get", "service,replicationcontroller,job,secret", "-n", &bed.namespace, "-o", "name"]);
    assert!(left.lines().all(|name| name.starts_with("secret/default-token")), "{left}");
}
