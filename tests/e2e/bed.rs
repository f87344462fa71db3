//! The test bed as a test sees it: a namespace of its own, and kubectl with the plugin on PATH.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// No command of these tests takes longer, or it hangs.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(240);

/// The tutorial's items.
pub const FRUITS: [&str; 8] = ["apple", "banana", "cherry", "date", "fig", "grape", "lemon", "melon"];

/// A namespace on the test bed; it is deleted at the end of the test.
pub struct Bed {
    pub namespace: String,
    broker_image: String,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Fails the test unless the command succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Fails the test unless the command ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless stderr contains a text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in stderr:\n{}", self.stderr);
        self
    }

    /// stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in:\n{}", self.stdout))
    }
}

pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make e2e`"))
}

/// The image of the seed's worker: `amqp-consume -c 1` around a program that prints its item.
pub fn seed_worker() -> String {
    format!("{}/seed-worker:1", variable("WORKQUEUE_TEST_REGISTRY"))
}

/// A directory with the plugin's executable and nothing else, to be put on PATH.
fn plugin_dir() -> &'static PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = std::env::temp_dir().join(format!("workqueue-e2e-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        let plugin = dir.join("kubectl-workqueue");
        std::fs::copy(env!("CARGO_BIN_EXE_kubectl-workqueue"), plugin).expect("the executable was built");
        dir
    })
}

impl Bed {
    /// A fresh namespace, and the RabbitMQ image of a variable.
    pub fn with_broker(name: &str, image_variable: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("e2e-{name}-{}-{number}", std::process::id());
        let bed = Self { namespace, broker_image: variable(image_variable) };
        bed.kubectl(&["create", "namespace", &bed.namespace]).ok();
        bed
    }

    /// A fresh namespace, and the default RabbitMQ image.
    pub fn new(name: &str) -> Self {
        Self::with_broker(name, "WORKQUEUE_TEST_BROKER_IMAGE")
    }

    /// A namespace with a broker that takes items.
    pub fn with_release(name: &str) -> Self {
        let bed = Self::new(name);
        bed.up(&[]).ok();
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

    /// `kubectl workqueue …` in this namespace.
    pub fn workqueue(&self, args: &[&str]) -> Outcome {
        self.workqueue_with_input(args, b"")
    }

    /// The same with something on standard input.
    pub fn workqueue_with_input(&self, args: &[&str], input: &[u8]) -> Outcome {
        finish(self.spawn(args), input)
    }

    /// Starts `kubectl workqueue …` and leaves it to the test. kubectl hands its process over to
    /// the plugin, so that signals reach it.
    pub fn spawn(&self, args: &[&str]) -> Child {
        let (command, rest) = args.split_first().expect("a command");
        let mut full = vec!["workqueue", command, "--namespace", &self.namespace];
        full.extend(rest);
        spawn(kubectl(), &full)
    }

    /// `kubectl …` in this namespace.
    pub fn kubectl(&self, args: &[&str]) -> Outcome {
        let full = [&["--namespace", self.namespace.as_str()], args].concat();
        finish(spawn(kubectl(), &full), b"")
    }

    /// `kubectl … -o json`, parsed.
    pub fn get(&self, args: &[&str]) -> Value {
        self.kubectl(&[&["get"], args, &["-o", "json"]].concat()).ok().json()
    }

    /// A `rabbitmqctl` list as JSON, from inside the broker's pod.
    pub fn rabbitmqctl(&self, args: &[&str]) -> Value {
        let head = [
            "exec",
            "workqueue-broker-0",
            "-c",
            "rabbitmq",
            "--",
            "rabbitmqctl",
            "-q",
            "--formatter",
            "json",
        ];
        self.kubectl(&[&head, args].concat()).ok().json()
    }

    /// Messages in a queue that no worker holds. The counts of `rabbitmqctl` lag by seconds.
    pub fn messages(&self, queue: &str) -> u64 {
        let status = self.workqueue(&["status", "-o", "json"]).ok().json();
        let found = status["queues"].as_array().expect("a list").iter().find(|row| row["name"] == queue);
        found.unwrap_or_else(|| panic!("no queue {queue} in {status}"))["ready"].as_u64().expect("a count")
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // A test that failed keeps nothing either: its message has said what there was to see.
        finish(spawn(kubectl(), &["delete", "namespace", &self.namespace, "--wait=false"]), b"");
    }
}

/// kubectl with the plugin on PATH, at the test bed's cluster.
pub fn kubectl() -> Command {
    let mut command = Command::new("kubectl");
    let path = format!("{}:{}", plugin_dir().display(), std::env::var("PATH").unwrap_or_default());
    command.env("PATH", path).env("KUBECONFIG", variable("WORKQUEUE_TEST_KUBECONFIG"));
    command
}

/// Starts a command with all its streams piped.
pub fn spawn(mut command: Command, args: &[&str]) -> Child {
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Waits for a command; one that hangs is killed and fails the test.
#[track_caller]
pub fn finish(mut child: Child, input: &[u8]) -> Outcome {
    let mut stdin = child.stdin.take().expect("piped");
    let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let input = input.to_vec();
    // A command that does not read its input closes the pipe.
    std::thread::spawn(move || _ = stdin.write_all(&input));
    let stdout = std::thread::spawn(move || read_all(stdout));
    let stderr = std::thread::spawn(move || read_all(stderr));
    let started = Instant::now();
    let code = loop {
        match child.try_wait().expect("our own child") {
            Some(status) => break status.code(),
            None if started.elapsed() > COMMAND_TIMEOUT => {
                child.kill().expect("our own child");
                let text = stderr.join().expect("no panic");
                panic!("a command hung for {COMMAND_TIMEOUT:?}; its stderr:\n{text}");
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    Outcome { code, stdout: stdout.join().expect("no panic"), stderr: stderr.join().expect("no panic") }
}

fn read_all(mut stream: impl Read) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a pipe");
    String::from_utf8_lossy(&bytes).into_owned()
}
