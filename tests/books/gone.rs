//! What proves the end of a run is taken away from outside: then nobody says that all is well.

use std::collections::BTreeSet;

use serde_json::Value;
use workqueue_test_support::Outcome;

use crate::balance::append;
use crate::trial::{Trial, ended};

/// A run during which `fault` is done to the queues, once some items are done. It ends with 7.
fn gone(fault: &'static str, harm: impl FnOnce(&Trial, &str)) -> (Trial, Outcome) {
    let trial = Trial::new(fault);
    let run = trial.start();
    trial.until(1, 4);
    harm(&trial, &trial.run_name());
    let run = ended(run);
    append(&format!("{fault:<44} exit {:?}  {}\n", run.code, run.stderr.lines().last().unwrap_or("")));
    (trial, run.exits(7))
}

/// Nothing that the report calls done has not been finished by its program.
fn assert_done_is_true(trial: &Trial, report: &Value) {
    let ends = trial.witness.runs().values().filter(|item| item.ends > 0).count() as u64;
    let done = report["outcome"]["done"].as_u64().unwrap_or(0);
    assert!(done <= ends, "{done} are called done, but {ends} programs have ended: {report}");
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn items_that_somebody_purged_are_missing_by_name() {
    let purge = |trial: &Trial, _: &str| _ = trial.bed.rabbitmqctl(&["purge_queue", "job1"]);
    let (trial, run) = gone("queue purged from outside", purge);
    let report = run.json();
    assert_done_is_true(&trial, &report);
    let outcome = &report["outcome"];
    let count = |key: &str| outcome[key].as_u64().expect("a number");
    assert_eq!((&outcome["proof"], &outcome["ready"]), (&"items".into(), &0.into()), "{report}");
    assert_eq!(count("done") + count("missing"), trial.items as u64, "{report}");
    let named = outcome["missingIds"].as_array().expect("a list").iter();
    let named: BTreeSet<&str> = named.map(|id| id.as_str().expect("an id")).collect();
    let runs = trial.witness.runs();
    assert!(!named.is_empty() && named.iter().all(|id| !runs.contains_key(*id)), "{report}");
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn a_ledger_that_somebody_deleted_proves_nothing() {
    let delete = |trial: &Trial, run: &str| {
        trial.bed.rabbitmqctl(&["delete_queue", &format!("job1.ledger.{run}")]);
    };
    let (trial, run) = gone("ledger of the run deleted", delete);
    assert_eq!(run.json()["outcome"]["proof"], "none", "{run}");
    assert_done_is_true(&trial, &run.json());
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn outcomes_that_somebody_deleted_prove_nothing() {
    let delete = |trial: &Trial, run: &str| {
        trial.bed.rabbitmqctl(&["delete_queue", &format!("job1.outcomes.{run}")]);
    };
    let (trial, run) = gone("outcomes of the run deleted", delete);
    assert_eq!(run.json()["outcome"]["proof"], "none", "{run}");
    assert_done_is_true(&trial, &run.json());
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn a_book_that_somebody_deleted_proves_nothing() {
    let delete = |trial: &Trial, _: &str| _ = trial.bed.rabbitmqctl(&["delete_queue", "job1.ledger"]);
    let (trial, run) = gone("book of the queue deleted", delete);
    assert_eq!(run.json()["outcome"]["proof"], "none", "{run}");
    assert_done_is_true(&trial, &run.json());
}
