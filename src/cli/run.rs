//! `run`: starts a Job over the queue and follows it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::enqueue::NO_PROGRESS;
use super::flags::{ClusterFlags, Output, QueueSpecFlags, ValueFlags, duration};
use super::items::ItemFlags;
use super::report::{enqueue_failure, enqueue_json, enqueue_words, job_json, run_end};
use crate::action::deadline_after;
use crate::action::follow::follow;
use crate::action::run::{RunPlan, Started, start};
use crate::error::{ExitStatus, Failure};
use crate::ui::Ui;

/// Run a Job over what is in the queue, and follow it to its end
///
/// Enqueues the items that are given, then makes a Job with as many completions as there are
/// items in the queue: each pod takes one. The logs of all pods come out line by line, each line
/// with its pod's name in front.
///
/// The image brings its own command, which finds BROKER_URL and QUEUE in its environment, or a
/// program is given after `--`: it is started with the item on its standard input, and the item
/// is done when it exits with 0. The image then needs `amqp-consume` (Debian: amqp-tools).
///
/// Ctrl-C detaches: the Job goes on, and `attach` follows it again.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    items: ItemFlags,
    /// The workers' image
    #[arg(long, value_name = "REF")]
    image: String,
    /// The program to start for each item, and its arguments
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<String>,
    /// Pods at one time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    parallelism: u32,
    /// Failed pods that the Job bears before it fails; Kubernetes waits 10 s before the first pod
    /// that takes a failed one's place, and twice as long before each further one
    #[arg(long, value_name = "N", default_value_t = 3)]
    backoff_limit: u32,
    /// Refuse to make more pods than this in all
    #[arg(long, value_name = "N", default_value_t = 1000)]
    max_pods: u32,
    /// Start the Job and return at once
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    queue: QueueSpecFlags,
    /// Values files of the chart, the last one wins
    #[arg(long = "values", value_name = "FILE", help_heading = "Chart")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    values: ValueFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub output: Output,
    /// Stop following after this time (0: never); the Job goes on
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    timeout: Duration,
}

/// Runs the command.
pub async fn run(args: RunArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let json = args.output.is_json();
    let plan = RunPlan {
        release: args.cluster.release.clone(),
        queue: args.queue.spec(),
        items: args.items.source(),
        max_item_size: args.items.max_item_size,
        enqueue_timeout: NO_PROGRESS,
        image: args.image,
        program: args.program,
        parallelism: args.parallelism,
        backoff_limit: args.backoff_limit,
        max_pods: args.max_pods,
        chart: args.values.plan(&args.files),
    };
    let queue = plan.queue.name.clone();
    let cluster = args.cluster.connect().await?;
    let deadline = deadline_after(args.timeout);
    let job = match start(&cluster, plan, ui, ui.interrupted()).await? {
        Started::Job(job) => job,
        Started::Nothing => {
            ui.status(&format!("queue {queue} is empty: there is nothing to do"));
            return Ok(ExitStatus::Success);
        }
        Started::NotEnqueued(report, error) => {
            ui.done();
            if json {
                ui.json(&enqueue_json(&queue, &report));
            }
            ui.status(&enqueue_words(&queue, &report));
            ui.status("no Job was made");
            error.map_or(Ok(()), Err)?;
            return enqueue_failure(&queue, &report).map_or(Ok(ExitStatus::NotEnqueued), Err);
        }
    };
    let items = job.completions.unwrap_or(0);
    ui.done();
    ui.status(&format!("run {}: job {} works on {items} items of queue {queue}", job.run, job.name));
    if args.detach {
        if json {
            ui.json(&job_json(&job));
        }
        ui.status(&format!("follow it with: kubectl workqueue attach {}", job.run));
        return Ok(ExitStatus::Success);
    }
    let report = follow(&cluster, &args.cluster.release, job, deadline, ui, ui.interrupted()).await?;
    run_end(ui, &report, json)
}
