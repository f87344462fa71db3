//! `local`: works on items on this machine.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tokio::sync::mpsc;

use super::flags::Output;
use super::items::ItemFlags;
use crate::action::local::{LocalPlan, LocalReport, local};
use crate::error::{ExitStatus, Failure};
use crate::ui::Ui;
use workqueue_core::names::random_suffix;
use workqueue_worker::cli::flags::WorkFlags;
use workqueue_worker::cli::{location, stop_signals};
use workqueue_worker::{StopSignal, WorkerMode, WorkerPlan};

/// Work on items on this machine, without a cluster and without a broker
///
/// Starts the program once for each item, exactly as a worker in a pod does: the item is on its
/// standard input, and in the place of an argument that is `{}`; WORKQUEUE_ITEM_ID and
/// WORKQUEUE_ATTEMPT are in its environment. An item is done when the program exits with 0; a
/// failed attempt is repeated, unless it exited with 65.
///
/// With one item at a time the program's output passes unchanged; with several each line starts
/// with the item's number and a tab.
///
/// Exits with 0 if every item is done, and with 6 if some have failed.
#[derive(Debug, Args)]
pub struct LocalArgs {
    #[command(flatten)]
    items: ItemFlags,
    /// The program to start for each item, and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
    /// Items at one time
    #[arg(short = 'j', long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    parallelism: u16,
    #[command(flatten)]
    work: WorkFlags,
    /// Write a log in the form of GNU parallel's: one line for each item
    #[arg(long, value_name = "FILE")]
    joblog: Option<PathBuf>,
    /// Write what the program says into DIR/NUMBER/stdout and DIR/NUMBER/stderr
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

/// The queue that programs see; there is none.
const QUEUE: &str = "local";

/// Characters of a run's name.
const RUN_LENGTH: usize = 5;

/// Runs the command.
pub async fn run(args: LocalArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let Some(source) = args.items.source() else {
        let hint = "give them as arguments before --, or as lines with -f FILE or -f -";
        return Err(Failure::new("there are no items", hint).with_status(ExitStatus::Usage));
    };
    let work = WorkerPlan {
        program: args.program,
        // The input says when it is over; a slow one is no empty queue.
        mode: WorkerMode::Forever,
        concurrency: args.parallelism.into(),
        retries: args.work.retries,
        backoff: args.work.backoff,
        item_timeout: args.work.limit(),
        grace: args.work.grace,
        halt: args.work.halt,
        failed_before: None,
        linger: std::time::Duration::ZERO,
        queue: QUEUE.to_owned(),
        run: Some(random_suffix(RUN_LENGTH)),
        location: location(),
        capture: args.results.clone(),
    };
    let max_item_size = args.items.max_item_size;
    let plan = LocalPlan { source, max_item_size, work, joblog: args.joblog, results: args.results };
    let signals = stop_signals().map_err(|error| Failure {
        message: format!("the program cannot listen for signals: {error}"),
        hint: None,
        status: ExitStatus::Error,
    })?;
    let (stop_tx, stop_rx) = mpsc::unbounded_channel();
    let (report, result) = tokio::select! {
        ended = local(plan, ui, stop_rx) => ended,
        // Never ends by itself.
        ended = stop(ui, signals, stop_tx) => match ended {},
    };
    ui.done();
    if args.output.is_json() {
        ui.json(&to_json(&report));
    }
    ui.status(&in_words(&report));
    result?;
    Ok(if report.interrupted {
        ExitStatus::Interrupted
    } else if report.failed > 0 {
        ExitStatus::ItemsFailed
    } else {
        ExitStatus::Success
    })
}

/// Passes signals on; a reader of standard output that has seen enough counts as one.
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

fn in_words(report: &LocalReport) -> String {
    let ended = match (report.interrupted, report.halted) {
        (true, _) => "; the others were not finished",
        (_, true) => "; halted, the others were not finished",
        _ => "",
    };
    let mut text = format!("{} items done, {} failed{ended}", report.done, report.failed);
    for record in &report.failures {
        text += &format!("\n  item {}: {}", record.id, record.how());
        if let Some(line) = record.stderr.tail.lines().last() {
            text += &format!(": {line}");
        }
    }
    let untold = report.failed - report.failures.len() as u64;
    if untold > 0 {
        text += &format!("\n  and {untold} more");
    }
    text
}

pub(super) fn to_json(report: &LocalReport) -> serde_json::Value {
    json!({
        "done": report.done,
        "failed": report.failed,
        "interrupted": report.interrupted,
        "halted": report.halted,
        "failures": report.failures,
    })
}
