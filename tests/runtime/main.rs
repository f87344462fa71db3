//! Programs that stay, with a client of AWS Lambda's Runtime API that nobody here wrote: `awslambdaric`
//! from PyPI, unmodified. What the endpoint owes other clients is in `crates/worker/src/runtime_api/tests.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use workqueue_test_support::{Outcome, Sandbox, awslambdaric, plugin, root, run_with_input};

/// `local` over items in lines, with the handler of `app.py`.
fn local(items: impl Iterator<Item = u32>, flags: &[&str]) -> Outcome {
    let mut command = Command::new(plugin());
    command.args(["local", "-f", "-", "--runtime-api"]).args(flags);
    command.args(["--", "python3", "-m", "awslambdaric", "app.handler"]);
    let path = format!("{}:{}", awslambdaric(None).display(), root().join("tests/runtime").display());
    command.env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
    let lines: String = items.map(|item| format!("{item}\n")).collect();
    run_with_input(&mut command, lines.as_bytes())
}

#[test]
fn a_thousand_items_end_as_their_handler_does() {
    let files = Sandbox::new();
    let log = files.path("log").display().to_string();
    let flags = ["-j", "2", "--retries", "0", "--item-timeout", "5s", "-o", "json", "--joblog", &log];
    let report = local(1..=1000, &flags).exits(6).json();
    assert_eq!((&report["done"], &report["failed"]), (&993.into(), &7.into()), "{report}");
    let failed: BTreeMap<u32, &Value> = report["failedRecords"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|record| (record["id"].as_str().and_then(|id| id.parse().ok()).expect("a number"), record))
        .collect();
    assert_eq!(failed.keys().copied().collect::<Vec<_>>(), [100, 250, 300, 500, 700, 750, 900]);
    for (number, record) in failed {
        let last = record["stderr"]["tail"].as_str().and_then(|tail| tail.lines().last()).unwrap_or_default();
        match number {
            250 => assert_eq!(record["reason"], "timeout", "{record}"),
            750 => {
                assert_eq!((&record["reason"], &record["signal"]), (&"signal".into(), &9.into()), "{record}")
            }
            _ => {
                assert_eq!(record["reason"], "error", "{record}");
                assert_eq!(last, format!("ValueError: bad {number}"), "{record}");
            }
        }
    }
    let log = files.read("log");
    let seen: Vec<u32> =
        log.lines().skip(1).filter_map(|line| line.split('\t').next()?.parse().ok()).collect();
    assert_eq!((seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (1000, 1000), "each item once");
}

#[test]
fn responses_are_outputs_in_the_order_of_the_items() {
    let outcome = local(1..=50, &["-j", "3", "-k", "--format", "jsonl"]).ok();
    let lines: Vec<Value> =
        outcome.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 50);
    for (number, line) in (1..).zip(&lines) {
        assert_eq!(
            (&line["item"], &line["output"]),
            (&number.to_string().into(), &number.to_string().into())
        );
    }
}

#[test]
fn one_program_works_on_several_items_at_a_time() {
    let files = Sandbox::new();
    let starts = files.path("starts");
    let mut command = Command::new(plugin());
    command.args(["local", "-f", "-", "-j", "1", "--runtime-api", "--runtime-concurrency", "4", "--newline"]);
    command.args(["--", "python3", "-m", "awslambdaric", "app.handler"]);
    let path = format!("{}:{}", awslambdaric(None).display(), root().join("tests/runtime").display());
    command.env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("STARTS", &starts).env("WORK_SECONDS", "0.1");
    let lines: String = (1..=40).map(|item| format!("{item}\n")).collect();
    let outcome = run_with_input(&mut command, lines.as_bytes()).ok().says("40 items done");
    let outputs: BTreeSet<u32> = outcome.stdout.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(outputs, (1..=40).collect());
    // The client starts a process for each item that it may have under way.
    assert_eq!(files.read("starts").lines().count(), 4);
}

#[test]
fn a_handler_that_cannot_be_loaded_is_named() {
    let mut command = Command::new(plugin());
    command.args(["local", "apple", "--backoff", "10ms..20ms", "--runtime-api"]);
    command.args(["--", "python3", "-m", "awslambdaric", "missing.handler"]);
    command.env("PYTHONPATH", awslambdaric(None));
    run_with_input(&mut command, b"").exits(1).says(
        "it ended 5 times in a row before it took an item; the last time it exited with 1: \
         Runtime.ImportModuleError: Unable to import module 'missing'",
    );
}
