//! `down`: removes what `up` and `run` made.

use std::time::Duration;

use clap::Args;

use super::flags::{ClusterFlags, QueueFlags, duration};
use crate::release::down::{self, DownPlan, DownPreview};
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};

/// Delete what `up` and `run` made
///
/// Says first which messages would be lost, and asks. With --keep-data the claims and the Secrets
/// stay: a later `up` finds its messages again, and the login to them.
#[derive(Debug, Args)]
pub struct DownArgs {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Keep the claims, and the Secrets that go with them
    #[arg(long)]
    keep_data: bool,
    /// Show what would be deleted, and let the server validate it
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

/// Runs the command.
pub async fn run(args: DownArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let plan = DownPlan {
        release: args.cluster.release.clone(),
        queue: args.queue.queue.clone(),
        keep_data: args.keep_data,
        dry_run: args.dry_run,
        timeout: args.timeout,
    };
    let cluster = args.cluster.connect().await?;
    let (release, namespace) = (&plan.release, cluster.namespace());
    let preview = down::preview(&cluster, &plan).await.map_err(Failure::from)?;
    if preview.objects.is_empty() {
        ui.status(&format!("there is nothing of release {release} in namespace {namespace}"));
        return Ok(ExitStatus::Success);
    }
    say_what_is_lost(&preview, &plan, ui);
    let what = format!("{} objects of release {release} in namespace {namespace}", preview.objects.len());
    if !args.yes && !args.dry_run && !ui.may_delete(&what)? {
        return Ok(ExitStatus::Error);
    }
    down::down(&cluster, &plan, &preview.objects, ui).await?;
    ui.done();
    if !plan.dry_run {
        ui.status(&format!("release {release} is gone"));
    }
    Ok(ExitStatus::Success)
}

fn say_what_is_lost(preview: &DownPreview, plan: &DownPlan, ui: &Ui) {
    let fate = if plan.keep_data { "kept on the claim, if the broker has one" } else { "lost" };
    match &preview.messages {
        None => ui.status("the broker cannot be asked what is in its queues"),
        Some(queues) => {
            for (queue, messages) in queues {
                ui.status(&format!("queue {queue} holds {messages} messages: they will be {fate}"));
            }
        }
    }
}
