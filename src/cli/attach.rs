//! `attach`: follows a run that is under way.

use std::time::Duration;

use clap::Args;

use super::flags::{ClusterFlags, Output, duration};
use super::report::run_end;
use crate::action::deadline_after;
use crate::action::follow::follow;
use crate::action::logs::find_run;
use crate::error::{ExitStatus, Failure};
use crate::ui::Ui;

/// Follow a run to its end: logs, progress and exit code
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// The run (default: the last one that was started)
    run: Option<String>,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub output: Output,
    /// Stop following after this time (0: never); the Job goes on
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    timeout: Duration,
}

/// Runs the command.
pub async fn run(args: AttachArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let cluster = args.cluster.connect().await?;
    let job = find_run(&cluster, &args.cluster.release, args.run.as_deref()).await?;
    let report =
        follow(&cluster, &args.cluster.release, job, deadline_after(args.timeout), ui, ui.interrupted())
            .await?;
    run_end(ui, &report, args.output.is_json())
}
