//! Whether the books balance: what the tool says of a run, held against what its programs say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use serde_json::Value;
use workqueue_test_support::{Outcome, ids};

use crate::trial::Trial;
use crate::witness::Runs;

/// The report of a run does not name its proof yet: what it says of that is not judged.
const PROOF_IS_REPORTED: bool = false;

/// What became of the items of a run whose books balance.
pub struct Settled {
    pub done: BTreeSet<String>,
    pub failed: BTreeSet<String>,
}

/// What the tool says of items, and where it says it.
struct Said {
    report: Value,
    done: BTreeSet<String>,
    failed: BTreeSet<String>,
    /// The results were deleted: only numbers are known.
    numbers_only: bool,
}

impl Said {
    fn count(&self, key: &str) -> u64 {
        self.report["outcome"][key].as_u64().unwrap_or(0)
    }

    fn settled(&self) -> u64 {
        self.count("done") + self.count("failed")
    }
}

/// Fails the test unless a run's end is true, item by item. Its line is in the table either way.
#[track_caller]
pub fn balance(trial: &Trial, run: Outcome, exit: i32) -> Settled {
    let enqueued = enqueued(trial);
    let said = said(trial, &run);
    let runs = trial.witness.runs();
    let repeats: u64 = runs.values().map(|item| item.starts.saturating_sub(1)).sum();

    let lost = lost(&enqueued, &said);
    let mut wrong = Vec::new();
    if lost > 0 {
        wrong.push(format!("{lost} items are lost"));
    }
    if run.code != Some(exit) {
        wrong.push(format!("exit code {:?}, not {exit}", run.code));
    }
    wrong.extend(unfounded(&said, &runs));
    wrong.extend(unproven(trial, &said, repeats));
    print_row(trial, &run, &said, lost, &runs, &wrong);
    assert!(wrong.is_empty(), "{}: {}\n{run}", trial.fault, wrong.join("; "));
    Settled { done: said.done, failed: said.failed }
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
    let report = serde_json::from_str(&run.stdout).unwrap_or(Value::Null);
    let results = trial.bed.workqueue(&["results", "-o", "json"]);
    let results = serde_json::from_str(&results.stdout).unwrap_or(Value::Null);
    let of = |status: &str| -> BTreeSet<String> {
        let records = results["records"].as_array().into_iter().flatten();
        let records = records.filter(|record| record["status"] == status);
        records.filter_map(|record| Some(record["id"].as_str()?.to_owned())).collect()
    };
    let mut failed = of("failed");
    failed.extend(ids(&trial.bed.workqueue(&["failed", "list", "-o", "json"]).ok().json()));
    Said { report, done: of("done"), failed, numbers_only: !trial.keeps_results }
}

/// Items that nobody calls done or failed.
fn lost(enqueued: &BTreeSet<String>, said: &Said) -> u64 {
    if said.numbers_only {
        return (enqueued.len() as u64).saturating_sub(said.settled());
    }
    enqueued.iter().filter(|id| !said.done.contains(*id) && !said.failed.contains(*id)).count() as u64
}

/// What is called done, and was not finished by its program.
fn unfounded(said: &Said, runs: &BTreeMap<String, Runs>) -> Option<String> {
    let ended = |id: &&String| runs.get(*id).is_some_and(|item| item.ends > 0);
    if said.numbers_only {
        let ended = runs.values().filter(|item| item.ends > 0).count() as u64;
        return (said.count("done") > ended)
            .then(|| format!("{} are called done, but {ended} programs ended", said.count("done")));
    }
    let without: Vec<&String> = said.done.iter().filter(|id| !ended(id)).collect();
    (!without.is_empty()).then(|| format!("called done without an end: {without:?}"))
}

/// What the report of a run must prove.
fn unproven(trial: &Trial, said: &Said, repeats: u64) -> Vec<String> {
    let outcome = &said.report["outcome"];
    let mut wrong = Vec::new();
    if PROOF_IS_REPORTED && outcome["proof"] != "items" {
        wrong.push(format!("the proof is {}", outcome["proof"]));
    }
    if said.settled() != trial.items as u64 {
        wrong.push(format!("the report accounts for {} items of {}", said.settled(), trial.items));
    }
    // An item that `enqueue` published again can be in the queue twice, as its report says.
    let admitted = said.count("repeats") + trial.enqueued["republished"].as_u64().unwrap_or(0);
    if PROOF_IS_REPORTED && repeats > admitted {
        wrong.push(format!("{repeats} repeats, but {admitted} admitted"));
    }
    wrong
}

/// Appends the line to the table that `make books` prints at its end.
fn print_row(
    trial: &Trial,
    run: &Outcome,
    said: &Said,
    lost: u64,
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
