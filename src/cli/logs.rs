//! `logs`: the logs of a run's pods.

use std::time::Duration;

use clap::Args;
use regex::{Regex, bytes};

use super::flags::{ClusterFlags, OutputFlags, duration};
use crate::cluster::log_selection::{LogSelection, LogStart};
use crate::run::find::select_run;
use crate::run::follow::{FollowPlan, IfStuck, RunEnd, follow};
use crate::run::logs::logs;
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::log_view::{LogStyle, LogView};
use crate::ui::reports::run as report;

/// Print the logs of a run's pods
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The run, or its queue (default: the run that is active; if none is, the one that started last)
    run: Option<String>,
    /// Print new lines until the run ends
    #[arg(short, long)]
    follow: bool,
    /// Only lines of this last time, such as 5m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    since: Option<Duration>,
    /// At most this many lines from the end of each log; with --follow, new lines come in addition
    #[arg(long, value_name = "LINES")]
    tail: Option<u32>,
    /// Only pods whose names match
    #[arg(long, value_name = "REGEX")]
    pod: Option<Regex>,
    /// Containers whose names match, init containers too, in place of the one that works on items
    #[arg(short, long, value_name = "REGEX")]
    container: Option<Regex>,
    /// Only lines that match; repeatable: one is enough
    #[arg(short, long, value_name = "REGEX")]
    include: Vec<bytes::Regex>,
    /// No lines that match; repeatable
    #[arg(short, long, value_name = "REGEX")]
    exclude: Vec<bytes::Regex>,
    /// Print the time of each line
    #[arg(long)]
    timestamps: bool,
    #[command(flatten)]
    pub output: OutputFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
}

pub async fn run(args: LogsArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let cluster = args.cluster.connect().await?;
    let follow_flag = if args.follow { " --follow" } else { "" };
    let selected = select_run(&cluster, &args.cluster.release, args.run.as_deref()).await;
    let job = selected.map_err(report::if_several(|run| format!("logs {run}{follow_flag}")))?;
    ui.about_queue(&job.queue);
    let selection = LogSelection {
        pods: args.pod,
        containers: args.container.clone(),
        from: LogStart { since: args.since, tail: args.tail },
    };
    let style = LogStyle {
        include: args.include,
        exclude: args.exclude,
        container: args.container.is_some(),
        timestamps: args.timestamps,
        json: args.output.is_json(),
    };
    let view = LogView { ui, style };
    if !args.follow {
        logs(&cluster, &job, &selection, &view, ui.interrupted()).await?;
        return Ok(ExitStatus::Success);
    }
    let if_stuck = report::if_stuck(&job);
    let following = FollowPlan {
        deadline: None,
        start_timeout: Duration::ZERO,
        if_stuck: IfStuck::Leave,
        logs: selection,
    };
    let followed = follow(&cluster, &args.cluster.release, job, following, &view, ui.interrupted()).await;
    let interrupted = followed.map_err(if_stuck)?.end == RunEnd::Detached;
    Ok(if interrupted { ExitStatus::Interrupted } else { ExitStatus::Success })
}
