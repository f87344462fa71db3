//! The command line: one file per command, with its arguments and the call that runs it.

mod attach;
mod broker;
mod build;
mod chart;
mod complete;
mod completion;
mod diff;
mod doctor;
mod down;
mod enqueue;
mod failed;
mod flags;
mod given;
mod items;
mod local;
mod logs;
mod man;
mod map;
mod peek;
mod queues;
mod reference;
mod render;
mod results;
mod run;
mod scale;
mod status;
mod stop;
mod up;
mod worker;

use std::ffi::OsString;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::queue::spare::close_all;
use crate::ui::commands::Commands;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::{Data, Ui, Verbosity, usage};

/// Run a work queue on Kubernetes: a broker, a queue of items, and a Job that processes them.
///
/// `up` deploys the broker, `enqueue` fills a queue, `run` starts a Job over the queue and follows
/// it to its exit code, `down` deletes all of it. `render` prints every manifest for review.
///
/// -n, --context, --kubeconfig and --release may also come before the command.
#[derive(Debug, Parser)]
#[command(name = "kubectl-workqueue", bin_name = "kubectl workqueue", version, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    /// Print only data and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Print every step
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::BuildArgs),
    Up(up::UpArgs),
    Enqueue(enqueue::EnqueueArgs),
    Run(Box<run::RunArgs>),
    Map(Box<map::MapArgs>),
    Local(local::LocalArgs),
    Queues(queues::QueuesArgs),
    Peek(peek::PeekArgs),
    Dump(peek::DumpArgs),
    Purge(queues::PurgeArgs),
    Attach(attach::AttachArgs),
    Scale(scale::ScaleArgs),
    Pause(scale::PauseArgs),
    Resume(scale::ResumeArgs),
    Stop(stop::StopArgs),
    Delete(stop::DeleteArgs),
    Logs(logs::LogsArgs),
    Status(status::StatusArgs),
    Results(results::ResultsArgs),
    Failed(failed::FailedArgs),
    Diff(diff::DiffArgs),
    Doctor(doctor::DoctorArgs),
    Down(down::DownArgs),
    Render(render::RenderArgs),
    Chart(chart::ChartArgs),
    Completion(completion::CompletionArgs),
    #[command(name = "__complete", hide = true)]
    Complete(complete::CompleteArgs),
    /// Print docs/reference/commands.md
    #[command(name = "__reference", hide = true)]
    Reference,
    #[command(name = "__man", hide = true)]
    Man(man::ManArgs),
}

impl Command {
    /// What the command prints on stdout.
    fn data(&self) -> Data {
        match self {
            Self::Map(_) => Data::Outputs,
            _ if self.output().is_json() => Data::Report,
            _ => Data::Text,
        }
    }

    fn output(&self) -> flags::OutputFlags {
        match self {
            Self::Up(args) => args.output,
            Self::Enqueue(args) => args.output,
            Self::Run(args) => args.output,
            Self::Local(args) => args.output,
            Self::Queues(args) => args.target.output,
            Self::Peek(args) => args.target.output,
            Self::Dump(args) => args.target.output,
            Self::Purge(args) => args.target.output,
            Self::Attach(args) => args.output,
            Self::Logs(args) => args.output,
            Self::Scale(args) => args.run.output,
            Self::Pause(args) => args.run.output,
            Self::Resume(args) => args.run.output,
            Self::Stop(args) => args.output,
            Self::Status(args) => args.output,
            Self::Doctor(args) => args.output,
            Self::Failed(args) => args.output(),
            Self::Build(_)
            | Self::Chart(_)
            | Self::Complete(_)
            | Self::Completion(_)
            | Self::Delete(_)
            | Self::Diff(_)
            | Self::Down(_)
            | Self::Man(_)
            | Self::Map(_)
            | Self::Reference
            | Self::Render(_)
            | Self::Results(_) => flags::OutputFlags::default(),
        }
    }

    /// Whether it begins with questions to a cluster or a broker.
    fn asks(&self) -> bool {
        match self {
            Self::Enqueue(args) => !args.dry_run,
            Self::Build(_)
            | Self::Chart(_)
            | Self::Complete(_)
            | Self::Completion(_)
            | Self::Local(_)
            | Self::Man(_)
            | Self::Reference
            | Self::Render(_) => false,
            _ => true,
        }
    }

    /// Threads and drivers take time to start and to stop: commands that only compute have none.
    fn runtime(&self) -> std::io::Result<Runtime> {
        match self {
            Self::Chart(_) | Self::Completion(_) | Self::Man(_) | Self::Reference | Self::Render(_) => {
                Builder::new_current_thread().build()
            }
            _ => Builder::new_multi_thread().worker_threads(2).enable_all().build(),
        }
    }

    async fn run(self, ui: &Arc<Ui>) -> Result<ExitStatus, Failure> {
        match self {
            Self::Build(args) => build::run(args, ui).await,
            Self::Up(args) => up::run(args, ui).await,
            Self::Enqueue(args) => enqueue::run(args, ui).await,
            Self::Run(args) => run::run(*args, ui).await,
            Self::Map(args) => map::run(*args, ui).await,
            Self::Local(args) => local::run(args, ui).await,
            Self::Queues(args) => queues::queues(args, ui).await,
            Self::Peek(args) => peek::peek(args, ui).await,
            Self::Dump(args) => peek::dump(args, ui).await,
            Self::Purge(args) => queues::purge(args, ui).await,
            Self::Attach(args) => attach::run(args, ui).await,
            Self::Scale(args) => scale::scale(args, ui).await,
            Self::Pause(args) => scale::pause(args, ui).await,
            Self::Resume(args) => scale::resume(args, ui).await,
            Self::Stop(args) => stop::stop(args, ui).await,
            Self::Delete(args) => stop::delete(args, ui).await,
            Self::Logs(args) => logs::run(args, ui).await,
            Self::Status(args) => status::run(args, ui).await,
            Self::Results(args) => results::run(args, ui).await,
            Self::Failed(args) => failed::run(args, ui).await,
            Self::Diff(args) => diff::run(args, ui).await,
            Self::Doctor(args) => doctor::run(args, ui).await,
            Self::Down(args) => down::run(args, ui).await,
            Self::Render(args) => render::run(args, ui).await,
            Self::Chart(args) => chart::run(&args, ui),
            Self::Completion(args) => completion::run(&args, ui),
            Self::Complete(args) => complete::run(args, ui).await,
            Self::Reference => reference::run(ui),
            Self::Man(args) => man::run(&args),
        }
    }
}

/// Parses a command line and runs it.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitStatus {
    let (cli, commands) = match parse(args) {
        Ok(parsed) => parsed,
        Err(error) => {
            let status = if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Success };
            if error.kind() == ErrorKind::MissingSubcommand {
                // clap would list those that are hidden, too.
                Ui::new(Verbosity::default(), Data::Text).error(&usage::no_command());
                return status;
            }
            // A reader that has closed the pipe has read what it wanted.
            error.print().ok();
            return status;
        }
    };
    let verbosity = Verbosity { quiet: cli.quiet, verbose: cli.verbose };
    let ui = Arc::new(Ui::new(verbosity, cli.command.data()).with_commands(commands));
    match execute(cli.command, &ui) {
        Ok(status) => {
            ui.done();
            status
        }
        Err(failure) => {
            ui.error(&failure);
            failure.status
        }
    }
}

/// The command line with all of its flags.
fn command_line() -> clap::Command {
    Cli::command().args(flags::ClusterFlags::before_command())
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<(Cli, Commands), clap::Error> {
    let mut root = command_line();
    let matches = root.try_get_matches_from_mut(args)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut root))?;
    Ok((cli, given::of(&root, &matches)))
}

fn execute(command: Command, ui: &Arc<Ui>) -> Result<ExitStatus, Failure> {
    let runtime = command.runtime().map_err(|error| usage::impossible("start threads", &error))?;
    if command.asks() {
        ui.expect_answer();
    }
    let result = runtime.block_on(async {
        let result = command.run(ui).await;
        close_all().await;
        result
    });
    // A read of standard input cannot be cancelled: it must not keep the process alive.
    runtime.shutdown_background();
    match (result, ui.unwritable()) {
        (Ok(_), Some(error)) => Err(usage::unwritable(error)),
        (result, _) => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command_line().debug_assert();
    }

    #[test]
    fn usage_lines_start_with_kubectl_workqueue() {
        let mut command = command_line();
        command.build();
        for sub in command.get_subcommands_mut() {
            let usage = sub.render_usage().to_string();
            assert!(usage.starts_with("Usage: kubectl workqueue "), "{usage}");
        }
    }
}
