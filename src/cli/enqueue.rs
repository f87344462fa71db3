//! `enqueue`: puts items into a queue.

use std::time::Duration;

use clap::Args;

use super::broker::BrokerFlags;
use super::flags::{ClusterFlags, OutputFlags, QueueSpecFlags, duration};
use super::items::{BatchPropertyFlags, ItemFlags};
use crate::items::InputSource;
use crate::queue::dry_run::summarize;
use crate::queue::enqueue::{EnqueuePlan, enqueue};
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::json::enqueue::{EnqueueJson, InputJson};
use crate::ui::reports::enqueue as report;
use crate::ui::{Ui, usage};

/// Put items into the queue
///
/// An item is any sequence of bytes. Each is published as a persistent message,
/// and counted once the broker has confirmed it. The queue is created if it does not exist: a
/// durable quorum queue, and next to it QUEUE.failed for items that kill their workers.
///
/// If the connection breaks (a pod is deleted, the API server restarts), `enqueue` reconnects and
/// publishes again what was not confirmed, under the same ids. The report says how many items that
/// were.
///
/// Exits with 0 only if every item is confirmed.
#[derive(Debug, Args)]
pub struct EnqueueArgs {
    #[command(flatten)]
    items: ItemFlags,
    #[command(flatten)]
    batch_properties: BatchPropertyFlags,
    /// Read and count the items, show the first ones, and enqueue nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Continue where the last attempt with these files and this queue stopped: after Ctrl-C, an
    /// error or a crash. The files must not have changed
    #[arg(long, requires = "file", conflicts_with = "dry_run")]
    resume: bool,
    #[command(flatten)]
    queue: QueueSpecFlags,
    #[command(flatten)]
    broker: BrokerFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub output: OutputFlags,
    /// Give up after this time without a connection or a confirm (0: never). This is also how long
    /// `enqueue` waits for a broker that is not ready or that fails meanwhile
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,
}

/// The default of `--timeout`, for commands that have another one.
pub const NO_PROGRESS: Duration = Duration::from_secs(300);

/// Items that a dry run shows.
const SHOWN: usize = 10;

pub async fn run(args: EnqueueArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let source = args.items.source().ok_or_else(usage::no_items)?;
    if args.dry_run {
        return dry_run(source, &args, ui).await;
    }
    let plan = EnqueuePlan {
        queue: args.queue.spec(),
        source,
        max_item_size: args.items.max_item_size,
        batch_properties: args.batch_properties.batch_properties(),
        timeout: args.timeout,
        resume: args.resume,
        batch: None,
        gate: None,
    };
    let queue = plan.queue.name.clone();
    let reach = args.broker.reach(&args.cluster).await?;
    let (enqueued, result) = enqueue(&reach, plan, ui, ui.interrupted()).await;
    ui.done();
    if args.output.is_json() {
        ui.json(&EnqueueJson::of(&queue, &enqueued));
    }
    ui.status(&report::summary(&queue, &enqueued));
    result?;
    report::failure(&queue, &enqueued).map_or(Ok(ExitStatus::Success), Err)
}

async fn dry_run(source: InputSource, args: &EnqueueArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let (input, result) = summarize(source, args.items.max_item_size, SHOWN, ui, ui.interrupted()).await;
    if args.output.is_json() {
        ui.json(&InputJson::from(&input));
    } else {
        input.first.iter().for_each(|item| ui.data(report::input_item(item).as_bytes()));
    }
    ui.status(&report::input(&input));
    result?;
    Ok(if input.interrupted { ExitStatus::Interrupted } else { ExitStatus::Success })
}
