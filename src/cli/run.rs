//! `run`: starts a Job over a queue and follows it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::attach::print_end;
use super::build::{BuildFlags, image_name};
use super::enqueue::NO_PROGRESS;
use super::flags::{ClusterFlags, OutputFlags, QueueSpecFlags, ValueFlags, duration};
use super::items::ItemFlags;
use super::worker::WorkerFlags;
use crate::build::{BuildPlan, ImageLocation, ImageSource, Push, build};
use crate::candidates::with_queues;
use crate::cluster::log_selection::LogSelection;
use crate::cluster::{Cluster, Target};
use crate::doctor::RunImages;
use crate::doctor::quick::{self, RunPods};
use crate::error::Error;
use crate::image::{self, OutputMode, Reference};
use crate::notice::deadline_after;
use crate::queue::connection::BrokerTarget;
use crate::queue::enqueue_report::EnqueueReport;
use crate::run::follow::{FollowPlan, IfStuck, follow};
use crate::run::plan::{Mode, OutputsPlan, RunPlan, Worker};
use crate::run::start::{Started, check, start};
use crate::ui::commands::is_default;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::json::enqueue::EnqueueJson;
use crate::ui::json::run::RunJson;
use crate::ui::reports::{self, run as report};
use crate::ui::{Ui, usage};
use workqueue_core::names::QueueName;
use workqueue_core::output::LARGEST_OUTPUT;
use workqueue_worker::arguments;

/// Run a Job over the items of a queue, and follow it to its end
///
/// Enqueues the items that are given, and creates a Job. For each item the program after `--` is
/// started, with the item on its standard input and in place of an argument that is `{}`. The item
/// is done when the program exits with 0. The logs of all pods are printed line by line, each line
/// after the name of its pod.
///
/// In fine mode (the default for programs), a few pods process many items each; in coarse mode each
/// item has a pod of its own. `workqueue-worker` starts the program. `run` brings it into the pods of
/// any image, unless --worker-in-image says that the image has it. Without a program the command of the
/// image processes one item, as in the tutorial: BROKER_URL and QUEUE are in its environment. With
/// --runtime-api the program, or without one that of the image, is started once and asks for its items.
///
/// An item can be processed more than once, so make your program idempotent.
///
/// Ctrl-C detaches: the Job continues, and `attach` follows it again.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub(super) items: ItemFlags,
    /// Run this image; with --build, build it under this name
    #[arg(long, value_name = "REF", required = true)]
    image: Option<Reference>,
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
    /// Use a few pods for many items (`fine`) or one pod per item (`coarse`) (default: fine with a
    /// program, coarse with the command of the image)
    #[arg(long, value_name = "MODE")]
    mode: Option<ModeFlag>,
    #[command(flatten)]
    worker: WorkerFlags,
    /// Keep on the broker what each item's successful attempt writes to standard output, instead of in
    /// the logs: `results --outputs` reads it. Workers wait while more than the value
    /// worker.outputs.size waits there
    #[arg(long)]
    pub(super) outputs: bool,
    /// Cut an output with more bytes than this (default: 1048576; up to 15 MiB)
    #[arg(long, value_name = "BYTES")]
    #[arg(value_parser = clap::value_parser!(u64).range(..=LARGEST_OUTPUT))]
    output_limit: Option<u64>,
    /// Let this many pods work concurrently
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    parallelism: u32,
    /// Fail the Job once more than this many pods have failed. Kubernetes waits 10 s before it
    /// replaces the first failed pod, and twice as long before each further one (default: 100 in
    /// fine mode and 20 in coarse mode, which the deaths of a few items do not use up; 3 without
    /// `workqueue-worker`)
    #[arg(long, value_name = "N")]
    backoff_limit: Option<u32>,
    /// Refuse to create more pods than this in total
    #[arg(long, value_name = "N", default_value_t = 1000)]
    max_pods: u32,
    /// Create the Job and return at once
    #[arg(short, long)]
    pub(super) detach: bool,
    #[command(flatten)]
    queue: QueueSpecFlags,
    /// Read values from this file; later files override earlier ones
    #[arg(long = "values", value_name = "FILE", value_delimiter = ',', help_heading = "Chart")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    values: ValueFlags,
    #[command(flatten)]
    pub(super) cluster: ClusterFlags,
    #[command(flatten)]
    pub output: OutputFlags,
    /// Stop following after this time (0: never); the Job continues
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    pub(super) timeout: Duration,
    /// Stop following if no pod of the run has started after this time (0: never); the Job continues
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    pub(super) start_timeout: Duration,
}

impl RunArgs {
    /// The image, which clap has seen to be there.
    fn image(&self) -> String {
        self.image.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

/// The default for the most bytes of an output.
const OUTPUT_LIMIT: u64 = 1 << 20;

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

pub async fn run(args: RunArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let output = args.output;
    let (cluster, plan) = prepare(&args, run_plan(&args)?, ui).await?;
    let queue = plan.queue.name.clone();
    let deadline = deadline_after(args.timeout);
    let images = RunImages {
        worker: Some(plan.image.clone()),
        inject: plan.worker.injected().cloned(),
        brings_worker: plan.worker == Worker::Injected(None),
    };
    let pods = RunPods {
        release: plan.release.clone(),
        chart: plan.chart.clone(),
        images,
        parallelism: plan.parallelism,
    };
    let starting = start(&cluster, plan, ui, ui.interrupted());
    let started = match quick::beside(starting, quick::of_run(&cluster, pods, ui)).await {
        Ok(started) => started,
        Err(error) => {
            let target = BrokerTarget::Release(cluster, args.cluster.release);
            return Err(with_queues(&target, error).await.into());
        }
    };
    let job = match started {
        Started::Job { job, new } => {
            ui.done();
            ui.status(&report::started(&job, &queue, new));
            job
        }
        Started::Nothing => {
            ui.status(&report::nothing_to_do(&queue));
            return Ok(ExitStatus::Success);
        }
        Started::NotEnqueued(report, error) => return not_enqueued(ui, output, &queue, &report, error),
    };
    if args.detach {
        if output.is_json() {
            ui.json(&RunJson::from(&job));
        }
        ui.status(&report::how_to_follow(&job));
        return Ok(ExitStatus::Success);
    }
    let following = FollowPlan {
        deadline,
        start_timeout: args.start_timeout,
        if_stuck: IfStuck::Delete,
        logs: LogSelection::default(),
    };
    let followed = follow(&cluster, &args.cluster.release, job, following, ui, ui.interrupted()).await?;
    print_end(ui, &followed, output)
}

/// Connects, and builds the image if the flags say so.
pub(super) async fn prepare(
    args: &RunArgs,
    mut plan: RunPlan,
    ui: &Ui,
) -> Result<(Cluster, RunPlan), Failure> {
    let building = build_plan(args, ui)?;
    let starts_image = args.worker.starts_image(&args.program);
    if starts_image && building.is_none() {
        plan.program = entry_point(args, &plan.image).await?;
    }
    let cluster = args.cluster.connect().await?;
    if let Some(building) = building {
        check(&cluster, &plan).await?;
        build_first(&building, &args.cluster.target(), &mut plan, ui).await?;
        if starts_image {
            plan.program = entry_point(args, &plan.image).await?;
        }
    }
    Ok((cluster, plan))
}

/// What the image starts, for a program that stays: the worker is started in its place, and starts it.
async fn entry_point(args: &RunArgs, image: &str) -> Result<Vec<String>, Failure> {
    let Ok(image) = image.parse::<Reference>() else { return Ok(Vec::new()) };
    let engine = args.build_flags.engine(OutputMode::Kept);
    Ok(engine.entry_point(&image).await.map_err(Error::from)?)
}

/// The run that the flags ask for.
pub(super) fn run_plan(args: &RunArgs) -> Result<RunPlan, Failure> {
    let worker = args.worker.worker(&args.program)?;
    // amqp-consume replaces nothing.
    if !matches!(worker, Worker::AmqpConsume) {
        let checked = arguments::check(&args.program, args.worker.runtime.runtime_api);
        checked.map_err(|error| usage::misplaced_item(&error))?;
    }
    if args.outputs && !worker.keeps_ledger() {
        return Err(usage::outputs_need_worker());
    }
    if args.output_limit.is_some() && !args.outputs {
        return Err(usage::no_outputs_to_limit());
    }
    let mode = args.worker.mode(args.mode.map(Mode::from), &worker)?;
    if args.files.iter().any(|file| file.as_os_str() == "-") {
        return Err(usage::values_from_stdin());
    }
    let (queue, items) = (args.queue.spec(), args.items.source());
    Ok(RunPlan {
        release: args.cluster.release.clone(),
        must_exist: items.is_none() && !is_default(&queue.name),
        queue,
        items,
        batch: None,
        max_item_size: args.items.max_item_size,
        enqueue_timeout: NO_PROGRESS,
        image: args.image(),
        mode,
        worker,
        work: args.worker.work(),
        program: args.program.clone(),
        script: args.worker.script()?,
        outputs: args.outputs.then(|| OutputsPlan { limit: args.output_limit.unwrap_or(OUTPUT_LIMIT) }),
        parallelism: args.parallelism,
        backoff_limit: args.backoff_limit,
        max_pods: args.max_pods,
        chart: args.values.plan(&args.files),
    })
}

/// Says why no Job was created.
pub(super) fn not_enqueued(
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
    ui.status(&report::no_job(enqueued.confirmed));
    error.map_or(Ok(()), Err)?;
    reports::enqueue::failure(queue, enqueued).map_or(Ok(ExitStatus::NotEnqueued), Err)
}

/// What to build before the run, if anything.
fn build_plan(args: &RunArgs, ui: &Ui) -> Result<Option<BuildPlan>, Failure> {
    let Some(context) = &args.build else {
        let uses_engine = args.worker.starts_image(&args.program);
        return if args.build_flags.is_given(uses_engine) {
            Err(usage::nothing_to_build())
        } else {
            Ok(None)
        };
    };
    let image = image_name(&args.image()).map_err(usage::image_to_build)?;
    // Before anybody is asked.
    std::fs::metadata(context)
        .map_err(|source| Error::Image(image::Error::Read { path: context.clone(), source }))?;
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
    // The engine speaks for itself.
    ui.done();
    let report = build(building, target, ui, ui.interrupted()).await?;
    if report.location != ImageLocation::Engine {
        ui.status(&reports::build::summary(building, &report));
    }
    if report.location != ImageLocation::Registry && report.image.is_always_pulled() {
        // The nodes have it, and no registry does. The user's own --set comes after this one.
        plan.chart.set.insert(0, "worker.imagePullPolicy=IfNotPresent".to_owned());
    }
    plan.image = report.image.to_string();
    Ok(())
}
