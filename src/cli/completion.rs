//! `completion`: the completion script of a shell.

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use super::Cli;
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};

/// Print a completion script for `kubectl-workqueue`
///
/// `kubectl workqueue` does not need it: kubectl 1.26 and later call the executable
/// `kubectl_complete-workqueue`, which the installer puts next to the plugin, and which also
/// completes the names of queues, runs and releases.
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
