//! `scale`, `pause` and `resume`: how many pods of a run work concurrently.

use clap::Args;

use super::flags::{ClusterFlags, OutputFlags};
use crate::cluster::job::JobState;
use crate::run::scale;
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::json::run::RunJson;
use crate::ui::reports::run as report;

/// Change how many pods of a run work concurrently
///
/// In fine mode, pods beyond those that the run started with come from another Job of the same run.
/// To get fewer pods, some are deleted as by `kubectl delete pod`: their running items can finish
/// within the grace period, and are requeued otherwise.
#[derive(Debug, Args)]
pub struct ScaleArgs {
    #[command(flatten)]
    pub(super) run: RunFlags,
    /// Let this many pods work concurrently
    #[arg(long, value_name = "N", required = true, value_parser = clap::value_parser!(u32).range(1..))]
    parallelism: u32,
}

/// Stop the pods of a run until `resume`
///
/// Running items can finish within the grace period, and are requeued otherwise.
#[derive(Debug, Args)]
pub struct PauseArgs {
    #[command(flatten)]
    pub(super) run: RunFlags,
}

/// Continue a run that was paused
#[derive(Debug, Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    pub(super) run: RunFlags,
}

/// Which run, and the format of the report.
#[derive(Debug, Args)]
pub(super) struct RunFlags {
    /// The run, or its queue (default: the one that is active)
    run: Option<String>,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub(super) output: OutputFlags,
}

pub async fn scale(args: ScaleArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let RunFlags { run, cluster, output } = args.run;
    let pods = args.parallelism;
    let scaled = scale::scale(&cluster.connect().await?, &cluster.release, run.as_deref(), pods).await;
    let scaled = scaled.map_err(report::if_several(|run| format!("scale {run} --parallelism {pods}")))?;
    Ok(print(ui, output, &scaled.job, &report::scaled(&scaled)))
}

pub async fn pause(args: PauseArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let RunFlags { run, cluster, output } = args.run;
    let paused = scale::pause(&cluster.connect().await?, &cluster.release, run.as_deref()).await;
    let paused = paused.map_err(report::if_several(|run| format!("pause {run}")))?;
    Ok(print(ui, output, &paused.job, &report::paused(&paused)))
}

pub async fn resume(args: ResumeArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let RunFlags { run, cluster, output } = args.run;
    let resumed = scale::resume(&cluster.connect().await?, &cluster.release, run.as_deref()).await;
    let resumed = resumed.map_err(report::if_several(|run| format!("resume {run}")))?;
    Ok(print(ui, output, &resumed.job, &report::resumed(&resumed)))
}

fn print(ui: &Ui, output: OutputFlags, job: &JobState, summary: &str) -> ExitStatus {
    if output.is_json() {
        ui.json(&RunJson::from(job));
    }
    ui.status(summary);
    ExitStatus::Success
}
