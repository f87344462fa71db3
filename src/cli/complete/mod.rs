//! `__complete`: tells kubectl how the words typed so far can be completed.
//!
//! The answer has the format of Cobra: a candidate per line, with a tab and its description, and
//! `:DIRECTIVE` at the end, a sum of bits.

mod question;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use clap::{Arg, Args, Command, ValueHint};

use super::command_line;
use crate::candidates;
use crate::cluster::{Cluster, kubeconfig};
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use question::{Place, Question};

/// Directives: offer only the candidates; let the shell offer files; only directories.
const NO_FILES: u8 = 4;
const FILES: u8 = 0;
const DIRECTORIES: u8 = 16;

/// The time for the cluster to answer: Tab must not hang.
const TIMEOUT: Duration = Duration::from_millis(2500);

/// Complete a command line
#[derive(Debug, Args)]
pub struct CompleteArgs {
    /// The words typed after `kubectl workqueue`; the last one may be empty
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Never fails: the shell could not show an error.
pub async fn run(args: CompleteArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let words: Vec<String> = args.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut command = command_line();
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

/// Candidates with descriptions, and the directive.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    candidates: Vec<(String, String)>,
    directive: u8,
}

impl Question<'_> {
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

    /// Names from the cluster or the kubeconfig; `None` for other values.
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
            "queue" => plain(candidates::queues(&cluster, &release, candidates::SOON).await),
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

/// Long flags, and short ones if only a dash was typed.
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(words: &[&str]) -> (Vec<String>, u8) {
        let mut command = command_line();
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
        assert_eq!(ask(&["-n", "ns", "up", "--create"]).await.0, ["--create-namespace"]);
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
