//! `run`: starts a Job over the queue and follows it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::build::{BuildFlags, image_name, in_words};
use super::enqueue::NO_PROGRESS;
use super::flags::{ClusterFlags, Output, QueueSpecFlags, ValueFlags, duration};
use super::items::ItemFlags;
use super::report::{enqueue_failure, enqueue_json, enqueue_words, job_json, run_end};
use crate::build::{BuildPlan, ImageLocation, ImageSource, Push, build};
use crate::cluster::Target;
use crate::image::Reference;
use crate::notice::deadline_after;
use crate::run::follow::{IfStuck, follow};
use crate::run::plan::{Mode, RunPlan, Script, Work, Worker};
use crate::run::start::{Started, check, start};
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use workqueue_worker::cli::flags::WorkFlags;

/// Run a Job over what is in the queue, and follow it to its end
///
/// Enqueues the items that are given, then makes a Job. For each item the program after `--` is
/// started with the item on its standard input (and in the place of an argument that is `{}`); the
/// item is done when it exits with 0. The logs of all pods come out line by line, each line with
/// its pod's name in front.
///
/// A few pods work on many items each (--mode fine, for programs), with `workqueue-worker` around
/// the program: it is in the image, or --worker-image brings it into any image. With --mode coarse
/// each item gets a pod of its own. Without a program the image's own command takes one item, as
/// in the tutorial: it finds BROKER_URL and QUEUE in its environment.
///
/// Items are delivered at least once: a program must bear a repeat.
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
    /// How items come to pods: `fine`, a few pods for many items; `coarse`, one pod an item
    /// (default: fine with a program, coarse with the image's own command)
    #[arg(long, value_name = "MODE")]
    mode: Option<ModeFlag>,
    /// Bring `workqueue-worker` into the pods from this image, which `build --worker-only` makes
    #[arg(long, value_name = "REF", help_heading = "Worker")]
    worker_image: Option<Reference>,
    /// Bring `workqueue-worker` into the pods: from --worker-image, or from the image that the
    /// release's value worker.inject.image names
    #[arg(long, help_heading = "Worker")]
    inject: bool,
    /// Start each item with `amqp-consume` from the image instead of `workqueue-worker`; one pod
    /// an item
    #[arg(long, conflicts_with_all = ["worker_image", "inject", "script"], help_heading = "Worker")]
    amqp_consume: bool,
    /// Bring this script into the pods and start it for each item; no image has to be built
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Worker")]
    script: Option<PathBuf>,
    /// Items at one time in a pod, with --mode fine
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Worker")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    #[command(flatten, next_help_heading = "Worker")]
    work: WorkFlags,
    /// Pods at one time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    parallelism: u32,
    /// Failed pods that the Job bears before it fails; Kubernetes waits 10 s before the first pod
    /// that takes a failed one's place, and twice as long before each further one
    /// (default: 3, and 20 with --mode fine, where items are retried without it)
    #[arg(long, value_name = "N")]
    backoff_limit: Option<u32>,
    /// Refuse to make more pods than this in all
    #[arg(long, value_name = "N", default_value_t = 1000)]
    max_pods: u32,
    /// Start the Job and return at once
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    queue: QueueSpecFlags,
    /// Values files of the chart, the last one wins
    #[arg(long = "values", value_name = "FILE", value_delimiter = ',', help_heading = "Chart")]
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

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeFlag {
    Fine,
    Coarse,
}

impl From<ModeFlag> for Mode {
    fn from(flag: ModeFlag) -> Self {
        match flag {
            ModeFlag::Fine => Self::Fine,
            ModeFlag::Coarse => Self::Coarse,
        }
    }
}

/// Runs the command.
pub async fn run(args: RunArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let json = args.output.is_json();
    let building = build_plan(&args, ui)?;
    let worker = worker(&args)?;
    let mode = args.mode.map_or(if worker == Worker::Image { Mode::Coarse } else { Mode::Fine }, Into::into);
    let mode = if args.amqp_consume { Mode::Coarse } else { mode };
    if args.work.halt.is_some() && mode == Mode::Coarse {
        let hint = "use --mode fine: with one pod an item, pods that start do not know of each other";
        let failure = Failure::new("--halt needs workers that do many items each", hint);
        return Err(failure.with_status(ExitStatus::Usage));
    }
    if args.files.iter().any(|file| file.as_os_str() == "-") {
        let failure =
            Failure::new("--values - is not for run: its standard input is for items", "name a file");
        return Err(failure.with_status(ExitStatus::Usage));
    }
    let script = args.script.as_ref().map(Script::read).transpose()?;
    let mut plan = RunPlan {
        release: args.cluster.release.clone(),
        queue: args.queue.spec(),
        items: args.items.source(),
        max_item_size: args.items.max_item_size,
        enqueue_timeout: NO_PROGRESS,
        image: args.image.to_string(),
        mode,
        worker,
        work: Work {
            concurrency: args.concurrency,
            retries: args.work.retries,
            backoff: args.work.backoff,
            item_timeout: args.work.item_timeout,
            grace: args.work.grace,
            halt: args.work.halt,
        },
        program: args.program,
        script,
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
    let items = job.items.or(job.completions).unwrap_or(0);
    ui.done();
    ui.status(&format!("run {}: job {} works on {items} items of queue {queue}", job.run, job.name));
    if args.detach {
        if json {
            ui.json(&job_json(&job));
        }
        ui.status(&format!("follow it with: kubectl workqueue attach {}", job.run));
        return Ok(ExitStatus::Success);
    }
    let report =
        follow(&cluster, &args.cluster.release, job, deadline, ui, ui.interrupted(), IfStuck::Delete).await?;
    run_end(ui, &report, json)
}

/// Which worker the flags ask for.
fn worker(args: &RunArgs) -> Result<Worker, Failure> {
    if args.program.is_empty() && args.script.is_none() {
        if args.worker_image.is_some() || args.inject || args.amqp_consume {
            let hint = "name it after --, or bring a script with --script";
            return Err(Failure::new("there is no program to start", hint).with_status(ExitStatus::Usage));
        }
        return Ok(Worker::Image);
    }
    Ok(match &args.worker_image {
        Some(image) => Worker::Injected(Some(image.to_string())),
        None if args.inject => Worker::Injected(None),
        None if args.amqp_consume => Worker::AmqpConsume,
        None => Worker::InImage,
    })
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
    Ok(Some(args.build_flags.plan(ImageSource::Path(context.clone()), image, push, ui)))
}

/// Builds the image, and makes the plan use what was built.
async fn build_first(
    building: &BuildPlan,
    target: &Target,
    plan: &mut RunPlan,
    ui: &Ui,
) -> Result<(), Failure> {
    let report = build(building, target, ui, ui.interrupted()).await?;
    if report.location != ImageLocation::Engine {
        ui.status(&in_words(building, &report));
    }
    if report.location != ImageLocation::Registry && report.image.is_always_pulled() {
        // The nodes have it, and no registry does. The user's own --set comes after this one.
        plan.chart.set.insert(0, "worker.imagePullPolicy=IfNotPresent".to_owned());
    }
    plan.image = report.image.to_string();
    Ok(())
}
