//! The report of `status`.

use std::time::Duration;

use crate::cluster::job::{JobEnd, JobState};
use crate::release::status::{LedgerStatus, RunStatus, StatusReport};
use crate::ui::reports::queues::queue_table;
use crate::ui::table::table;
use workqueue_core::words::count;

/// The broker, the queues and the runs.
pub fn tables(report: &StatusReport) -> String {
    let mut text = format!("broker: pod {} is ready", report.broker);
    if !report.queues.is_empty() {
        let queues = queue_table(report.queues.iter().map(|(name, depth)| (name, *depth)));
        text += &format!("\n\n{queues}");
    }
    if !report.runs.is_empty() {
        let runs: Vec<Vec<String>> = report.runs.iter().map(run_row).collect();
        text += &format!("\n\n{}", table(&RUN_HEADERS, &runs));
    }
    if let Some(ledgers) = ledgers(&report.ledgers) {
        text += &format!("\n\n{ledgers}");
    }
    text
}

/// What the ledgers of runs take on the broker.
fn ledgers(ledgers: &[LedgerStatus]) -> Option<String> {
    let bytes: u64 = ledgers.iter().map(|ledger| ledger.bytes).sum();
    let unclosed = ledgers.iter().filter(|ledger| !ledger.closed).count();
    let open = if unclosed > 0 { format!(", {unclosed} of them open") } else { String::new() };
    let runs = count(ledgers.len() as u64, "run");
    (!ledgers.is_empty()).then(|| format!("ledgers: {runs}{open}, {:.1} KiB", bytes as f64 / 1024.0))
}

/// Items of a run that have failed: those that workers recorded, and those that the broker
/// dead-lettered itself.
pub(in crate::ui) fn failed(run: &RunStatus) -> Option<u64> {
    match &run.progress {
        Some(progress) => Some(progress.failed + run.given_up),
        None => Some(run.given_up).filter(|&given_up| given_up > 0),
    }
}

const RUN_HEADERS: [&str; 11] =
    ["RUN", "QUEUE", "DONE", "FAILED", "RUNNING", "LEFT", "RATE", "ETA", "PODS", "STATUS", "JOB"];

fn run_row(run: &RunStatus) -> Vec<String> {
    let job = &run.job;
    let unknown = || "-".to_owned();
    let more = if run.progress.as_ref().is_some_and(|progress| progress.partial) { "+" } else { "" };
    // Workers that record nothing process an item a pod.
    let done = run.progress.as_ref().map_or(job.succeeded.into(), |progress| progress.done);
    let rate = run.progress.as_ref().and_then(|progress| progress.rate).filter(|_| job.end.is_none());
    vec![
        job.run.clone(),
        job.queue.clone(),
        format!("{done}{more}"),
        failed(run).map_or_else(unknown, |failed| format!("{failed}{more}")),
        run.held.map_or_else(unknown, |held| held.to_string()),
        run.left.map_or_else(unknown, |left| left.to_string()),
        rate.map_or_else(unknown, |rate| format!("{rate:.1}/s")),
        run.time_left().map_or_else(unknown, in_units),
        pods(job),
        state(job).to_owned(),
        job.name.clone(),
    ]
}

fn state(job: &JobState) -> &'static str {
    match &job.end {
        None if job.paused.is_some() => "Paused",
        None => "Running",
        Some(JobEnd::Complete) => "Complete",
        Some(JobEnd::Failed { .. }) => "Failed",
        Some(JobEnd::Deleted) => "Deleted",
    }
}

/// Pods as `succeeded/completions`, and those that are active or have failed, if any.
fn pods(job: &JobState) -> String {
    let total = job.completions.map(|total| format!("/{total}")).unwrap_or_default();
    let mut text = format!("{}{total}", job.succeeded);
    if job.active > 0 {
        text += &format!(" +{}", job.active);
    }
    if job.failed > 0 {
        text += &format!(" ({} failed)", job.failed);
    }
    text
}

/// A time as kubectl shows ages: its two largest units.
fn in_units(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::progress::RunProgress;

    fn run(end: Option<JobEnd>, progress: Option<RunProgress>) -> RunStatus {
        let [name, run, queue] = ["j", "r", "q"].map(str::to_owned);
        let completions = Some(8);
        let job =
            JobState { name, run, queue, completions, end, succeeded: 2, active: 1, ..JobState::default() };
        let left = job.end.is_none().then_some(90);
        RunStatus { job, progress, given_up: 1, left, held: left.map(|_| 10) }
    }

    #[test]
    fn a_run_that_has_not_ended_has_a_rate_and_a_time_left() {
        let progress = RunProgress { done: 40, failed: 2, partial: false, rate: Some(0.5) };
        let row = run_row(&run(None, Some(progress)));
        assert_eq!(
            row,
            ["r", "q", "40", "3", "10", "90", "0.5/s", "3m20s", "2/8 +1", "Running", "j"].map(str::to_owned)
        );
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        let over = run_row(&run(Some(JobEnd::Complete), None));
        let expected = ["r", "q", "2", "1", "-", "-", "-", "-", "2/8 +1", "Complete", "j"];
        assert_eq!(over, expected.map(str::to_owned));
        let progress = RunProgress { done: 40, failed: 2, partial: true, rate: None };
        assert_eq!(run_row(&run(None, Some(progress)))[2], "40+");
        assert_eq!(in_units(Duration::from_secs(90_061)), "1d1h");
    }
}
