//! What the shell asks for: the place in the command line, found with clap's own command tree.

use clap::{Arg, Command};

use crate::cluster::Target;
use workqueue_core::names::{QueueName, ReleaseName};

/// What the shell asks for.
pub(super) struct Question<'a> {
    pub(super) command: &'a Command,
    pub(super) place: Place<'a>,
    /// What each candidate has to start with.
    pub(super) typed: String,
    /// What the shell expects before each candidate: `--output=`.
    pub(super) lead: String,
    pub(super) given: Given,
}

/// Where in the command line the shell asks.
pub(super) enum Place<'a> {
    Subcommand,
    Flag,
    Value(&'a Arg),
    /// After `--`: the user's program.
    Program,
}

/// Flags among the words that say where to look for names.
#[derive(Default)]
pub(super) struct Given {
    pub(super) target: Target,
    pub(super) release: Option<ReleaseName>,
    pub(super) queue: Option<QueueName>,
}

impl Given {
    fn take(&mut self, flag: &str, value: &str) {
        match flag {
            "namespace" => self.target.namespace = Some(value.to_owned()),
            "context" => self.target.context = Some(value.to_owned()),
            "kubeconfig" => self.target.kubeconfig = Some(value.into()),
            "release" => self.release = value.parse().ok(),
            "queue" => self.queue = value.parse().ok(),
            _ => {}
        }
    }
}

impl<'a> Question<'a> {
    /// Reads the words, of which the last one is to be completed.
    pub(super) fn of(root: &'a Command, words: &[String]) -> Self {
        let (last, before) =
            words.split_last().map_or(("", [].as_slice()), |(last, before)| (last.as_str(), before));
        let before = Before::read(root, before);
        let (place, typed, lead) = before.place_of(last);
        let (typed, lead) = (typed.to_owned(), lead.to_owned());
        Self { command: before.command, place, typed, lead, given: before.given }
    }
}

/// What the words before the last one say.
struct Before<'a> {
    command: &'a Command,
    given: Given,
    /// A flag that still needs its value.
    pending: Option<&'a Arg>,
    positionals: usize,
    /// Whether there was `--`.
    program: bool,
}

impl<'a> Before<'a> {
    fn read(root: &'a Command, words: &[String]) -> Self {
        let mut before =
            Self { command: root, given: Given::default(), pending: None, positionals: 0, program: false };
        words.iter().for_each(|word| before.take(word));
        before
    }

    fn take(&mut self, word: &str) {
        if let Some(flag) = self.pending.take() {
            self.given.take(flag.get_id().as_str(), word);
        } else if self.program {
        } else if word == "--" {
            self.program = true;
        } else if let Some((flag, value)) = find_flag(self.command, word) {
            match value {
                Some(value) => self.given.take(flag.get_id().as_str(), value),
                None if takes_separate_value(flag) => self.pending = Some(flag),
                None => {}
            }
        } else if let Some(found) = self.command.find_subcommand(word) {
            self.command = found;
        } else if !word.starts_with('-') {
            self.positionals += 1;
        }
    }

    /// The place of the last word, the part of it to complete, and what comes before that part.
    fn place_of<'w>(&self, last: &'w str) -> (Place<'a>, &'w str, &'w str) {
        if let Some(flag) = self.pending {
            return (Place::Value(flag), last, "");
        }
        if self.program {
            return (Place::Program, last, "");
        }
        if let Some(equals) = last.find('=').filter(|_| last.starts_with("--"))
            && let Some((flag, _)) = find_flag(self.command, last)
        {
            let (lead, value) = last.split_at(equals + 1);
            return (Place::Value(flag), value, lead);
        }
        if last.starts_with('-') {
            return (Place::Flag, last, "");
        }
        if self.command.has_subcommands() {
            return (Place::Subcommand, last, "");
        }
        let mut open = self.command.get_positionals().filter(|arg| !arg.is_last_set());
        let next = open.find(|arg| arg.get_index() == Some(self.positionals + 1) || takes_many(arg));
        (next.map_or(Place::Flag, Place::Value), last, "")
    }
}

/// The flag that a word is, and the value in the same word.
fn find_flag<'a, 'w>(command: &'a Command, word: &'w str) -> Option<(&'a Arg, Option<&'w str>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        return Some((command.get_arguments().find(|arg| arg.get_long() == Some(name))?, value));
    }
    let mut letters = word.strip_prefix('-')?.chars();
    let letter = letters.next()?;
    let flag = command.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
    let rest = letters.as_str();
    Some((flag, (!rest.is_empty()).then_some(rest)))
}

fn takes_separate_value(flag: &Arg) -> bool {
    flag.get_action().takes_values() && !flag.is_require_equals_set()
}

fn takes_many(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|count| count.max_values() > 1)
}
