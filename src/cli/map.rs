//! `map`: enqueues items, runs a Job over them, and prints what each wrote.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use tokio::sync::watch;

use super::run::{RunArgs, not_enqueued, prepare, run_plan};
use crate::cluster::log_selection::LogSelection;
use crate::notice::deadline_after;
use crate::queue::input_gate::READ_AHEAD;
use crate::run::follow::{FollowPlan, IfStuck};
use crate::run::map::{MapPlan, Mapped, attach, map};
use crate::run::plan::Mode;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::items::{ItemFormat, ItemPrinter};
use crate::ui::reports::map::end;
use crate::ui::reports::{run as report, run_end};
use crate::ui::{Ui, usage};

/// Run a program over items in the cluster, and print what it writes for each
///
/// Reads items from standard input, unless some are given, puts them into the queue, and starts the
/// Job with the first of them. What the program writes to standard output is printed item by item,
/// each as a whole, while the input is still read. Logs and progress go to standard error. An item
/// whose program failed has no output; its exit code counts as with `run`.
///
/// Outputs wait on the broker until they are printed. Ctrl-C detaches: the Job continues with the
/// items that were read, and `map --attach` prints the rest. How far the printing came is saved after
/// each item in $XDG_STATE_HOME/kubectl-workqueue/map-RUN (by default under ~/.local/state). On
/// another machine, `--attach` prints what was not collected yet.
#[derive(Debug, Args)]
#[command(mut_arg("image", |arg| arg.required(false).required_unless_present("attach")))]
#[command(mut_arg("outputs", |arg| arg.hide(true)))]
#[command(mut_arg("detach", |arg| arg.hide(true)))]
#[command(mut_arg("output", |arg| arg.hide(true)))]
pub struct MapArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Print outputs in the order of the items. What has to wait for an earlier item lies in a file
    #[arg(short, long, help_heading = OUTPUTS)]
    keep_order: bool,
    /// Print the item and a tab before each line
    #[arg(long, conflicts_with = "format", help_heading = OUTPUTS)]
    tag: bool,
    /// Print a JSON document a line for each item: id, status, item and output
    #[arg(long, value_name = "FORMAT", help_heading = OUTPUTS)]
    format: Option<FormatFlag>,
    /// Stop reading the input while about so many items that were read wait for a worker, or to be printed
    #[arg(long, value_name = "N", default_value_t = READ_AHEAD, help_heading = OUTPUTS)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    read_ahead: u64,
    /// Do not save how far outputs were printed, where nothing can be written: if `map` is killed, outputs
    /// may be printed twice. With -k, those that wait for earlier ones are printed when it is stopped, and
    /// lost when it is killed
    #[arg(long, help_heading = OUTPUTS)]
    no_position: bool,
    /// Print what is left of the outputs of a run that `map` or `run --outputs` has started
    #[arg(long, value_name = "RUN", help_heading = OUTPUTS)]
    #[arg(conflicts_with_all = ["items", "file", "program", "build"])]
    attach: Option<String>,
}

/// The heading of the flags in the help; `flags.rs` says why each flag names it.
const OUTPUTS: &str = "Outputs";

/// The values of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatFlag {
    /// JSON lines, documented in docs/reference/json.md
    Jsonl,
}

/// How items are printed.
pub(super) fn item_format(tag: bool, format: Option<FormatFlag>) -> ItemFormat {
    match (tag, format) {
        (_, Some(FormatFlag::Jsonl)) => ItemFormat::JsonLines,
        (true, None) => ItemFormat::Tagged,
        (false, None) => ItemFormat::Plain,
    }
}

pub async fn run(mut args: MapArgs, ui: &Arc<Ui>) -> Result<ExitStatus, Failure> {
    if args.run.detach || args.run.output.is_json() {
        return Err(usage::not_in_map());
    }
    let sink = ItemPrinter { ui: Arc::clone(ui), format: item_format(args.tag, args.format) };
    let if_stuck = if args.attach.is_some() { IfStuck::Leave } else { IfStuck::Delete };
    let deadline = deadline_after(args.run.timeout);
    let following = FollowPlan {
        deadline,
        start_timeout: args.run.start_timeout,
        if_stuck,
        logs: LogSelection::default(),
    };
    let plan = MapPlan {
        following,
        keep_order: args.keep_order,
        saves_position: !args.no_position,
        read_ahead: args.read_ahead,
        sink: Arc::new(sink),
    };
    let (interrupted_tx, interrupted_rx) = watch::channel(false);
    let interrupting = async {
        ui.interrupted().await;
        interrupted_tx.send_replace(true);
        // Everything ends within seconds, unless something does not answer.
        ui.interrupted().await;
    };
    if let Some(run) = &args.attach {
        let cluster = args.run.cluster.connect().await?;
        let release = &args.run.cluster.release;
        let report = tokio::select! {
            report = attach(&cluster, release, run, plan, &**ui, interrupted_rx) => report?,
            () = interrupting => return Ok(given_up(ui)),
        };
        return print_end(ui, &report);
    }
    args.run.outputs = true;
    let mut run = run_plan(&args.run)?;
    if run.mode == Mode::Coarse {
        return Err(usage::map_needs_fine_mode());
    }
    run.items = Some(args.run.items.source_or_stdin(ui));
    run.must_exist = false;
    let (cluster, run) = prepare(&args.run, run, ui).await?;
    let queue = run.queue.name.clone();
    let mapped = tokio::select! {
        mapped = map(&cluster, run, plan, &**ui, interrupted_rx) => mapped?,
        () = interrupting => return Ok(given_up(ui)),
    };
    match mapped {
        Mapped::Run(report) => print_end(ui, &report),
        Mapped::Nothing => {
            ui.done();
            ui.status(&report::nothing_to_do(&queue));
            Ok(ExitStatus::Success)
        }
        Mapped::NotEnqueued(report, error) => not_enqueued(ui, args.run.output, &queue, &report, error),
    }
}

/// Ends at once, with things undone.
fn given_up(ui: &Ui) -> ExitStatus {
    ui.done();
    ui.status(run_end::GIVEN_UP);
    ExitStatus::Interrupted
}

fn print_end(ui: &Ui, report: &crate::run::map::MapReport) -> Result<ExitStatus, Failure> {
    ui.done();
    let (text, status) = end(report)?;
    ui.status(&text);
    Ok(status)
}
