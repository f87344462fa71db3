//! `run`: starts a Job over a queue and follows it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::attach::print_end;
use super::build::{BuildFlags, image_name};
use super::enqueue::NO_PROGRESS;
use super::flags::{ClusterFlags, OutputFlags, QueueSpecFlags, ValueFlags, duration};
use super::items::ItemFlags;
use crate::build::{BuildPlan, Place, Push, Source, build};
use crate::cluster::Target;
use crate::error::Error;
use crate::image::Reference;
use crate::notice::deadline_after;
use crate::queue::enqueue::EnqueueReport;
use crate::run::follow::{IfStuck, follow};
use crate::run::plan::{Mode, RunPlan, Script, Work, Worker};
use crate::run::start::{Started, check, start};
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::json::enqueue::EnqueueJson;
use crate::ui::json::run::RunJson;
use crate::ui::reports::{self, run as report};
use crate::ui::{Ui, usage};
use workqueue_core::names::QueueName;
use workqueue_worker::cli::flags::WorkFlags;

/// Run a Job over the items of a queue, and follow it to its end
///
/// Enqueues the items that are given, and creates a Job. For each item the program after `--` is
/// started, with the item on its standard input and in place of an argument that is `{}`. The item
/// is done when the program exits with 0. The logs of all pods are printed line by line, each line
/// after the name of its pod.
///
/// In fine mode (the default for programs), a few pods process many items each: `workqueue-worker`
/// starts the program. It is in the image, or --worker-image adds it to the pods of any image. In
/// coarse mode each item has a pod of its own. Without a program the command of the image processes
/// one item, as in the tutorial: BROKER_URL and QUEUE are in its environment.
///
/// An item can be processed more than once, so make your program idempotent.
///
/// Ctrl-C detaches: the Job continues, and `attach` follows it again.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    items: ItemFlags,
    /// The image of the workers; with --build, the name of the image to build
    #[arg(long, value_name = "REF")]
    image: Reference,
    /// Build the image first, from a directory with a Dockerfile or from a single script, and push
    /// it (or load it into kind, minikube or k3d)
    #[arg(long, value_name = "CONTEXT", value_hint = ValueHint::AnyPath)]
    build: Option<PathBuf>,
    /// Push the image even if it could be loaded into a local cluster
    #[arg(long, requires = "build", help_heading = "Build")]
    push: bool,
    /// Do not push the image: the nodes share the images of the container engine
    #[arg(long, requires = "build", conflicts_with = "push", help_heading = "Build")]
    no_push: bool,
    #[command(flatten)]
    build_flags: BuildFlags,
    /// The program to start for each item, and its arguments
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<String>,
    /// How items get to pods: `fine`, a few pods for many items; `coarse`, one pod per item
    /// (default: fine with a program, coarse with the command of the image)
    #[arg(long, value_name = "MODE")]
    mode: Option<ModeFlag>,
    /// Add `workqueue-worker` to the pods from this image, which `build --worker-only` makes
    #[arg(long, value_name = "REF", help_heading = "Worker")]
    worker_image: Option<Reference>,
    /// Add `workqueue-worker` to the pods, from --worker-image or from the image in the release's
    /// value worker.inject.image
    #[arg(long, help_heading = "Worker")]
    inject: bool,
    /// Start the program with `amqp-consume` from the image instead of `workqueue-worker`, in coarse
    /// mode
    #[arg(long, conflicts_with_all = ["worker_image", "inject", "script"], help_heading = "Worker")]
    amqp_consume: bool,
    /// Mount this script into the pods and start it for each item, without building an image
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Worker")]
    script: Option<PathBuf>,
    /// How many items a pod processes concurrently, in fine mode
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Worker")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    #[command(flatten, next_help_heading = "Worker")]
    work: WorkFlags,
    /// How many pods work concurrently
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    parallelism: u32,
    /// Fail the Job once more than this many pods have failed. Kubernetes waits 10 s before it
    /// replaces the first failed pod, and twice as long before each further one (default: 3, and 20
    /// in fine mode, where workers retry items themselves)
    #[arg(long, value_name = "N")]
    backoff_limit: Option<u32>,
    /// Refuse to create more pods than this in total
    #[arg(long, value_name = "N", default_value_t = 1000)]
    max_pods: u32,
    /// Create the Job and return at once
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    queue: QueueSpecFlags,
    /// Values files of the chart; later ones override earlier ones
    #[arg(long = "values", value_name = "FILE", value_delimiter = ',', help_heading = "Chart")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    values: ValueFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    pub output: OutputFlags,
    /// Stop following after this time (0: never); the Job continues
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
    let output = args.output;
    let building = build_plan(&args, ui)?;
    let mut plan = run_plan(&args)?;
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
            ui.status(&report::nothing_to_do(&queue));
            return Ok(ExitStatus::Success);
        }
        Started::NotEnqueued(report, error) => return not_enqueued(ui, output, &queue, &report, error),
    };
    ui.done();
    ui.status(&report::started(&job, &queue));
    if args.detach {
        if output.is_json() {
            ui.json(&RunJson::from(&job));
        }
        ui.status(&report::how_to_follow(&job));
        return Ok(ExitStatus::Success);
    }
    let followed =
        follow(&cluster, &args.cluster.release, job, deadline, ui, ui.interrupted(), IfStuck::Delete).await?;
    print_end(ui, &followed, output)
}

/// What to run.
fn run_plan(args: &RunArgs) -> Result<RunPlan, Failure> {
    let worker = worker(args)?;
    let mode = match args.mode {
        _ if args.amqp_consume => Mode::Coarse,
        Some(mode) => mode.into(),
        None if worker == Worker::Image => Mode::Coarse,
        None => Mode::Fine,
    };
    if args.work.halt.is_some() && mode == Mode::Coarse {
        return Err(usage::halt_needs_fine_mode());
    }
    if args.files.iter().any(|file| file.as_os_str() == "-") {
        return Err(usage::values_from_stdin());
    }
    Ok(RunPlan {
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
        program: args.program.clone(),
        script: args.script.as_ref().map(Script::read).transpose()?,
        parallelism: args.parallelism,
        backoff_limit: args.backoff_limit,
        max_pods: args.max_pods,
        chart: args.values.plan(&args.files),
    })
}

/// Says why no Job was created.
fn not_enqueued(
    ui: &Ui,
    output: OutputFlags,
    queue: &QueueName,
    enqueued: &EnqueueReport,
    error: Option<Error>,
) -> Result<ExitStatus, Failure> {
    ui.done();
    if output.is_json() {
        ui.json(&EnqueueJson::of(queue, enqueued));
    }
    ui.status(&reports::enqueue::summary(queue, enqueued));
    ui.status(report::NO_JOB);
    error.map_or(Ok(()), Err)?;
    reports::enqueue::failure(queue, enqueued).map_or(Ok(ExitStatus::NotEnqueued), Err)
}

/// Which worker the flags ask for.
fn worker(args: &RunArgs) -> Result<Worker, Failure> {
    if args.program.is_empty() && args.script.is_none() {
        if args.worker_image.is_some() || args.inject || args.amqp_consume {
            return Err(usage::no_program());
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
    let Some(context) = &args.build else {
        return if args.build_flags.is_given() { Err(usage::nothing_to_build()) } else { Ok(None) };
    };
    let image = image_name(&args.image.to_string()).map_err(usage::image_to_build)?;
    let push = match (args.push, args.no_push) {
        (true, _) => Push::Always,
        (_, true) => Push::Never,
        _ => Push::UnlessLoaded,
    };
    Ok(Some(args.build_flags.plan(Source::Path(context.clone()), image, push, ui)))
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
        ui.status(&reports::build::summary(building, &report));
    }
    if report.place != Place::Registry && report.image.is_always_pulled() {
        // The nodes have it, and no registry does. The user's own --set comes after this one.
        plan.chart.set.insert(0, "worker.imagePullPolicy=IfNotPresent".to_owned());
    }
    plan.image = report.image.to_string();
    Ok(())
}
