//! `__reference`: writes the command reference, `docs/reference/commands.md`, from the command tree.

use std::fmt::Write as _;

use clap::builder::StyledStr;
use clap::{Arg, Command, CommandFactory as _};

use super::Cli;
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};

/// The heading of flags without one.
const OPTIONS: &str = "Options";

const HEAD: &str = "\
<!-- Written by `UPDATE_REFERENCE=1 cargo test --test reference`, which compares it otherwise. -->

# Command reference

The [exit codes](exit-codes.md) and the [JSON reports](json.md) have pages of their own.

";

pub fn run(ui: &Ui) -> Result<ExitStatus, Failure> {
    ui.data(reference().trim_end().as_bytes());
    Ok(ExitStatus::Success)
}

/// The reference as Markdown.
fn reference() -> String {
    let mut root = Cli::command();
    root.build();
    let mut text = HEAD.to_owned();
    text += &paragraphs(root.get_long_about());
    text += "\n| Command | What it does |\n| --- | --- |\n";
    for sub in commands(&root) {
        let (name, about) = (sub.get_name(), plain(sub.get_about()));
        _ = writeln!(text, "| [`{name}`](#kubectl-workqueue-{name}) | {about} |");
    }
    text += "\nAll commands have these flags:\n\n";
    let global = |arg: &&Arg| arg.is_global_set();
    text += &list(root.get_arguments().filter(global));
    for sub in commands(&root) {
        text += &section(sub);
    }
    text
}

fn commands(root: &Command) -> impl Iterator<Item = &Command> {
    root.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
}

/// The section of a command and those of its subcommands, all under headings of one level.
fn section(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let title = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let about = paragraphs(command.get_long_about().or(command.get_about()));
    let mut text = format!("\n## {title}\n\n{about}\n```\n{usage}\n```\n");
    let subcommands: Vec<&Command> = commands(command).collect();
    if !subcommands.is_empty() {
        text += "\n| Subcommand | What it does |\n| --- | --- |\n";
    }
    for sub in &subcommands {
        let anchor = sub.get_bin_name().unwrap_or_default().replace(' ', "-");
        _ = writeln!(text, "| [`{}`](#{anchor}) | {} |", sub.get_name(), plain(sub.get_about()));
    }
    text += &arguments(command);
    text + &subcommands.into_iter().map(section).collect::<String>()
}

/// The arguments and flags of a command, under their headings.
fn arguments(command: &Command) -> String {
    let own = |arg: &&Arg| {
        !arg.is_global_set() && !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str())
    };
    let arguments: Vec<&Arg> = command.get_arguments().filter(own).collect();
    let heading = |arg: &Arg| {
        if arg.is_positional() { "Arguments" } else { arg.get_help_heading().unwrap_or(OPTIONS) }.to_owned()
    };
    let mut headings = vec!["Arguments".to_owned(), OPTIONS.to_owned()];
    for arg in &arguments {
        if !headings.contains(&heading(arg)) {
            headings.push(heading(arg));
        }
    }
    let mut text = String::new();
    for name in headings {
        let items = list(arguments.iter().copied().filter(|arg| heading(arg) == name));
        if !items.is_empty() {
            _ = write!(text, "\n{name}:\n\n{items}");
        }
    }
    text
}

fn list<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    arguments.map(item).collect()
}

fn item(arg: &Arg) -> String {
    let help = plain(arg.get_long_help().or(arg.get_help())).replace('\n', " ");
    let mut notes = Vec::new();
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        notes.push(format!("default: `{}`", defaults.join(" ")));
    }
    let possible: Vec<String> =
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if !possible.is_empty() && arg.get_action().takes_values() {
        notes.push(format!("one of: {}", possible.join(", ")));
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
    format!("- `{}` — {help}{notes}\n", spelling(arg))
}

/// An argument as it is typed: `-n, --namespace <NAME>`.
fn spelling(arg: &Arg) -> String {
    let names: Vec<String> = arg
        .get_short()
        .map(|short| format!("-{short}"))
        .into_iter()
        .chain(arg.get_long().map(|long| format!("--{long}")))
        .collect();
    let values: Vec<String> =
        arg.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>")).collect();
    let values = if arg.get_action().takes_values() { values.join(" ") } else { String::new() };
    let values = match arg.is_require_equals_set() {
        true => format!("[={values}]"),
        false if names.is_empty() || values.is_empty() => values,
        false => format!(" {values}"),
    };
    format!("{}{values}", names.join(", "))
}

fn paragraphs(text: Option<&StyledStr>) -> String {
    plain(text).trim_end().to_owned() + "\n"
}

fn plain(text: Option<&StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}
