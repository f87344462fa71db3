//! `logs`: the logs of a run's pods.

use std::time::Duration;

use clap::Args;

use super::flags::ClusterFlags;
use crate::run::find::select_run;
use crate::run::follow::{FollowPlan, IfStuck, RunEnd, follow};
use crate::run::logs::logs;
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::reports::run as report;

/// Print the logs of a run's pods
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The run, or its queue (default: the run that is active; if none is, the one that started last)
    run: Option<String>,
    /// Print new lines until the run ends
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    cluster: ClusterFlags,
}

pub async fn run(args: LogsArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let cluster = args.cluster.connect().await?;
    let follow_flag = if args.follow { " --follow" } else { "" };
    let selected = select_run(&cluster, &args.cluster.release, args.run.as_deref()).await;
    let job = selected.map_err(report::if_several(|run| format!("logs {run}{follow_flag}")))?;
    ui.about_queue(&job.queue);
    if args.follow {
        let if_stuck = report::if_stuck(&job);
        let following =
            FollowPlan { deadline: None, start_timeout: Duration::ZERO, if_stuck: IfStuck::Leave };
        let followed = follow(&cluster, &args.cluster.release, job, following, ui, ui.interrupted()).await;
        let interrupted = followed.map_err(if_stuck)?.end == RunEnd::Detached;
        return Ok(if interrupted { ExitStatus::Interrupted } else { ExitStatus::Success });
    }
    logs(&cluster, &job, ui, ui.interrupted()).await?;
    Ok(ExitStatus::Success)
}
