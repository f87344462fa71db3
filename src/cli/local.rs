//! `local`: processes items on this machine.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use tokio::sync::mpsc;

use super::flags::OutputFlags;
use super::items::ItemFlags;
use super::map::{FormatFlag, item_format};
use crate::items::InputSource;
use crate::local::{LocalPlan, Resume, local};
use crate::notice::{Observer as _, Warning};
use crate::results::printing::ItemSink;
use crate::run::script::Script;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::items::ItemPrinter;
use crate::ui::json::local::LocalJson;
use crate::ui::{Ui, reports, usage};
use workqueue_core::names::random_suffix;
use workqueue_worker::cli::flags::{RuntimeFlags, WorkFlags};
use workqueue_worker::cli::{location, stop_signals};
use workqueue_worker::{MAX_DEATHS, RUNS_PROGRAMS, StopSignal, WorkerMode, WorkerPlan, arguments, limits};

/// Process items on this machine, without a cluster and without a broker
///
/// Reads items from standard input, unless some are given, as `map` does.
/// Starts the program once for each item, exactly as a worker in a pod does: the item is in place of
/// `{}` in its arguments, or if there is none, on its standard input. WORKQUEUE_ITEM_ID and
/// WORKQUEUE_ATTEMPT are in its environment. The item is done when the program exits with 0.
/// Otherwise it is tried again, unless the program exited with 65. With --runtime-api, -j programs are
/// started once and ask for their items.
///
/// The output of each item is printed as a whole once its program has ended. --line-buffer prints
/// it at once. -k, --tag and --format are those of `map`.
///
/// Exits with 0 if every item is done, and with 6 if some have failed.
#[derive(Debug, Args)]
pub struct LocalArgs {
    #[command(flatten)]
    items: ItemFlags,
    /// The program to start for each item, and its arguments; with --script, the script's arguments
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
    /// Start this script for each item, or the script `main` or `main.*` in this directory, as `map` and
    /// `run` do in the pods: with the interpreter of its first line, which this machine must have
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    script: Option<PathBuf>,
    /// Process this many items concurrently
    #[arg(short = 'j', long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    parallelism: u16,
    #[command(flatten)]
    work: WorkFlags,
    #[command(flatten)]
    runtime: RuntimeFlags,
    /// Print the output of the last attempt at an item as a whole, unchanged, once it has ended (the
    /// default). What attempts before it printed is left out
    #[arg(long, conflicts_with = "line_buffer")]
    group: bool,
    /// Print outputs in the order of the items. What has to wait for an earlier item lies in a file
    #[arg(short, long, conflicts_with = "line_buffer")]
    keep_order: bool,
    /// Print the item and a tab before each line of standard output
    #[arg(long, conflicts_with_all = ["line_buffer", "format"])]
    tag: bool,
    /// Print a JSON document a line for each item: id, status, item and output
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["line_buffer", "output"])]
    format: Option<FormatFlag>,
    /// Print output at once, that of failed attempts too. With -j 1 it passes unchanged, otherwise
    /// line by line, with the number of the item and a tab before each
    #[arg(long)]
    line_buffer: bool,
    /// End the output of an item with a newline if its program did not, so that what items print does not
    /// share a line
    #[arg(long)]
    newline: bool,
    /// Write a log in the format of GNU parallel, one line per item
    #[arg(long, value_name = "FILE")]
    joblog: Option<PathBuf>,
    /// Continue with a --joblog: skip the items that are in it, done or failed. The input and the
    /// program must be the same
    #[arg(long, requires = "joblog")]
    resume: bool,
    /// Continue with a --joblog: skip only the items that were done, and process failed ones again
    #[arg(long, requires = "joblog")]
    resume_failed: bool,
    /// Write the program's output to DIR/NUMBER/stdout and DIR/NUMBER/stderr
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputFlags,
}

/// The queue that programs see; there is none.
const QUEUE: &str = "local";

/// Characters of a run's name.
const RUN_LENGTH: usize = 5;

pub async fn run(args: LocalArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    if !RUNS_PROGRAMS {
        return Err(usage::local_needs_process_groups());
    }
    let json = args.output.is_json();
    let program = args.command()?;
    let checked = arguments::check(&program, args.runtime.runtime_api);
    checked.map_err(|error| usage::misplaced_item(&error))?;
    let source = args.items.source_or_stdin(ui);
    let printer = ItemPrinter { ui, format: item_format(args.tag, args.format) };
    let is_whole = args.keep_order || args.tag || args.format.is_some();
    let sink = is_whole.then_some(&printer as &(dyn ItemSink + Sync));
    let mut plan = plan(args, program, source, is_whole);
    let (fits, reason) = limits::fit(plan.work.concurrency, limits::PerItem::of(&plan.work));
    if let Some(reason) = reason {
        ui.warn(Warning::Worker(&reason));
        plan.work.concurrency = fits;
    }
    let signals = stop_signals().map_err(|error| usage::impossible("listen for signals", &error))?;
    let (stop_tx, stop_rx) = mpsc::unbounded_channel();
    let (report, result) = tokio::select! {
        ended = local(plan, sink, ui, stop_rx) => ended,
        // Never ends by itself.
        ended = stop(ui, signals, stop_tx) => match ended {},
    };
    ui.done();
    if json {
        ui.json(&LocalJson::from(&report));
    }
    ui.status(&reports::local::summary(&report));
    result?;
    Ok(if report.interrupted {
        ExitStatus::Interrupted
    } else if report.failed > 0 {
        ExitStatus::ItemsFailed
    } else {
        ExitStatus::Success
    })
}

impl LocalArgs {
    /// What is started for each item.
    fn command(&self) -> Result<Vec<OsString>, Failure> {
        let Some(path) = &self.script else {
            return if self.program.is_empty() { Err(usage::no_program()) } else { Ok(self.program.clone()) };
        };
        let script = Script::read(path)?.command(path);
        let script = script.map_err(|error| usage::impossible("find the working directory", &error))?;
        Ok(script.into_iter().chain(self.program.iter().cloned()).collect())
    }
}

fn plan(args: LocalArgs, program: Vec<OsString>, source: InputSource, is_whole: bool) -> LocalPlan {
    let work = WorkerPlan {
        program,
        runtime: args.runtime.plan(),
        // The input says when it is over; a slow one is not an empty queue.
        mode: WorkerMode::Forever,
        concurrency: usize::from(args.parallelism) * usize::from(args.runtime.runtime_concurrency),
        retries: args.work.retries,
        backoff: args.work.backoff,
        item_timeout: args.work.limit(),
        grace: args.work.grace,
        halt: args.work.halt,
        failed_before: None,
        max_deaths: MAX_DEATHS,
        linger: std::time::Duration::ZERO,
        queue: QUEUE.to_owned(),
        run: Some(random_suffix(RUN_LENGTH)),
        location: location(),
        keep_output: is_whole.then_some(usize::MAX),
        grouped: !args.line_buffer,
        end_lines: args.newline,
        capture: args.results.clone(),
    };
    let max_item_size = args.items.max_item_size;
    let resume = match (args.resume, args.resume_failed) {
        (_, true) => Resume::Failed,
        (true, false) => Resume::Unfinished,
        (false, false) => Resume::Nothing,
    };
    let (joblog, results, keep_order) = (args.joblog, args.results, args.keep_order);
    LocalPlan { source, max_item_size, work, joblog, resume, results, keep_order }
}

/// Passes signals on. A reader that closes standard output counts as one.
async fn stop(
    ui: &Ui,
    mut signals: mpsc::UnboundedReceiver<StopSignal>,
    stop_tx: mpsc::UnboundedSender<StopSignal>,
) -> std::convert::Infallible {
    loop {
        let signal = tokio::select! {
            Some(signal) = signals.recv() => signal,
            () = ui.unread() => StopSignal::Terminate,
        };
        if stop_tx.send(signal).is_err() {
            std::future::pending::<()>().await;
        }
    }
}
