//! The shapes in `docs/json.md` are those of the reports.

use serde_json::Value;

use super::{local, report, status, up};
use crate::cluster::apply::Change;
use crate::cluster::job::{JobEnd, JobState};
use crate::cluster::object_ref::ObjectRef;
use crate::local::LocalReport;
use crate::notice::RunCounts;
use crate::queue::enqueue::EnqueueReport;
use crate::release::status::StatusReport;
use crate::release::up::UpReport;
use crate::run::follow::{FailedPod, RunEnd, RunReport};
use workqueue_amqp::topology::Depth;
use workqueue_core::item::Position;

/// The example under a heading of the page.
fn example(heading: &str) -> Value {
    let page = include_str!("../../docs/json.md");
    let section =
        page.split("\n## ").find(|section| section.starts_with(heading)).expect("the heading is there");
    let block = section.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    serde_json::from_str(block.expect("a block of JSON")).expect("JSON")
}

/// The names and types of all fields, in order.
fn shape(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}: {}", shape(value))).collect();
            fields.sort();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.first().map(shape).unwrap_or_default()),
        Value::String(_) => "string".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Null => "null".to_owned(),
    }
}

fn job() -> JobState {
    let end = JobEnd::Failed { reason: "BackoffLimitExceeded".to_owned(), message: "m".to_owned() };
    let created = Some("2026-01-01T00:00:00Z".to_owned());
    let mode = Some("fine".to_owned());
    let halt = Some("soon,fail=3".to_owned());
    JobState {
        end: Some(end),
        created,
        mode,
        halt,
        items: Some(8),
        completions: Some(2),
        ..JobState::default()
    }
}

#[test]
fn up_is_documented() {
    let report = UpReport {
        objects: vec![(ObjectRef::new("v1", "Service", "s"), Change::Created)],
        left_out: Vec::new(),
        ready_after: Some(std::time::Duration::from_millis(1500)),
    };
    assert_eq!(shape(&up::to_json(&"r1".parse().expect("legal"), false, &report)), shape(&example("up")));
}

#[test]
fn enqueue_is_documented() {
    let first_refused = Some((Position::Argument(3), "full".to_owned()));
    let report = EnqueueReport { first_refused, ..EnqueueReport::default() };
    let json = report::enqueue_json(&"job1".parse().expect("legal"), &report);
    assert_eq!(shape(&json), shape(&example("enqueue")));
}

#[test]
fn runs_are_documented() {
    let pod = FailedPod { pod: "p".to_owned(), reason: "r".to_owned(), last_lines: vec!["l".to_owned()] };
    let report = RunReport {
        job: job(),
        end: RunEnd::Deleted,
        failed_pods: vec![pod],
        counts: Some(RunCounts::default()),
        recorded: Some(7),
    };
    assert_eq!(shape(&report::run_json(&report)), shape(&example("run, attach")));
}

#[test]
fn local_is_documented() {
    let report = LocalReport { done: 7, failed: 1, failures: Vec::new(), interrupted: false, halted: false };
    assert_eq!(shape(&local::to_json(&report)), shape(&example("local")));
}

#[test]
fn status_is_documented() {
    let queue = ("job1".parse().expect("legal"), Depth::default());
    let report = StatusReport { broker: "b".to_owned(), queues: vec![queue], runs: Vec::new() };
    assert_eq!(shape(&status::to_json(&report)), shape(&example("status")));
}
