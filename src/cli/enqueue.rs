//! `enqueue`: puts items into a queue.

use std::time::Duration;

use clap::Args;

use super::flags::{ClusterFlags, ItemFlags, Output, QueueSpecFlags, duration};
use super::report::{enqueue_failure, enqueue_json, enqueue_words};
use crate::action::deadline_after;
use crate::action::enqueue::{EnqueuePlan, enqueue};
use crate::action::session::Session;
use crate::error::{ExitStatus, Failure};
use crate::ui::Ui;

/// Put items into the queue
///
/// Items are bytes: any value is allowed but an empty one. Each is published as a persistent
/// message and counted once the broker has confirmed it. The queue is made if it is missing:
/// quorum, durable, with QUEUE.failed beside it for items that kill their workers.
///
/// Exits with 0 only if every item is confirmed.
#[derive(Debug, Args)]
pub struct EnqueueArgs {
    #[command(flatten)]
    items: ItemFlags,
    #[command(flatten)]
    queue: QueueSpecFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub output: Output,
    /// Wait this long for a broker that is not ready (0: as long as it takes)
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    timeout: Duration,
}

/// Runs the command.
pub async fn run(args: EnqueueArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let Some(source) = args.items.source() else {
        let hint = "give them as arguments, or as lines with -f FILE or -f -";
        return Err(Failure::new("there are no items", hint).with_status(ExitStatus::Usage));
    };
    let plan = EnqueuePlan { queue: args.queue.spec(), source, max_item_size: args.items.max_item_size };
    let queue = plan.queue.name.clone();
    let cluster = args.cluster.connect().await?;
    let (release, deadline) = (&args.cluster.release, deadline_after(args.timeout));
    let session = Session::open_when_ready(&cluster, release, "kubectl-workqueue enqueue", deadline).await?;
    ui.detail(&format!("publishing through pod {}", session.pod()));
    let (report, result) = enqueue(&session, plan, ui, ui.interrupted()).await;
    session.close().await;
    ui.done();
    if args.output.is_json() {
        ui.json(&enqueue_json(&queue, &report));
    }
    ui.status(&enqueue_words(&queue, &report));
    result?;
    enqueue_failure(&queue, &report).map_or(Ok(ExitStatus::Success), Err)
}
