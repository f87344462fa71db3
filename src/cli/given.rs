//! The flags for the cluster, the release and the queue that the user gave, and the commands that take them.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use crate::ui::commands::Commands;

/// Flags that say where. Those with a password are left out.
const WHERE: [&str; 7] =
    ["queue", "release", "namespace", "context", "kubeconfig", "broker-secret", "broker-ca"];

/// What was given on a command line.
pub(super) fn of(root: &Command, matches: &ArgMatches) -> Commands {
    let mut leaf = matches;
    while let Some((_, deeper)) = leaf.subcommand() {
        leaf = deeper;
    }
    let given = WHERE.iter().filter_map(|&flag| Some((flag.to_owned(), value_of(leaf, flag)?)));
    let mut takes = Vec::new();
    commands_below(root, "", &mut takes);
    Commands::new(given.collect(), takes)
}

/// The value of a flag on the command line. An empty one is none, as for kubectl.
fn value_of(matches: &ArgMatches, flag: &str) -> Option<String> {
    let id = flag.replace('-', "_");
    if !matches.try_contains_id(&id).ok()? || matches.value_source(&id) != Some(ValueSource::CommandLine) {
        return None;
    }
    let value = matches.get_raw(&id)?.next_back()?.to_string_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}

fn commands_below(command: &Command, words: &str, takes: &mut Vec<(String, Vec<String>)>) {
    for sub in command.get_subcommands() {
        let name = format!("{words}{}", sub.get_name());
        if sub.has_subcommands() {
            commands_below(sub, &format!("{name} "), takes);
        } else {
            // Those that are hidden stand before the command.
            let shown = sub.get_arguments().filter(|arg| !arg.is_hide_set());
            let flags = shown.filter_map(|arg| arg.get_long());
            takes.push((name, flags.filter(|flag| WHERE.contains(flag)).map(str::to_owned).collect()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command_line;

    #[test]
    fn what_was_given_is_found_and_defaults_are_not() {
        let mut root = command_line();
        let args = ["kubectl-workqueue", "failed", "list", "--queue", "q", "-nns", "--context="];
        let matches = root.try_get_matches_from_mut(args).expect("a legal command line");
        let commands = of(&root, &matches);
        let given =
            [("queue", "q"), ("namespace", "ns")].map(|(flag, value)| (flag.to_owned(), value.to_owned()));
        assert_eq!(commands.given, given);
        let before = ["kubectl-workqueue", "-nns", "--release=r", "failed", "list", "--release", "r2"];
        let matches = root.try_get_matches_from_mut(before).expect("a legal command line");
        let given =
            [("release", "r2"), ("namespace", "ns")].map(|(flag, value)| (flag.to_owned(), value.to_owned()));
        assert_eq!(of(&root, &matches).given, given, "before the command, too; the last one counts");
        let takes = |name: &str| {
            let found = commands.takes.iter().find(|(words, _)| words == name);
            found.map(|(_, flags)| flags.join(" ")).expect("it is a command")
        };
        assert_eq!(takes("build"), "namespace context kubeconfig");
        assert_eq!(takes("local"), "");
        assert_eq!(takes("failed retry"), "queue namespace context kubeconfig release");
        assert!(takes("enqueue").contains("broker-secret"));
    }
}
