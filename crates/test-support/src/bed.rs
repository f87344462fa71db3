//! The test bed as a test sees it: a namespace of its own, and kubectl with the plugin on PATH.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::workers::plugin_with_worker;
use crate::{Outcome, Running, plugin, root, run};

/// The tutorial's items.
pub const FRUITS: [&str; 8] = ["apple", "banana", "cherry", "date", "fig", "grape", "lemon", "melon"];

/// A namespace on the test bed; it is deleted at the end of the test.
pub struct Bed {
    pub namespace: String,
    /// Another way to the API server for the plugin than that of the tests.
    pub kubeconfig: Option<PathBuf>,
    broker_image: String,
    /// PATH of the plugin.
    path: OsString,
}

impl Bed {
    /// A fresh namespace, and the RabbitMQ image of a variable.
    pub fn with_broker(name: &str, image_variable: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("e2e-{name}-{}-{number}", std::process::id());
        let bed = Self { namespace, kubeconfig: None, broker_image: variable(image_variable), path: path() };
        bed.kubectl(&["create", "namespace", &bed.namespace]).ok();
        bed
    }

    /// A fresh namespace, and the default RabbitMQ image.
    pub fn new(name: &str) -> Self {
        Self::with_broker(name, "WORKQUEUE_TEST_BROKER_IMAGE")
    }

    /// A fresh namespace, and the oldest RabbitMQ that is supported.
    pub fn with_old_broker(name: &str) -> Self {
        Self::with_broker(name, "WORKQUEUE_TEST_BROKER_IMAGE_OLD")
    }

    /// A namespace with a broker that takes items.
    pub fn with_release(name: &str) -> Self {
        let bed = Self::new(name);
        bed.up(&[]).ok();
        bed
    }

    /// The same, and a plugin with the static worker beside it. Nothing else is on its PATH: no container
    /// engine, for one.
    pub fn with_worker(name: &str) -> Self {
        let mut bed = Self::new(name);
        bed.path = plugin_with_worker().into();
        bed.up(&[]).ok();
        bed
    }

    /// A namespace without a release, and a plugin with the static worker beside it, before the user's PATH.
    pub fn with_brought_worker(name: &str) -> Self {
        let mut bed = Self::new(name);
        let path = std::env::var("PATH").unwrap_or_default();
        bed.path = format!("{}:{path}", plugin_with_worker().display()).into();
        bed
    }

    /// `kubectl workqueue up` with the test bed's image, and more arguments.
    pub fn up(&self, more: &[&str]) -> Outcome {
        self.workqueue(&[&["up", "--set", &self.image_values()], more].concat())
    }

    /// `kubectl workqueue diff`, likewise.
    pub fn diff(&self, more: &[&str]) -> Outcome {
        self.workqueue(&[&["diff", "--set", &self.image_values()], more].concat())
    }

    /// The chart's values for the test bed's image.
    pub fn image_values(&self) -> String {
        let (repository, tag) = self.broker_image.rsplit_once(':').expect("the image has a tag");
        format!("broker.image.repository={repository},broker.image.tag={tag}")
    }

    /// `kubectl workqueue …` in this namespace, to be run in any way. kubectl hands its process over
    /// to the plugin, so that signals reach it.
    pub fn command(&self, args: &[&str]) -> Command {
        // Flags belong to the last of two words of a command.
        let words = if args[0] == "failed" { 2 } else { 1 };
        let mut command = kubectl();
        command.env("PATH", &self.path);
        if let Some(path) = &self.kubeconfig {
            command.env("KUBECONFIG", path);
        }
        command.arg("workqueue").args(&args[..words]).args(["--namespace", &self.namespace]);
        command.args(&args[words..]);
        command
    }

    /// Runs `kubectl workqueue …` in this namespace.
    #[track_caller]
    pub fn workqueue(&self, args: &[&str]) -> Outcome {
        run(&mut self.command(args))
    }

    /// The same with something on standard input.
    #[track_caller]
    pub fn workqueue_with_input(&self, args: &[&str], input: impl AsRef<[u8]>) -> Outcome {
        crate::run_with_input(&mut self.command(args), input.as_ref())
    }

    /// Starts `kubectl workqueue …` and leaves it to the test.
    pub fn start(&self, args: &[&str]) -> Running {
        Running::start(&mut self.command(args))
    }

    /// `kubectl …` in this namespace.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str]) -> Outcome {
        run(kubectl().args(["--namespace", &self.namespace]).args(args))
    }

    /// `kubectl get … -o json`, parsed.
    #[track_caller]
    pub fn get(&self, args: &[&str]) -> Value {
        self.kubectl(&[&["get"], args, &["-o", "json"]].concat()).ok().json()
    }

    /// `kubectl get … -o name`.
    #[track_caller]
    pub fn names(&self, kinds: &str) -> String {
        self.kubectl(&["get", kinds, "-o", "name"]).ok().stdout
    }

    /// `rabbitmqctl` inside the broker's pod.
    #[track_caller]
    pub fn rabbitmqctl(&self, args: &[&str]) -> Outcome {
        let exec = ["exec", "workqueue-broker-0", "-c", "rabbitmq", "--", "rabbitmqctl", "-q"];
        self.kubectl(&[&exec, args].concat()).ok()
    }

    /// A list of `rabbitmqctl` as JSON.
    #[track_caller]
    pub fn rabbitmqctl_list(&self, args: &[&str]) -> Value {
        self.rabbitmqctl(&[&["--formatter", "json"], args].concat()).json()
    }

    /// Messages in a queue that no worker holds. The counts of `rabbitmqctl` lag by seconds.
    #[track_caller]
    pub fn messages(&self, queue: &str) -> u64 {
        let status = self.workqueue(&["status", "-o", "json"]).ok().json();
        let found = status["queues"].as_array().expect("a list").iter().find(|row| row["name"] == queue);
        found.unwrap_or_else(|| panic!("no queue {queue} in {status}"))["ready"].as_u64().expect("a count")
    }

    /// A value of the Secret with the administrator's login.
    pub fn credential(&self, key: &str) -> String {
        self.secret("workqueue-credentials", key)
    }

    /// A value of a Secret.
    pub fn secret(&self, name: &str, key: &str) -> String {
        let template = format!("go-template={{{{index .data {key:?}|base64decode}}}}");
        self.kubectl(&["get", "secret", name, "-o", &template]).ok().stdout
    }

    /// The URL of the user that workers share without tokens, at the broker's address.
    pub fn shared_workers_url(&self) -> String {
        self.secret("workqueue-workers", "url").replace("workqueue-broker", &self.broker_address())
    }

    /// The address of the broker's pod, which this machine reaches on the test bed.
    pub fn broker_address(&self) -> String {
        let pod = self.get(&["pod", "workqueue-broker-0"]);
        pod["status"]["podIP"].as_str().expect("the broker runs").to_owned()
    }

    /// An AMQP URL of the broker at some address.
    pub fn broker_url(&self, scheme: &str, address: &str) -> String {
        format!("{scheme}://{}:{}@{address}", self.credential("username"), self.credential("password"))
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // A test that failed keeps nothing either: its message has said what there was to see.
        run(kubectl().args(["delete", "namespace", &self.namespace, "--wait=false"]));
    }
}

#[track_caller]
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make e2e`"))
}

/// The registry of the test bed.
pub fn registry() -> String {
    variable("WORKQUEUE_TEST_REGISTRY")
}

/// The image of the tutorial's worker: `amqp-consume -c 1` around a program that prints its item.
pub fn seed_worker() -> String {
    format!("{}/seed-worker:1", registry())
}

/// Stops or starts the API server of the test bed. Tests that do run alone, in `tests/e2e_alone`.
pub fn api_server(action: &str) {
    run(Command::new(root().join("tests/cluster/apiserver")).arg(action)).ok();
}

/// kubectl with the plugin on PATH, at the test bed's cluster.
pub fn kubectl() -> Command {
    let mut command = Command::new("kubectl");
    command.env("PATH", path()).env("KUBECONFIG", variable("WORKQUEUE_TEST_KUBECONFIG"));
    command
}

/// The user's PATH, after the plugin.
fn path() -> OsString {
    format!("{}:{}", plugin_dir().display(), std::env::var("PATH").unwrap_or_default()).into()
}

/// A directory with the plugin's executable and nothing else, to be put on PATH.
fn plugin_dir() -> &'static PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = plugin().with_file_name("e2e-path");
        std::fs::create_dir_all(&dir).expect("writable");
        // Another test program may run the one that is there.
        let fresh = dir.with_file_name(format!("e2e-plugin-{}", std::process::id()));
        std::fs::copy(plugin(), &fresh).expect("writable");
        std::fs::rename(fresh, dir.join("kubectl-workqueue")).expect("ours");
        dir
    })
}
