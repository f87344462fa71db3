//! Whether the books balance: what the tool says of a run, held against what its programs say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use serde_json::Value;
use workqueue_core::ledger::ItemSet;
use workqueue_test_support::{Outcome, ids};

use crate::trial::Trial;
use crate::witness::Runs;

/// What became of the items of a run whose books balance.
pub struct Settled {
    pub done: BTreeSet<String>,
    pub failed: BTreeSet<String>,
}

/// What the tool says of a run.
struct Said {
    report: Value,
    /// As the ledger has it.
    settled: Settled,
    /// The items that are done, as the results have it; `None` if they were deleted.
    results: Option<BTreeSet<String>>,
}

impl Said {
    fn count(&self, key: &str) -> u64 {
        self.report["outcome"][key].as_u64().unwrap_or(0)
    }
}

/// Fails the test unless a run's end is true, item by item. Its line is in the table either way.
#[track_caller]
pub fn balance(trial: &Trial, run: &Outcome, exit: i32) -> Settled {
    let enqueued = enqueued(trial);
    let said = said(trial, run);
    let runs = trial.witness.runs();
    let is_settled = |id: &&String| said.settled.done.contains(*id) || said.settled.failed.contains(*id);
    let lost: Vec<&String> = enqueued.iter().filter(|id| !is_settled(id)).collect();

    let mut wrong = Vec::new();
    if !lost.is_empty() {
        wrong.push(format!("lost: {}", first(lost.iter().copied())));
    }
    if run.code != Some(exit) {
        wrong.push(format!("exit code {:?}, not {exit}", run.code));
    }
    wrong.extend(unfounded(&said, &runs));
    wrong.extend(contradictions(&said));
    wrong.extend(unproven(trial, &said, &runs));
    print_row(trial, run, &said, lost.len(), &runs, &wrong);
    assert!(wrong.is_empty(), "{}: {}\n{run}", trial.fault, wrong.join("; "));
    said.settled
}

/// The ids that `enqueue` says are in the queue: all of its input.
#[track_caller]
fn enqueued(trial: &Trial) -> BTreeSet<String> {
    let report = &trial.enqueued;
    assert_eq!(report["confirmed"], trial.items, "{report}");
    let batch = report["batch"].as_str().expect("a batch");
    (1..=trial.items).map(|number| format!("{batch}.{number}")).collect()
}

fn said(trial: &Trial, run: &Outcome) -> Said {
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or(Value::Null);
    let page = report["run"].as_str().and_then(|run| trial.bed.ledger(run)).unwrap_or_default();
    let named = |items: &ItemSet| items.iter().map(|item| item.to_string()).collect::<BTreeSet<_>>();
    let mut failed = named(&page.only_failed());
    failed.extend(ids(&trial.bed.workqueue(&["failed", "list", "-o", "json"]).ok().json()));
    let done = named(&page.done);
    failed.retain(|id| !done.contains(id));
    let settled = Settled { done, failed };
    Said { report, settled, results: trial.keeps_results.then(|| done_results(trial)) }
}

/// The items that are done, as the results have it.
fn done_results(trial: &Trial) -> BTreeSet<String> {
    ids(&trial.bed.workqueue(&["results", "--status", "done", "-o", "json"]).ok().json())
}

/// What is called done, and was not finished by its program.
fn unfounded(said: &Said, runs: &BTreeMap<String, Runs>) -> Option<String> {
    let ended = |id: &&String| runs.get(*id).is_some_and(|item| item.ends > 0);
    let without: Vec<&String> = said.settled.done.iter().filter(|id| !ended(id)).collect();
    (!without.is_empty()).then(|| format!("done without an end: {}", first(without.into_iter())))
}

/// Where the report, the ledger and the results do not say the same.
fn contradictions(said: &Said) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, items) in [("done", &said.settled.done), ("failed", &said.settled.failed)] {
        if said.count(key) != items.len() as u64 {
            wrong.push(format!("{} {key} in the report, {} in the ledger", said.count(key), items.len()));
        }
    }
    if let Some(results) = &said.results {
        let different = results.symmetric_difference(&said.settled.done);
        if results != &said.settled.done {
            wrong.push(format!("results and ledger differ: {}", first(different)));
        }
    }
    wrong
}

/// What the report of a run must prove.
fn unproven(trial: &Trial, said: &Said, runs: &BTreeMap<String, Runs>) -> Vec<String> {
    let outcome = &said.report["outcome"];
    let mut wrong = Vec::new();
    if outcome["proof"] != trial.proof {
        wrong.push(format!("the proof is {}", outcome["proof"]));
    }
    let repeats: u64 = runs.values().map(|item| item.starts.saturating_sub(1)).sum();
    // An item that `enqueue` published again can be in the queue twice, as its report says.
    let admitted = said.count("repeats") + trial.enqueued["republished"].as_u64().unwrap_or(0);
    if repeats > admitted {
        wrong.push(format!("{repeats} repeats, but {admitted} admitted"));
    }
    wrong
}

/// The first few of some ids, and how many there are.
fn first<'a>(ids: impl Iterator<Item = &'a String>) -> String {
    let ids: Vec<&str> = ids.map(String::as_str).collect();
    format!("{} items ({} …)", ids.len(), ids[..ids.len().min(5)].join(" "))
}

/// Appends the line to the table that `make books` prints at its end.
fn print_row(
    trial: &Trial,
    run: &Outcome,
    said: &Said,
    lost: usize,
    runs: &BTreeMap<String, Runs>,
    wrong: &[String],
) {
    let outcome = &said.report["outcome"];
    let error = run.stderr.lines().find(|line| line.starts_with("error: "));
    let why = if wrong.is_empty() { error.unwrap_or("").to_owned() } else { wrong.join("; ") };
    let exit = run.code.map_or("signal".to_owned(), |code| code.to_string());
    let starts: u64 = runs.values().map(|item| item.starts).sum();
    let line = format!(
        "{:<44} lost {lost:>3}  exit {exit:>3}  proof {:<8} {:>4} s  {starts:>5} starts  {:>4} repeats  {why}\n",
        trial.fault,
        outcome["proof"].as_str().unwrap_or("-"),
        trial.seconds(),
        outcome["repeats"].as_u64().map_or("-".to_owned(), |repeats| repeats.to_string()),
    );
    println!("{line}{run}");
    append(&line);
}

/// Adds to the table.
pub fn append(line: &str) {
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/books");
    let file = std::fs::File::options().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("cargo's own directory");
}
