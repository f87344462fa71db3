//! `completion`: the completion script of a shell.

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use super::Cli;
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};

/// Print the completion script of a shell for `kubectl-workqueue`
///
/// `kubectl workqueue` needs none: kubectl (from 1.26 on) asks the executable
/// `kubectl_complete-workqueue`, which the installer puts beside the plugin, and gets the names of
/// queues, runs and releases too.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: ShellName,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ShellName {
    Bash,
    Elvish,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
    Zsh,
}

/// Runs the command.
pub fn run(args: &CompletionArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let shell = match args.shell {
        ShellName::Bash => Shell::Bash,
        ShellName::Elvish => Shell::Elvish,
        ShellName::Fish => Shell::Fish,
        ShellName::PowerShell => Shell::PowerShell,
        ShellName::Zsh => Shell::Zsh,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kubectl-workqueue", &mut script);
    ui.data(script.strip_suffix(b"\n").unwrap_or(&script));
    Ok(ExitStatus::Success)
}
