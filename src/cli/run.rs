//! `run`: starts a Job over the queue and follows it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::build::{BuildFlags, image_name, in_words};
use super::flags::{ClusterFlags, ItemFlags, Output, QueueSpecFlags, ValueFlags, duration};
use super::report::{enqueue_failure, enqueue_json, enqueue_words, job_json, run_end};
use crate::action::build::{BuildPlan, Place, Push, build};
use crate::action::deadline_after;
use crate::action::follow::follow;
use crate::action::run::{RunPlan, Started, check, start};
use crate::cluster::Target;
use crate::error::{ExitStatus, Failure};
use crate::image::Reference;
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
    /// The workers' image; with --build, the name to build it under
    #[arg(long, value_name = "REF")]
    image: Reference,
    /// Build the image first, from a directory with a Dockerfile or from a lone script, and push it
    /// (into kind, minikube and k3d it is loaded)
    #[arg(long, value_name = "CONTEXT", value_hint = ValueHint::AnyPath)]
    build: Option<PathBuf>,
    /// Push the image that was built also where it could be loaded
    #[arg(long, requires = "build", help_heading = "Build")]
    push: bool,
    /// Do not push the image that was built: the nodes share the engine's images
    #[arg(long, requires = "build", conflicts_with = "push", help_heading = "Build")]
    no_push: bool,
    #[command(flatten)]
    build_flags: BuildFlags,
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
    let building = build_plan(&args, ui)?;
    let mut plan = RunPlan {
        release: args.cluster.release.clone(),
        queue: args.queue.spec(),
        items: args.items.source(),
        max_item_size: args.items.max_item_size,
        image: args.image.to_string(),
        program: args.program,
        parallelism: args.parallelism,
        backoff_limit: args.backoff_limit,
        max_pods: args.max_pods,
        chart: args.values.plan(&args.files),
    };
    let queue = plan.queue.name.clone();
    let cluster = args.cluster.connect().await?;
    if let Some(building) = building {
        check(&cluster, &plan).await?;
        build_first(&building, &args.cluster.target(), &mut plan, ui).await?;
    }
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

/// What to build before the run, if anything.
fn build_plan(args: &RunArgs, ui: &Ui) -> Result<Option<BuildPlan>, Failure> {
    let usage = |message: &str, hint: &str| Failure::new(message, hint).with_status(ExitStatus::Usage);
    let Some(context) = &args.build else {
        if args.build_flags.is_given() {
            return Err(usage(
                "there is nothing to build",
                "name a Dockerfile's directory or a script with --build",
            ));
        }
        return Ok(None);
    };
    let image =
        image_name(&args.image.to_string()).map_err(|message| usage(&message, "name it with a tag"))?;
    let push = match (args.push, args.no_push) {
        (true, _) => Push::Always,
        (_, true) => Push::Never,
        _ => Push::UnlessLoaded,
    };
    Ok(Some(args.build_flags.plan(context, image, push, ui)))
}

/// Builds the image, and makes the plan use what was built.
async fn build_first(
    building: &BuildPlan,
    target: &Target,
    plan: &mut RunPlan,
    ui: &Ui,
) -> Result<(), Failure> {
    let report = build(building, target, ui, ui.interrupted()).await?;
    if report.place != Place::Engine {
        ui.status(&in_words(building, &report));
    }
    if report.place != Place::Registry && report.image.is_always_pulled() {
        // The nodes have it, and no registry does. The user's own --set comes after this one.
        plan.chart.set.insert(0, "worker.imagePullPolicy=IfNotPresent".to_owned());
    }
    plan.image = report.image.to_string();
    Ok(())
}
