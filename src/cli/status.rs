//! `status`: the broker, the queues, the runs.

use clap::Args;
use serde_json::json;

use super::flags::{ClusterFlags, Output, QueueFlags};
use super::report::job_json;
use crate::action::status::{StatusReport, status};
use crate::cluster::job::{JobEnd, JobState};
use crate::error::{ExitStatus, Failure};
use crate::ui::Ui;
use crate::ui::table::table;

/// Show the broker, the queues and the runs of a release
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
        "runs": report.runs.iter().map(job_json).collect::<Vec<_>>(),
    })
}

fn in_words(report: &StatusReport) -> String {
    let queues: Vec<Vec<String>> = report
        .queues
        .iter()
        .map(|(name, depth)| vec![name.to_string(), depth.ready.to_string(), depth.consumers.to_string()])
        .collect();
    let runs: Vec<Vec<String>> = report.runs.iter().map(run_row).collect();
    let mut text = format!("broker: pod {} is ready", report.broker);
    for (headers, rows) in [
        (["QUEUE", "READY", "CONSUMERS"].as_slice(), queues),
        (["RUN", "QUEUE", "DONE", "ACTIVE", "FAILED", "STATUS", "JOB"].as_slice(), runs),
    ] {
        if !rows.is_empty() {
            text += &format!("\n\n{}", table(headers, &rows));
        }
    }
    text
}

fn run_row(job: &JobState) -> Vec<String> {
    let total = job.completions.map(|total| format!("/{total}")).unwrap_or_default();
    let status = match &job.end {
        None => "Running",
        Some(JobEnd::Complete) => "Complete",
        Some(JobEnd::Failed { .. }) => "Failed",
        Some(JobEnd::Deleted) => "Deleted",
    };
    vec![
        job.run.clone(),
        job.queue.clone(),
        format!("{}{total}", job.succeeded),
        job.active.to_string(),
        job.failed.to_string(),
        status.to_owned(),
        job.name.clone(),
    ]
}
