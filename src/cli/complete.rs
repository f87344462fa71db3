//! `__complete`: answers kubectl, which asks what may follow the words typed so far.
//!
//! The answer is Cobra's: candidates one a line, a tab between a candidate and its description,
//! and `:DIRECTIVE` at the end, a sum of bits.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use clap::{Arg, Args, Command, CommandFactory as _, ValueHint};

use super::Cli;
use crate::candidates;
use crate::cluster::{Cluster, Target, kubeconfig};
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use workqueue_core::names::{QueueName, ReleaseName};

/// Directives: offer what was answered alone; let the shell offer files; directories alone.
const NO_FILES: u8 = 4;
const FILES: u8 = 0;
const DIRECTORIES: u8 = 16;

/// How long the cluster may take; Tab must not hang.
const TIMEOUT: Duration = Duration::from_millis(2500);

/// Answer a shell's question
#[derive(Debug, Args)]
pub struct CompleteArgs {
    /// The words typed after `kubectl workqueue`; the last one may be empty
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Runs the command. It never fails: there is nobody to tell.
pub async fn run(args: CompleteArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let words: Vec<String> = args.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut command = Cli::command();
    command.build();
    let question = Question::of(&command, &words);
    let answer = question.answer().await;
    for (candidate, about) in &answer.candidates {
        let line = if about.is_empty() { candidate.clone() } else { format!("{candidate}\t{about}") };
        ui.data(line.as_bytes());
    }
    ui.data(format!(":{}", answer.directive).as_bytes());
    Ok(ExitStatus::Success)
}

/// Candidates with descriptions, and what the shell is to do with them.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    candidates: Vec<(String, String)>,
    directive: u8,
}

/// What is being asked for.
struct Question<'a> {
    command: &'a Command,
    place: Place<'a>,
    /// What each candidate has to start with, and what of it the shell does not know to be typed.
    typed: String,
    lead: String,
    given: Given,
}

/// Where in the command line the question stands.
enum Place<'a> {
    Subcommand,
    Flag,
    Value(&'a Arg),
    /// After `--`: a program of the user's.
    Program,
}

/// Flags among the words that decide what cluster is asked.
#[derive(Default)]
struct Given {
    target: Target,
    release: Option<ReleaseName>,
    queue: Option<QueueName>,
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
    /// Reads the words with the flags of clap's own command tree.
    fn of(root: &'a Command, words: &[String]) -> Self {
        let (last, before) =
            words.split_last().map_or(("", [].as_slice()), |(last, before)| (last.as_str(), before));
        let mut command = root;
        let mut given = Given::default();
        let mut pending: Option<&Arg> = None;
        let mut positionals = 0;
        let mut program = false;
        for word in before {
            if let Some(flag) = pending.take() {
                given.take(flag.get_id().as_str(), word);
            } else if program {
            } else if word == "--" {
                program = true;
            } else if let Some((flag, value)) = find_flag(command, word) {
                match value {
                    Some(value) => given.take(flag.get_id().as_str(), value),
                    None if takes_separate_value(flag) => pending = Some(flag),
                    None => {}
                }
            } else if let Some(found) = command.find_subcommand(word) {
                command = found;
            } else if !word.starts_with('-') {
                positionals += 1;
            }
        }
        let question = |place, typed: &str, lead: &str| Self {
            command,
            place,
            typed: typed.to_owned(),
            lead: lead.to_owned(),
            given,
        };
        if let Some(flag) = pending {
            return question(Place::Value(flag), last, "");
        }
        if program {
            return question(Place::Program, last, "");
        }
        if let Some((name, value)) = last.split_once('=').filter(|_| last.starts_with("--"))
            && let Some((flag, _)) = find_flag(command, last)
        {
            return question(Place::Value(flag), value, &format!("{name}="));
        }
        if last.starts_with('-') {
            return question(Place::Flag, last, "");
        }
        if command.has_subcommands() {
            return question(Place::Subcommand, last, "");
        }
        let mut open = command.get_positionals().filter(|arg| !arg.is_last_set());
        let next = open.find(|arg| arg.get_index() == Some(positionals + 1) || takes_many(arg));
        match next {
            Some(arg) => question(Place::Value(arg), last, ""),
            None => question(Place::Flag, last, ""),
        }
    }

    async fn answer(&self) -> Answer {
        let (candidates, directive) = match self.place {
            Place::Subcommand => (subcommands(self.command), NO_FILES),
            Place::Flag => (flags(self.command, &self.typed), NO_FILES),
            Place::Value(arg) => self.values(arg).await,
            Place::Program => (Vec::new(), FILES),
        };
        let fits = |(candidate, _): &(String, String)| candidate.starts_with(&self.typed);
        let whole = |(candidate, about): (String, String)| (format!("{}{candidate}", self.lead), about);
        Answer { candidates: candidates.into_iter().filter(fits).map(whole).collect(), directive }
    }

    async fn values(&self, arg: &Arg) -> (Vec<(String, String)>, u8) {
        let possible = arg.get_possible_values();
        if !possible.is_empty() {
            let shown = possible.iter().filter(|value| !value.is_hide_set());
            let row = |value: &clap::builder::PossibleValue| {
                (value.get_name().to_owned(), styled(value.get_help()))
            };
            return (shown.map(row).collect(), NO_FILES);
        }
        let live = tokio::time::timeout(TIMEOUT, self.live(arg.get_id().as_str())).await;
        if let Ok(Some(names)) = live {
            return (names, NO_FILES);
        }
        let directive = match arg.get_value_hint() {
            ValueHint::DirPath => DIRECTORIES,
            ValueHint::AnyPath | ValueHint::FilePath | ValueHint::ExecutablePath => FILES,
            _ => NO_FILES,
        };
        (Vec::new(), directive)
    }

    /// Names that the cluster or the kubeconfig knows; `None` for values of other kinds.
    async fn live(&self, id: &str) -> Option<Vec<(String, String)>> {
        let plain = |names: BTreeSet<String>| names.into_iter().map(|name| (name, String::new())).collect();
        if id == "context" {
            return Some(plain(kubeconfig::contexts(&self.given.target).into_iter().collect()));
        }
        if !matches!(id, "namespace" | "release" | "queue" | "run" | "failed") {
            return None;
        }
        let Ok(cluster) = Cluster::connect(&self.given.target).await else { return Some(Vec::new()) };
        let default = || "workqueue".parse().expect("the default release is legal");
        let release = self.given.release.clone().unwrap_or_else(default);
        Some(match id {
            "namespace" => plain(cluster.namespaces().await.unwrap_or_default()),
            "release" => plain(cluster.releases().await.unwrap_or_default()),
            "queue" => plain(candidates::queues(&cluster, &release).await),
            "failed" => {
                let default = || "job1".parse().expect("the default queue is legal");
                let queue = self.given.queue.clone().unwrap_or_else(default);
                candidates::failed_items(&cluster, &release, &queue).await
            }
            _ => candidates::runs(&cluster, &release).await,
        })
    }
}

fn subcommands(command: &Command) -> Vec<(String, String)> {
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    shown.map(|sub| (sub.get_name().to_owned(), styled(sub.get_about()))).collect()
}

/// Long flags; short ones where one dash alone was typed.
fn flags(command: &Command, typed: &str) -> Vec<(String, String)> {
    let shown = command.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set());
    let rows = shown.flat_map(|arg| {
        let long = arg.get_long().map(|long| format!("--{long}"));
        let short = arg.get_short().filter(|_| typed == "-").map(|short| format!("-{short}"));
        long.into_iter().chain(short).map(|flag| (flag, styled(arg.get_help())))
    });
    rows.collect()
}

/// Help texts as one plain line.
fn styled(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(|text| text.to_string().lines().next().unwrap_or_default().to_owned()).unwrap_or_default()
}

/// The flag that a word is, and the value that it brings along.
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(words: &[&str]) -> (Vec<String>, u8) {
        let mut command = Cli::command();
        command.build();
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let answer = Question::of(&command, &words).answer().await;
        (answer.candidates.into_iter().map(|(candidate, _)| candidate).collect(), answer.directive)
    }

    #[tokio::test]
    async fn subcommands_and_flags() {
        assert_eq!(ask(&["en"]).await, (vec!["enqueue".to_owned()], NO_FILES));
        let (all, _) = ask(&[""]).await;
        assert!(all.contains(&"up".to_owned()) && !all.iter().any(|name| name.starts_with("__")), "{all:?}");
        assert_eq!(ask(&["up", "--create"]).await, (vec!["--create-namespace".to_owned()], NO_FILES));
        let (short, _) = ask(&["enqueue", "-"]).await;
        assert!(short.contains(&"-f".to_owned()) && short.contains(&"--file".to_owned()), "{short:?}");
    }

    #[tokio::test]
    async fn values() {
        let formats = (vec!["json".to_owned()], NO_FILES);
        assert_eq!(ask(&["up", "-o", "j"]).await, formats);
        assert_eq!(ask(&["up", "--output", ""]).await, formats);
        assert_eq!(ask(&["up", "--output=j"]).await.0, ["--output=json"]);
        assert_eq!(ask(&["up", "--dry-run=s"]).await.0, ["--dry-run=server"]);
        assert_eq!(ask(&["completion", "z"]).await.0, ["zsh"]);
    }

    #[tokio::test]
    async fn files_are_the_shells() {
        assert_eq!(ask(&["enqueue", "-f", ""]).await, (vec![], FILES));
        assert_eq!(ask(&["build", "./w"]).await, (vec![], FILES));
        assert_eq!(ask(&["chart", ""]).await, (vec![], DIRECTORIES));
        assert_eq!(ask(&["run", "--image", "x", "--", "./w"]).await, (vec![], FILES));
        assert_eq!(ask(&["enqueue", "apple", ""]).await, (vec![], NO_FILES));
    }
}
