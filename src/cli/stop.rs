//! `stop` and `delete`: end a run, and remove what is left of one.

use std::time::Duration;

use clap::Args;

use super::flags::{ClusterFlags, OutputFlags, QueueFlags, duration};
use crate::notice::deadline_after;
use crate::run::{delete, stop};
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::json::run::StoppedRunJson;
use crate::ui::reports::run as report;

/// End a run before its queue is empty
///
/// Its pods are stopped: running items can finish within the grace period, and go back to the queue
/// otherwise. The run stays in the list of `status` as failed, and a `run` or `attach` that follows
/// it exits with 4.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// The run
    run: String,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub(super) output: OutputFlags,
    /// Give up waiting for the pods after this time (0: never)
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    timeout: Duration,
}

/// Delete a run: its Jobs with their logs, and its ledger on the broker
///
/// Says what there is, and asks first. Items that its pods hold go back to the queue. The records in
/// QUEUE.results stay.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// The run
    run: String,
    /// Delete without asking
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    queue: QueueFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    /// Give up waiting for the pods after this time (0: never)
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    timeout: Duration,
}

pub async fn stop(args: StopArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let (cluster, release) = (args.cluster.connect().await?, &args.cluster.release);
    let deadline = deadline_after(args.timeout);
    let (job, verdict) = stop::stop(&cluster, release, &args.run, deadline, ui).await?;
    ui.done();
    ui.about_queue(&job.queue);
    if args.output.is_json() {
        ui.json(&StoppedRunJson::of(&job, &verdict));
    }
    ui.status(&report::stopped(&job, &verdict));
    Ok(ExitStatus::Success)
}

pub async fn delete(args: DeleteArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let (cluster, release) = (args.cluster.connect().await?, &args.cluster.release);
    let found = delete::find(&cluster, release, &args.queue.queue, &args.run).await?;
    if !args.yes && !ui.may_delete(&report::to_delete(&found))? {
        return Ok(ExitStatus::Error);
    }
    delete::delete(&cluster, release, &found, deadline_after(args.timeout), ui).await?;
    ui.done();
    ui.status(&report::deleted(&found.run));
    Ok(ExitStatus::Success)
}
