//! `__man`: man pages, written from the command tree.

use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};

use super::Cli;
use crate::error::{Error, cannot_write};
use crate::ui::failure::{ExitStatus, Failure};

/// Write a man page for each command
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The directory, created if it does not exist
    directory: PathBuf,
}

pub fn run(args: &ManArgs) -> Result<ExitStatus, Failure> {
    let directory = &args.directory;
    std::fs::create_dir_all(directory).map_err(|source| cannot_write(directory, source))?;
    let mut root = Cli::command().name("kubectl-workqueue").disable_help_subcommand(true);
    root.build();
    write(directory, &root)?;
    Ok(ExitStatus::Success)
}

/// Writes the page of a command and those of its subcommands.
fn write(directory: &Path, command: &Command) -> Result<(), Error> {
    let page = clap_mangen::Man::new(command.clone());
    let path = directory.join(page.get_filename());
    let mut text = Vec::new();
    page.render(&mut text).map_err(|source| cannot_write(&path, source))?;
    std::fs::write(&path, text).map_err(|source| cannot_write(&path, source))?;
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    shown.into_iter().try_for_each(|sub| write(directory, sub))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let directory = std::env::temp_dir().join(format!("workqueue-man-{}", std::process::id()));
        run(&ManArgs { directory: directory.clone() }).expect("pages are written");
        let page = |name: &str| std::fs::read_to_string(directory.join(format!("{name}.1")));
        for sub in Cli::command().get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let text = page(&format!("kubectl-workqueue-{}", sub.get_name())).expect("a page per command");
            assert!(text.contains(".SH SYNOPSIS"), "{text}");
        }
        let retry = page("kubectl-workqueue-failed-retry").expect("a page per subcommand");
        assert!(retry.contains("\\-\\-all"), "{retry}");
        let pages = std::fs::read_dir(&directory).expect("it was made").count();
        std::fs::remove_dir_all(&directory).expect("it is ours");
        let commands = Cli::command().get_subcommands().filter(|sub| !sub.is_hide_set()).count();
        let of_failed = 4;
        assert_eq!(pages, 1 + commands + of_failed, "hidden commands have no pages");
    }
}
