//! `down`: deletes what `up` and `run` created.

use std::time::Duration;

use clap::Args;

use super::flags::{ClusterFlags, QueueFlags, duration};
use crate::release::down::{self, DownPlan};
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::reports::down as report;

/// Delete what `up` and `run` created
///
/// Says which runs are active and what is in the queues, and asks first. With --keep-data the PVCs and the Secrets are
/// kept: a later `up` finds the messages again, and the credentials for them.
#[derive(Debug, Args)]
pub struct DownArgs {
    /// Delete without asking
    #[arg(short, long)]
    yes: bool,
    /// Keep the PVCs, and the Secrets that belong to them
    #[arg(long)]
    keep_data: bool,
    /// Show what would be deleted; the server validates it and deletes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    queue: QueueFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    /// Give up waiting after this time (0: never)
    #[arg(long, value_name = "DURATION", default_value = "3m", value_parser = duration)]
    timeout: Duration,
}

pub async fn run(args: DownArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let plan = DownPlan {
        release: args.cluster.release.clone(),
        queue: args.queue.queue.clone(),
        keep_data: args.keep_data,
        dry_run: args.dry_run,
        timeout: args.timeout,
    };
    let cluster = args.cluster.connect().await?;
    let preview = down::preview(&cluster, &plan, ui).await?;
    if preview.objects.is_empty() {
        ui.status(&report::nothing(&plan.release, &cluster));
        return Ok(ExitStatus::Success);
    }
    report::losses(&preview, &plan).iter().for_each(|line| ui.status(line));
    let what = report::what(&preview, &plan.release, &cluster);
    if !args.yes && !args.dry_run && !ui.may_delete(&what)? {
        return Ok(ExitStatus::Error);
    }
    down::down(&cluster, &plan, &preview.objects, ui).await?;
    ui.done();
    if !plan.dry_run {
        ui.status(&report::done(&plan.release));
    }
    Ok(ExitStatus::Success)
}
