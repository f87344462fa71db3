//! Nothing secret is on any screen: what all commands print with `-v`, and what they store outside of
//! Secrets, holds no secret value.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use workqueue_test_support::{Bed, Outcome, seed_worker, worker_image};

/// The secret values in use, and what was seen.
struct Search {
    bed: Bed,
    secrets: Vec<String>,
}

impl Search {
    fn new(bed: Bed) -> Self {
        let mut search = Self { bed, secrets: Vec::new() };
        search.collect();
        let config = search.bed.kubectl(&["config", "view", "--raw", "-o", "json"]).ok().json();
        for user in config["users"].as_array().into_iter().flatten() {
            for key in ["client-key-data", "token", "password"] {
                search.secrets.extend(user["user"][key].as_str().map(str::to_owned));
            }
        }
        assert!(search.secrets.iter().all(|secret| secret.len() >= 16), "short ones are found anywhere");
        search
    }

    /// Notes the values of all Secrets with logins that there are now.
    fn collect(&mut self) {
        const KEYS: [&str; 5] = ["password", "url", "erlang-cookie", "token-key", "token"];
        let secrets = self.bed.get(&["secrets"]);
        for secret in secrets["items"].as_array().expect("a list") {
            for value in KEYS.into_iter().filter_map(|key| secret["data"][key].as_str()) {
                let value = STANDARD.decode(value).expect("base64");
                self.secrets.push(String::from_utf8(value).expect("text"));
            }
        }
        // The last part of a token alone is worth as much as all of it.
        let signed = |secret: &String| Some(secret.split('@').next()?.rsplit_once('.')?.1.to_owned());
        let signatures = self.secrets.iter().filter(|secret| secret.contains("://token:")).filter_map(signed);
        self.secrets.extend(signatures.collect::<Vec<_>>());
    }

    /// Fails the test if a text shows a secret, as it is or in base64.
    #[track_caller]
    fn look(&self, what: &str, text: &str) {
        for secret in &self.secrets {
            let encoded = STANDARD.encode(secret);
            assert!(!text.contains(secret.as_str()), "{what} shows a secret");
            assert!(!text.contains(&encoded), "{what} shows a secret in base64");
        }
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Outcome {
        let outcome = self.bed.workqueue(&[args, &["-v"]].concat());
        self.look(&args.join(" "), &shown(&outcome));
        outcome
    }

    /// What the command lines of all processes on this machine show.
    fn look_at_processes(&self) {
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
            self.look("a command line", &String::from_utf8_lossy(&command));
        }
    }
}

fn shown(outcome: &Outcome) -> String {
    format!("{}{}", outcome.stdout, outcome.stderr)
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn no_command_shows_or_stores_a_secret() {
    let bed = Bed::new("secrets");
    let first = bed.up(&["-v"]).ok();
    let mut search = Search::new(bed);
    search.look("up", &shown(&first));

    let image = seed_worker();
    let run = ["run", "--image", &image, "--worker-image", worker_image(), "--retries", "0"];
    let program = ["--", "sh", "-c", "echo out; echo err >&2; read item; [ $item != bad ]"];
    search.run(&[&run[..], &["good", "bad"], &program].concat()).exits(6);
    search.collect();
    assert!(
        search.secrets.iter().any(|secret| secret.contains("://token:")),
        "workers have a login of their own"
    );
    search.look_at_processes();
    let report = search.run(&["status", "-o", "json"]).ok().json();
    let name = report["runs"][0]["run"].as_str().expect("the run").to_owned();
    search.run(&["enqueue", "one", "two"]).ok();
    for command in [
        &["status"][..],
        &["queues"],
        &["peek"],
        &["dump"],
        &["results"],
        &["failed", "list"],
        &["failed", "retry", "--all"],
        &["diff"],
        &["render"],
        &["purge", "--yes"],
    ] {
        search.run(command);
    }
    search.run(&["attach", &name]);
    search.run(&["logs", &name]).ok();

    // Errors quote what they were given.
    let wrong = "externalBroker.url=amqp://user:this-is-a-wrong-password@127.0.0.1:1/%2f";
    for command in [&["up", "--set", wrong][..], &["enqueue", "x"], &["status"]] {
        let outcome = search.bed.workqueue(&[command, &["--release", "other", "-v"]].concat());
        assert!(!shown(&outcome).contains("this-is-a-wrong-password"), "{outcome}");
    }

    let kinds = "pods,jobs,configmaps,statefulsets,services,endpoints,events,persistentvolumeclaims";
    search.look("an object", &search.bed.get(&[kinds]).to_string());
    for pod in search.bed.names("pods").lines() {
        search.look(pod, &search.bed.kubectl(&["logs", "--all-containers", pod]).stdout);
    }
    search.run(&["delete", "--yes", &name]);
    search.run(&["down", "--yes"]).ok();
}
