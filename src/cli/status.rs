//! `status`: the broker, the queues, the runs.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::flags::{ClusterFlags, Output, QueueFlags};
use super::report::job_json;
use crate::cluster::job::{JobEnd, JobState};
use crate::release::status::{RunStatus, StatusReport, status};
use crate::results::progress::RunProgress;
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::table::table;

/// Show the broker, the queues and the runs of a release
///
/// DONE and FAILED are what the workers have recorded (see `kubectl workqueue results`); FAILED has
/// the items too that the broker itself gave up, since they killed their workers. RUNNING is what workers hold,
/// as the broker counts it, some seconds late; LEFT is what waits in the queue. RATE is that of the
/// last minute. PODS are those that have succeeded of those that have to, and `+` those that run.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    queue: QueueFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub output: Output,
}

/// Runs the command.
pub async fn run(args: StatusArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let cluster = args.cluster.connect().await?;
    let report = status(&cluster, &args.cluster.release, &args.queue.queue).await?;
    if args.output.is_json() {
        ui.json(&to_json(&report));
    } else {
        ui.data(in_words(&report).as_bytes());
    }
    Ok(ExitStatus::Success)
}

pub(super) fn to_json(report: &StatusReport) -> serde_json::Value {
    let queues = report.queues.iter().map(
        |(name, depth)| json!({"name": name.as_str(), "ready": depth.ready, "consumers": depth.consumers}),
    );
    json!({
        "broker": {"pod": report.broker},
        "queues": queues.collect::<Vec<_>>(),
        "runs": report.runs.iter().map(run_json).collect::<Vec<_>>(),
    })
}

fn run_json(run: &RunStatus) -> serde_json::Value {
    let mut value = job_json(&run.job);
    value["items"] = json!({
        "done": run.progress.as_ref().map(|progress| progress.done),
        "failed": run.progress.as_ref().map(|progress| progress.failed),
        "givenUp": run.given_up,
        "partial": run.progress.as_ref().is_some_and(|progress| progress.partial),
        "held": run.held,
        "left": run.left,
        "perSecond": run.progress.as_ref().and_then(|progress| progress.rate).filter(|_| run.left.is_some()),
        "secondsLeft": run.time_left().map(|time| time.as_secs()),
    });
    value
}

fn in_words(report: &StatusReport) -> String {
    let queues: Vec<Vec<String>> = report
        .queues
        .iter()
        .map(|(name, depth)| vec![name.to_string(), depth.ready.to_string(), depth.consumers.to_string()])
        .collect();
    let runs: Vec<Vec<String>> = report.runs.iter().map(run_row).collect();
    let mut text = format!("broker: pod {} is ready", report.broker);
    for (headers, rows) in
        [(["QUEUE", "READY", "CONSUMERS"].as_slice(), queues), (RUN_HEADERS.as_slice(), runs)]
    {
        if !rows.is_empty() {
            text += &format!("\n\n{}", table(headers, &rows));
        }
    }
    text
}

const RUN_HEADERS: [&str; 11] =
    ["RUN", "QUEUE", "DONE", "FAILED", "RUNNING", "LEFT", "RATE", "ETA", "PODS", "STATUS", "JOB"];

fn run_row(run: &RunStatus) -> Vec<String> {
    let job = &run.job;
    let status = match &job.end {
        None if job.paused.is_some() => "Paused",
        None => "Running",
        Some(JobEnd::Complete) => "Complete",
        Some(JobEnd::Failed { .. }) => "Failed",
        Some(JobEnd::Deleted) => "Deleted",
    };
    let unknown = || "-".to_owned();
    let (done, failed) = match &run.progress {
        Some(RunProgress { done, failed, partial, .. }) => {
            let more = if *partial { "+" } else { "" };
            (format!("{done}{more}"), format!("{}{more}", failed + run.given_up))
        }
        // Workers that record nothing do an item a pod.
        None if run.given_up > 0 => (job.succeeded.to_string(), run.given_up.to_string()),
        None => (job.succeeded.to_string(), unknown()),
    };
    let rate = run.progress.as_ref().and_then(|progress| progress.rate).filter(|_| job.end.is_none());
    vec![
        job.run.clone(),
        job.queue.clone(),
        done,
        failed,
        run.held.map_or_else(unknown, |held| held.to_string()),
        run.left.map_or_else(unknown, |left| left.to_string()),
        rate.map_or_else(unknown, |rate| format!("{rate:.1}/s")),
        run.time_left().map_or_else(unknown, in_units),
        pods(job),
        status.to_owned(),
        job.name.clone(),
    ]
}

/// Pods as `succeeded/completions`, and those that run or have failed, if any.
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

    fn run(end: Option<JobEnd>, progress: Option<RunProgress>) -> RunStatus {
        let [name, run, queue] = ["j", "r", "q"].map(str::to_owned);
        let completions = Some(8);
        let job =
            JobState { name, run, queue, completions, end, succeeded: 2, active: 1, ..JobState::default() };
        let left = job.end.is_none().then_some(90);
        RunStatus { job, progress, given_up: 1, left, held: left.map(|_| 10) }
    }

    #[test]
    fn a_run_that_is_under_way_has_a_rate_and_an_end() {
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
