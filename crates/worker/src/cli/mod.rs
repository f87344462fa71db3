//! The worker's executable: reads its command line and environment, and runs the event loop over a
//! broker's queue.

mod console;
pub mod flags;
mod install;
mod signals;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::output::console;
use crate::platform::host_name;
use crate::script::{self, SCRIPT_DIR};
use crate::{
    Ending, Error, MAX_DEATHS, Reaper, StopSignal, WorkerMode, WorkerPlan, arguments, limits, run as work,
};
use console::{Log, say, write_out};
use flags::{RuntimeFlags, WorkFlags};
use workqueue_amqp::Endpoint;
use workqueue_amqp::consumer::{BrokerQueue, ConsumerPlan, DEAD_AFTER, LedgerPlan};
use workqueue_core::causes::with_causes;
use workqueue_core::duration::duration;
use workqueue_core::names::QueueName;
use workqueue_core::output::LARGEST_OUTPUT;
use workqueue_core::record::{ResultRecord, Status, WorkerLocation};
use workqueue_core::words::count;

pub use signals::stop_signals;

/// Exit codes that do not depend on an item.
const ERROR: u8 = 1;
const USAGE: u8 = 2;

/// What shells answer for a program that they cannot start.
const CANNOT_EXECUTE: u8 = 126;

/// The time between the end of the grace period and the end of a pod, with a margin.
const AFTER_GRACE: Duration = Duration::from_secs(15);

/// Take items from a queue and run a program for each
///
/// The item is on the program's standard input, or in the place of `{}` in its arguments.
/// An item is done when its program exits with 0. BROKER_URL and QUEUE name the queue.
#[derive(Debug, Parser)]
#[command(name = "workqueue-worker", version, max_term_width = 100, args_conflicts_with_subcommands = true)]
struct WorkerArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copy this executable into a directory, for an init container
    Install {
        /// The directory, created if it does not exist
        directory: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Process one item, then exit with its program's status
    #[arg(long, conflicts_with_all = ["drain", "forever", "halt"])]
    once: bool,
    /// Process items until none are left (the default)
    #[arg(long, conflicts_with = "forever")]
    drain: bool,
    /// Process items until a signal arrives
    #[arg(long)]
    forever: bool,
    /// With --once: exit with 0 even if the item has failed, once it is safe in QUEUE.failed
    #[arg(long)]
    settled_is_success: bool,
    /// Process this many items concurrently
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    #[command(flatten)]
    work: WorkFlags,
    #[command(flatten)]
    runtime: RuntimeFlags,
    /// Move an item to QUEUE.failed once this many workers have died while they ran it; the first
    /// death is not counted, because only items that came back are marked
    #[arg(long, value_name = "N", default_value_t = MAX_DEATHS)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    max_deaths: u32,
    /// With --halt: do not count this many items of QUEUE.failed, which failed before the run
    /// (default: those that are there at the start)
    #[arg(long, value_name = "N", requires = "halt")]
    failed_before: Option<u64>,
    /// Stay for at least this long after the start while other workers hold items, even without
    /// items of its own (default: as long as a broker may need to notice that a worker is dead)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    idle_timeout: Option<Duration>,
    /// Give up when the broker cannot be reached for this long
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    connect_timeout: Duration,
    /// Publish no records of results
    #[arg(long)]
    no_results: bool,
    /// Record how each item ended in the ledger of the run, which WORKQUEUE_RUN names: QUEUE.ledger.RUN and
    /// QUEUE.outcomes.RUN must exist
    #[arg(long)]
    ledger: bool,
    /// With --ledger: keep what each item's successful attempt writes to standard output, and do not log
    /// it. QUEUE.outputs.RUN must exist
    #[arg(long, requires = "ledger")]
    outputs: bool,
    /// With --outputs: keep so many bytes of an item's output, and cut what is longer
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, requires = "outputs")]
    #[arg(value_parser = clap::value_parser!(u64).range(..=LARGEST_OUTPUT))]
    output_limit: u64,
    /// Stay while the queue QUEUE.input.RUN exists: there may be more items
    #[arg(long, requires = "ledger", conflicts_with = "once")]
    await_input: bool,
    /// Before the first item, copy the files of a script from this directory into /run/workqueue/script
    #[arg(long, value_name = "DIR", requires = "script_sha256")]
    script_source: Option<PathBuf>,
    /// With --script-source: the digest that the files must have
    #[arg(long, value_name = "DIGEST", requires = "script_source")]
    script_sha256: Option<String>,
    /// Log when each item starts and when it is done
    #[arg(short, long)]
    verbose: bool,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// Runs the worker with a command line (the program's name first) and returns its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match WorkerArgs::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            // A reader that has closed the pipe has seen enough of the help.
            error.print().ok();
            return code.into();
        }
    };
    let result = match args.command {
        Some(Command::Install { directory }) => match install::install(&directory) {
            Ok(target) => {
                println!("{}", target.display());
                Ok(0)
            }
            Err(error) => Err(format!("cannot install into {}: {error}", directory.display())),
        },
        None => start(args.run),
    };
    let code = result.unwrap_or_else(|message| {
        say(&format!("error: {message}"));
        ERROR
    });
    console::flush();
    code.into()
}

fn start(args: RunArgs) -> Result<u8, String> {
    if let (Some(source), Some(sha256)) = (&args.script_source, &args.script_sha256)
        && let Err(error) = script::place(source, Path::new(SCRIPT_DIR), sha256)
    {
        say(&format!("error: {error}"));
        return Ok(CANNOT_EXECUTE);
    }
    let settled_is_success = args.settled_is_success;
    let (mut consumer, mut plan, verbose) = plans(args)?;
    let (fits, reason) = limits::fit(plan.concurrency, limits::PerItem::of(&plan));
    if let Some(reason) = reason {
        say(&reason);
        (plan.concurrency, consumer.concurrency) =
            (fits, u16::try_from(fits).unwrap_or(consumer.concurrency));
    }
    // One thread: the programs need the processors.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let result = runtime.block_on(async {
        let (console, chunks_rx) = console();
        let writer = write_out(chunks_rx).map_err(|error| format!("cannot start: {error}"))?;
        let stop_rx = stop_signals().map_err(|error| format!("cannot listen for signals: {error}"))?;
        let reaper = Reaper::default();
        let reaping = tokio::spawn(reaper.clone().run());
        let queue = BrokerQueue::open(consumer);
        let result = work(queue, plan, stop_rx, console, reaper, Log { verbose }).await;
        reaping.abort();
        Ok::<_, String>((result, writer))
    });
    let (result, writer) = result?;
    // Drops the tasks that still hold the console, so that its thread ends.
    runtime.shutdown_timeout(Duration::from_millis(100));
    writer.join().ok();
    let report = match result {
        Ok(report) => report,
        Err(error) => {
            say(&format!("error: {}", with_causes(&error)));
            return Ok(error_code(&error));
        }
    };
    if report.done + report.failed > 1 {
        say(&format!("{} done, {} failed", count(report.done, "item"), report.failed));
    }
    Ok(match report.ending {
        // A Job would replace a pod that fails.
        Ending::Drained | Ending::Halted => 0,
        Ending::Once(record) => exit_code(&record, settled_is_success),
        Ending::Stopped(StopSignal::Interrupt) => 130,
        Ending::Stopped(StopSignal::Terminate) => 143,
    })
}

/// For a program that cannot be started the codes of shells: 127 if there is none, otherwise 126.
fn error_code<Q: std::error::Error>(error: &Error<Q>) -> u8 {
    match error {
        Error::Program { source, .. } if source.kind() == std::io::ErrorKind::NotFound => 127,
        Error::Program { .. } => CANNOT_EXECUTE,
        Error::Queue(_) => ERROR,
    }
}

/// The program's exit status; 124 for its time limit, as in timeout(1), and 128 plus the signal, as in
/// shells.
fn exit_code(record: &ResultRecord, settled_is_success: bool) -> u8 {
    if record.status == Status::Done || settled_is_success {
        return 0;
    }
    let code = match (record.exit, record.signal) {
        _ if record.reason == Some(workqueue_core::record::Reason::Timeout) => 124,
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => ERROR.into(),
    };
    u8::try_from(code).unwrap_or(ERROR)
}

fn plans(args: RunArgs) -> Result<(ConsumerPlan, WorkerPlan, bool), String> {
    let url = variable("BROKER_URL").ok_or("BROKER_URL is not set")?;
    let read = |file| std::fs::read_to_string(&file).map_err(|error| format!("cannot read {file}: {error}"));
    let authorities = variable("BROKER_CA_FILE").map(read).transpose()?;
    let endpoint = Endpoint::parse(&url, authorities).map_err(|error| format!("BROKER_URL: {error}"))?;
    let queue: QueueName =
        variable("QUEUE").ok_or("QUEUE is not set")?.parse().map_err(|error| format!("QUEUE: {error}"))?;
    let runtime = args.runtime.plan();
    let checked = arguments::check(&args.program, runtime.is_some());
    checked.map_err(|error| format!("{error}; {}", error.hint()))?;
    let location = location();
    let mode = match (args.once, args.forever) {
        (true, _) => WorkerMode::Once,
        (_, true) => WorkerMode::Forever,
        _ => WorkerMode::Drain,
    };
    let run = variable("WORKQUEUE_RUN");
    let ledger = match (args.ledger, &run) {
        // One that comes and goes for a single item would only hand the keeping on.
        (true, Some(run)) => {
            Some(LedgerPlan { run: run.clone(), keeps: mode != WorkerMode::Once, outputs: args.outputs })
        }
        (true, None) => return Err("WORKQUEUE_RUN is not set, and --ledger needs it".to_owned()),
        (false, _) => None,
    };
    let concurrency = if mode == WorkerMode::Once { 1 } else { items_at_a_time(&args)? };
    let consumer = ConsumerPlan {
        endpoint,
        queue: queue.clone(),
        concurrency,
        results: !args.no_results,
        input: ledger.as_ref().filter(|_| args.await_input).map(|ledger| queue.input(&ledger.run)),
        ledger,
        give_up_after: args.connect_timeout,
        purpose: format!("workqueue-worker {}", location.host),
    };
    let plan = WorkerPlan {
        program: args.program,
        runtime,
        mode,
        concurrency: concurrency.into(),
        retries: args.work.retries,
        backoff: args.work.backoff,
        item_timeout: args.work.limit(),
        grace: args.work.grace,
        halt: args.work.halt,
        failed_before: args.failed_before,
        max_deaths: args.max_deaths,
        linger: args.idle_timeout.unwrap_or(DEAD_AFTER.max(args.work.grace + AFTER_GRACE)),
        queue: queue.to_string(),
        run,
        location,
        grouped: false,
        // A pod's log has lines.
        end_lines: true,
        keep_output: args.outputs.then(|| usize::try_from(args.output_limit).unwrap_or(usize::MAX)),
        capture: None,
    };
    Ok((consumer, plan, args.verbose))
}

/// The items that all programs together work on at a time.
fn items_at_a_time(args: &RunArgs) -> Result<u16, String> {
    let items = args.concurrency.checked_mul(args.runtime.runtime_concurrency);
    items.ok_or_else(|| format!("--concurrency times --runtime-concurrency is more than {}", u16::MAX))
}

/// Where this process runs, for records. The chart sets the variables; a pod's host name is its name.
pub fn location() -> WorkerLocation {
    let host = host_name();
    let in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let pod = variable("POD_NAME").or_else(|| in_pod.then(|| host.clone()));
    WorkerLocation { host, pod, node: variable("NODE_NAME") }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
