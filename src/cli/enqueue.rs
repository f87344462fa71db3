//! `enqueue`: puts items into a queue.

use std::time::Duration;

use clap::Args;

use super::broker::BrokerFlags;
use super::flags::{ClusterFlags, Output, QueueSpecFlags, duration};
use super::items::{EnvelopeFlags, ItemFlags, preview};
use super::report::{enqueue_failure, enqueue_json, enqueue_words, survey_json, survey_words};
use crate::action::enqueue::{EnqueuePlan, enqueue};
use crate::action::survey::survey;
use crate::error::{ExitStatus, Failure};
use crate::items::Source;
use crate::ui::Ui;

/// Put items into the queue
///
/// Items are bytes: any value is allowed but an empty one. Each is published as a persistent
/// message and counted once the broker has confirmed it. The queue is made if it is missing:
/// quorum, durable, with QUEUE.failed beside it for items that kill their workers.
///
/// When the connection breaks (a pod is deleted, the API server restarts), it is made again, and
/// what was not confirmed is published again under the same ids; how much that was is reported.
///
/// Exits with 0 only if every item is confirmed.
#[derive(Debug, Args)]
pub struct EnqueueArgs {
    #[command(flatten)]
    items: ItemFlags,
    #[command(flatten)]
    batch_properties: EnvelopeFlags,
    /// Read and count the items, show the first ones, and enqueue nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on where the last attempt at these files and this queue stopped: after Ctrl-C, an error,
    /// or a crash. The files must not have changed
    #[arg(long, requires = "file", conflicts_with = "dry_run")]
    resume: bool,
    #[command(flatten)]
    queue: QueueSpecFlags,
    #[command(flatten)]
    broker: BrokerFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub output: Output,
    /// Give up after this long without a connection or a confirm (0: never); a broker that is not
    /// ready, or that breaks on the way, is waited for so long
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,
}

/// The default of `--timeout`, for commands that have another one.
pub const NO_PROGRESS: Duration = Duration::from_secs(300);

/// Items that a dry run shows.
const SHOWN: usize = 10;

/// Runs the command.
pub async fn run(args: EnqueueArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let Some(source) = args.items.source() else {
        let hint = "give them as arguments, or as lines with -f FILE or -f -";
        return Err(Failure::new("there are no items", hint).with_status(ExitStatus::Usage));
    };
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
    };
    let queue = plan.queue.name.clone();
    let reach = args.broker.reach(&args.cluster).await?;
    let (report, result) = enqueue(&reach, plan, ui, ui.interrupted()).await;
    ui.done();
    if args.output.is_json() {
        ui.json(&enqueue_json(&queue, &report));
    }
    ui.status(&enqueue_words(&queue, &report));
    result?;
    enqueue_failure(&queue, &report).map_or(Ok(ExitStatus::Success), Err)
}

async fn dry_run(source: Source, args: &EnqueueArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let (survey, result) = survey(source, args.items.max_item_size, SHOWN, ui.interrupted()).await;
    if args.output.is_json() {
        ui.json(&survey_json(&survey));
    } else {
        for item in &survey.first {
            ui.data(format!("{}\t{}", item.position, preview(&item.body)).as_bytes());
        }
    }
    ui.status(&survey_words(&survey));
    result?;
    Ok(if survey.interrupted { ExitStatus::Interrupted } else { ExitStatus::Success })
}
