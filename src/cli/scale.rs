//! `scale`, `pause` and `resume`: how many pods of a run work at one time.

use clap::Args;

use super::flags::{ClusterFlags, Output};
use super::report::job_json;
use crate::cluster::job::JobState;
use crate::run::scale;
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};

/// Change how many pods of a run work at one time
///
/// A run whose pods work on many items each gets a further Job for pods beyond those that it was
/// started with; with fewer, pods are stopped as by `kubectl delete pod`: running items may finish
/// in the grace period, and go back to the queue otherwise.
#[derive(Debug, Args)]
pub struct ScaleArgs {
    #[command(flatten)]
    pub(super) run: RunFlags,
    /// Pods at one time
    #[arg(long, value_name = "N", required = true, value_parser = clap::value_parser!(u32).range(1..))]
    parallelism: u32,
}

/// Stop the pods of a run until `resume`
///
/// Running items may finish in the grace period, and go back to the queue otherwise.
#[derive(Debug, Args)]
pub struct PauseArgs {
    #[command(flatten)]
    pub(super) run: RunFlags,
}

/// Let a run that was paused go on
#[derive(Debug, Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    pub(super) run: RunFlags,
}

/// Which run, and the form of the report.
#[derive(Debug, Args)]
pub(super) struct RunFlags {
    /// The run (default: the last one that was started)
    run: Option<String>,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Runs `scale`.
pub async fn scale(args: ScaleArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let RunFlags { run, cluster, output } = args.run;
    let cluster_api = cluster.connect().await?;
    let job = scale::scale(&cluster_api, &cluster.release, run.as_deref(), args.parallelism).await?;
    report(ui, output, &job, &format!("run {} has {} pods at one time", job.run, job.parallelism))
}

/// Runs `pause`.
pub async fn pause(args: PauseArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let RunFlags { run, cluster, output } = args.run;
    let cluster_api = cluster.connect().await?;
    let job = scale::pause(&cluster_api, &cluster.release, run.as_deref()).await?;
    let line = format!("run {run} is paused; `kubectl workqueue resume {run}` goes on", run = job.run);
    report(ui, output, &job, &line)
}

/// Runs `resume`.
pub async fn resume(args: ResumeArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let RunFlags { run, cluster, output } = args.run;
    let cluster_api = cluster.connect().await?;
    let job = scale::resume(&cluster_api, &cluster.release, run.as_deref()).await?;
    report(ui, output, &job, &format!("run {} goes on with {} pods at one time", job.run, job.parallelism))
}

fn report(ui: &Ui, output: Output, job: &JobState, line: &str) -> Result<ExitStatus, Failure> {
    if output.is_json() {
        ui.json(&job_json(job));
    }
    ui.status(line);
    Ok(ExitStatus::Success)
}
