//! One trial: a release, items in its queue, a run over them, and time for a fault.

use std::time::{Duration, Instant};

use serde_json::Value;
use workqueue_test_support::{Bed, Outcome, Running, numbers};

use crate::balance::{Settled, balance};
use crate::full;
use crate::witness::Witness;

/// How long a program works on an item: long enough for a fault to find many at work.
const WORK: &str = "sleep 0.4";

/// A run that has not ended by then does not end.
const LONGEST: Duration = Duration::from_secs(900);

pub struct Trial {
    pub fault: &'static str,
    pub bed: Bed,
    pub witness: Witness,
    pub items: usize,
    /// The report of `enqueue`.
    pub enqueued: Value,
    /// What the end of the run must rest on.
    pub proof: &'static str,
    /// The results are not deleted on the way.
    pub keeps_results: bool,
    started: Instant,
}

impl Trial {
    /// A release without items.
    pub fn empty(fault: &'static str) -> Self {
        Self::with_values(fault, "", &[])
    }

    /// The same with more arguments of `up`. The name goes into that of the namespace.
    pub fn with_values(fault: &'static str, name: &str, more: &[&str]) -> Self {
        let bed = Bed::new(&format!("books{name}"));
        let witness = Witness::new(&bed);
        bed.up(&[&["--set-json", &Witness::values().to_string()], more].concat()).ok();
        let items = if full() { 2000 } else { 300 };
        Self {
            fault,
            bed,
            witness,
            items,
            enqueued: Value::Null,
            proof: "items",
            keeps_results: true,
            started: Instant::now(),
        }
    }

    /// A release with all items in its queue.
    pub fn new(fault: &'static str) -> Self {
        let mut trial = Self::empty(fault);
        trial.enqueue();
        trial
    }

    pub fn enqueue(&mut self) {
        let input = numbers(self.items);
        let args = ["enqueue", "-o", "json", "-f", "-"];
        self.enqueued = self.bed.workqueue_with_input(&args, input).ok().json();
    }

    /// Starts a run of four pods, each with a few items at a time.
    pub fn start(&self) -> Running {
        let concurrency = if full() { "4" } else { "2" };
        self.start_with(&["--parallelism", "4", "--concurrency", concurrency], WORK)
    }

    /// The same with other flags, and other work on an item.
    pub fn start_with(&self, flags: &[&str], work: &str) -> Running {
        let more = ["-o", "json", "--backoff", "10ms..100ms"];
        self.bed.start_script(&[&more[..], flags].concat(), &Witness::program(work))
    }

    /// Waits until a part of the items is done, as their programs tell.
    #[track_caller]
    pub fn until(&self, part: usize, of: usize) {
        self.witness.until_ended(self.items * part / of);
    }

    /// The name of the run, or of the last one.
    pub fn run_name(&self) -> String {
        let status = self.bed.workqueue(&["status", "-o", "json"]).ok().json();
        let last = status["runs"].as_array().and_then(|runs| runs.last()).expect("a run");
        last["run"].as_str().expect("a name").to_owned()
    }

    /// Deletes the broker's pod without a word to the broker, and waits until it is back.
    pub fn restart_broker(&self) {
        self.bed.kubectl(&["delete", "pod", "workqueue-broker-0", "--grace-period=0", "--force"]).ok();
        self.bed.kubectl(&["rollout", "status", "statefulset/workqueue-broker", "--timeout=120s"]).ok();
    }

    /// Waits for the run and fails the test unless the books balance.
    #[track_caller]
    pub fn balances(&self, run: Running, exit: i32) -> Settled {
        balance(self, &ended(run), exit)
    }

    pub fn seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}

/// Waits for a run, which can take longer than other commands.
#[track_caller]
pub fn ended(mut run: Running) -> Outcome {
    let deadline = Instant::now() + LONGEST;
    while !run.has_ended() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(200));
    }
    run.finish()
}
