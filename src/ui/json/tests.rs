//! The shapes in `docs/reference/json.md` are those of the reports.

use serde::Serialize;
use serde_json::Value;

use super::doctor::DoctorJson;
use super::enqueue::{EnqueueJson, InputJson};
use super::failed::{FailedItemJson, RetryJson, ShownItemJson};
use super::local::LocalJson;
use super::messages::{MessageJson, PeekJson};
use super::output::OutputJson;
use super::queues::{PurgeJson, QueuesJson};
use super::results::ResultsJson;
use super::run::{FollowedRunJson, RunJson};
use super::status::StatusJson;
use super::up::UpJson;
use super::{BodyJson, line};
use crate::cluster::apply::Change;
use crate::cluster::job::{JobEnd, JobState};
use crate::cluster::object_ref::ObjectRef;
use crate::cluster::pod_event::LogLine;
use crate::doctor::DoctorReport;
use crate::doctor::finding::{Finding, State};
use crate::failed::RetryReport;
use crate::local::LocalReport;
use crate::queue::dry_run::InputSummary;
use crate::queue::enqueue_report::EnqueueReport;
use crate::queue::peek::QueueRow;
use crate::release::manifests::ChartPlan;
use crate::release::remembered::Remember;
use crate::release::status::{LedgerStatus, RunStatus, StatusReport};
use crate::release::up::{DryRun, UpPlan, UpReport};
use crate::results::progress::RunProgress;
use crate::results::read::ResultsReport;
use crate::run::books::{Proof, Verdict};
use crate::run::follow::{RunEnd, RunReport};
use crate::run::followed_pods::FailedPod;
use crate::ui::log_view::LogLineJson;
use workqueue_amqp::peek::PeekedMessage;
use workqueue_amqp::topology::Depth;
use workqueue_core::failed_item::FailedItem;
use workqueue_core::item::{Item, Position};
use workqueue_core::names::QueueName;
use workqueue_core::output::OutputEntry;

fn log_line() -> LogLine {
    let time = "2026-01-01T00:00:00Z".parse().ok();
    LogLine { pod: "p".into(), container: "worker".into(), time, text: b"Processing apple".to_vec() }
}

/// Asserts that a report has the names and types of the example under a heading.
fn assert_documented(heading: &str, report: &impl Serialize) {
    let report = serde_json::to_value(report).expect("JSON");
    assert_eq!(shape(&report), shape(&example(heading)), "{heading}");
}

/// The first example under a heading of the page.
fn example(heading: &str) -> Value {
    let page = include_str!("../../../docs/reference/json.md");
    let section = page.split("\n## ").find(|section| section.lines().next() == Some(heading));
    let block = section.unwrap_or_else(|| panic!("there is no heading {heading}")).split("```json\n").nth(1);
    let block = block.and_then(|rest| rest.split("```").next()).expect("a block of JSON");
    serde_json::from_str(block).expect("JSON")
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

fn queue() -> QueueName {
    "job1".parse().expect("legal")
}

fn job(end: Option<JobEnd>) -> JobState {
    JobState {
        end,
        created: Some("2026-01-01T00:00:00Z".to_owned()),
        mode: Some("fine".to_owned()),
        halt: Some("soon,fail=3".to_owned()),
        items: Some(8),
        completions: Some(2),
        ..JobState::default()
    }
}

fn history() -> FailedItem {
    let known = || Some("known".to_owned());
    FailedItem {
        reason: "exit".to_owned(),
        exit: Some(7),
        signal: None,
        attempts: 3,
        first_started: "2026-01-01T00:00:00Z".to_owned(),
        ended: "2026-01-01T00:00:09Z".to_owned(),
        run: known(),
        pod: "p".to_owned(),
        node: known(),
        stderr: "no such fruit".to_owned(),
        failures: 1,
    }
}

fn failed_item(history: &FailedItem) -> FailedItemJson<'_> {
    FailedItemJson::new("1", 6, history, [("team".to_owned(), "blue".to_owned())])
}

#[test]
fn up_is_documented() {
    let report = UpReport {
        objects: vec![(ObjectRef::new("v1", "Service", "s"), Change::Created)],
        left_out: Vec::new(),
        ready_after: Some(std::time::Duration::from_millis(1500)),
    };
    let mut plan = UpPlan {
        release: "r1".parse().expect("legal"),
        chart: ChartPlan::default(),
        remember: Remember::default(),
        dry_run: DryRun::Server,
        create_namespace: false,
        force_conflicts: false,
        prune_brokers: false,
        wait: true,
        timeout: std::time::Duration::ZERO,
    };
    assert_documented("up", &UpJson::of(&plan, &report));
    plan.dry_run = DryRun::Client;
    let compared_with_nothing = UpJson::of(&plan, &report);
    assert_eq!((compared_with_nothing.changed, &compared_with_nothing.objects[0].change), (None, &None));
}

#[test]
fn doctor_is_documented() {
    let (message, hint) = ("m".to_owned(), Some("h".to_owned()));
    let findings = vec![Finding { check: "quota", state: State::Error, message, hint }];
    let report = DoctorReport { findings, interrupted: false };
    let release = "r1".parse().expect("legal");
    assert_documented("doctor", &DoctorJson::new("https://c", "n", &release, &report));
}

#[test]
fn enqueue_is_documented() {
    let first_refused = Some((Position::Argument(3), "full".to_owned()));
    let report = EnqueueReport { first_refused, ..EnqueueReport::default() };
    assert_documented("enqueue", &EnqueueJson::of(&queue(), &report));
    let item = Item { position: Position::Argument(1), body: b"apple".as_slice().into() };
    let largest = Some((Position::Argument(1), 5));
    let summary = InputSummary { first: vec![item], largest, ..InputSummary::default() };
    assert_documented("enqueue --dry-run", &InputJson::from(&summary));
}

fn verdict() -> Verdict {
    let ids = vec!["k2x9bcdf.7".to_owned()];
    Verdict {
        proof: Proof::Items,
        doubt: None,
        done: Some(5),
        failed: 1,
        failed_ids: ids.clone(),
        ready: Some(0),
        missing: 2,
        missing_ids: ids,
        purged: 0,
        repeats: Some(1),
        leftover: 0,
        cut: 1,
        cut_ids: vec!["k2x9bcdf.4".to_owned()],
    }
}

#[test]
fn runs_are_documented() {
    let end = JobEnd::Failed { reason: "BackoffLimitExceeded".to_owned(), message: "m".to_owned() };
    let pod = FailedPod { pod: "p".to_owned(), reason: "r".to_owned(), last_lines: vec!["l".to_owned()] };
    let report = RunReport {
        job: job(Some(end)),
        end: RunEnd::Deleted,
        failed_pods: vec![pod],
        verdict: Some(verdict()),
    };
    assert_documented("run, attach", &FollowedRunJson::from(&report));
    assert_documented("logs", &LogLineJson::from(&log_line()));
    assert_documented("run --detach, scale, pause, resume", &RunJson::from(&job(None)));
}

#[test]
fn outputs_are_documented() {
    let entry = OutputEntry {
        id: "b.1".to_owned(),
        status: workqueue_core::record::Status::Done,
        item: Some(b"apple".to_vec()),
        written: 1,
        output: b"x".to_vec(),
    };
    assert_documented("map --format jsonl", &OutputJson::from(&entry));
}

#[test]
fn status_is_documented() {
    let progress = RunProgress { done: 7, failed: 1, partial: false, rate: Some(0.5) };
    let run =
        RunStatus { job: job(None), progress: Some(progress), given_up: 2, left: Some(8), held: Some(2) };
    let runs = vec![run];
    let opened = jiff::Timestamp::UNIX_EPOCH;
    let ledger = LedgerStatus { queue: queue(), run: "r".to_owned(), opened, closed: false, bytes: 1 };
    let (queues, ledgers) = (vec![(queue(), Depth::default())], vec![ledger]);
    let report = StatusReport { broker: "b".to_owned(), queues, runs, ledgers };
    let report = StatusJson::from(&report);
    assert_documented("status", &report);
    assert_eq!(report.runs[0].progress.failed, Some(3), "all that failed, whoever noted it");
}

#[test]
fn queues_are_documented() {
    let row = QueueRow { name: queue(), depth: Depth::default() };
    assert_documented("queues", &QueuesJson::of(&[row], true));
    assert_documented("purge, failed purge", &PurgeJson::of(&queue(), 8));
}

#[test]
fn messages_are_documented() {
    let message = PeekedMessage {
        id: Some("1".to_owned()),
        body: b"apple".to_vec(),
        headers: vec![("team".to_owned(), "blue".to_owned())],
        redelivered: false,
    };
    assert_documented("dump", &MessageJson::from(&message));
    assert_documented("peek", &PeekJson::of(&queue(), vec![MessageJson::from(&message)]));
    let binary = PeekedMessage { body: vec![0xff], ..message };
    assert!(line(&MessageJson::from(&binary)).contains("\"bodyBase64\":\"/w==\""));
}

#[test]
fn local_is_documented() {
    let report =
        LocalReport { done: 7, failed: 1, blank: 0, failures: Vec::new(), interrupted: false, halted: false };
    assert_documented("local", &LocalJson::from(&report));
}

#[test]
fn results_are_documented() {
    let rest = ResultsJson::from(&ResultsReport::default());
    assert_documented("results", &streamed("records", None::<()>, &rest));
}

#[test]
fn failed_items_are_documented() {
    let history = history();
    assert_documented(
        "failed list",
        &streamed("items", Some(failed_item(&history)), &super::list::NoMore {}),
    );
    let shown = ShownItemJson {
        item: failed_item(&history),
        content_type: Some("text/plain".to_owned()),
        body: BodyJson::of(b"durian"),
    };
    assert_documented("failed show", &shown);
    let report = RetryReport { retried: 5, missing: ["1".to_owned()].into(), ..RetryReport::default() };
    assert_documented("failed retry", &RetryJson::of(&queue(), &report));
}

/// A document as it is streamed.
fn streamed(name: &str, element: Option<impl Serialize>, rest: &impl Serialize) -> Value {
    let mut list = super::list::StreamedList::new("job1", name);
    let start = element.map(|element| list.next(&element) + "\n").unwrap_or_default();
    serde_json::from_str(&(start + &list.end(rest))).expect("JSON")
}
