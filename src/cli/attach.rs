//! `attach`: follows a run.

use std::time::Duration;

use clap::Args;

use super::flags::{ClusterFlags, OutputFlags, duration};
use crate::cluster::log_selection::{LogSelection, LogStart};
use crate::notice::deadline_after;
use crate::run::find::select_run;
use crate::run::follow::{FollowPlan, IfStuck, RunReport, follow};
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::json::run::FollowedRunJson;
use crate::ui::reports::{run as report, run_end};

/// Follow a run to its end: logs, progress and exit code
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// The run, or its queue (default: the run that is active; if none is, the one that started last)
    run: Option<String>,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub output: OutputFlags,
    /// Print at most this many lines of the log that each pod has so far, and the new ones (default: all)
    #[arg(long, value_name = "LINES")]
    tail: Option<u32>,
    /// Stop following after this time (0: never); the Job continues
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    timeout: Duration,
    /// Stop following if no pod of the run has started after this time (0: never); the Job continues
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    start_timeout: Duration,
}

pub async fn run(args: AttachArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let cluster = args.cluster.connect().await?;
    let selected = select_run(&cluster, &args.cluster.release, args.run.as_deref()).await;
    let job = selected.map_err(report::if_several(|run| format!("attach {run}")))?;
    ui.about_queue(&job.queue);
    let following = FollowPlan {
        deadline: deadline_after(args.timeout),
        start_timeout: args.start_timeout,
        if_stuck: IfStuck::Leave,
        logs: LogSelection { from: LogStart { tail: args.tail, since: None }, ..LogSelection::default() },
    };
    let if_stuck = report::if_stuck(&job);
    let followed = follow(&cluster, &args.cluster.release, job, following, ui, ui.interrupted()).await;
    print_end(ui, &followed.map_err(if_stuck)?, args.output)
}

/// Prints how a run ended that was followed, and gives the exit code.
pub(super) fn print_end(ui: &Ui, followed: &RunReport, output: OutputFlags) -> Result<ExitStatus, Failure> {
    ui.done();
    if output.is_json() {
        ui.json(&FollowedRunJson::from(followed));
    }
    let (summary, status) = run_end::end(followed)?;
    ui.status(&summary);
    Ok(status)
}
