//! Commands in messages, ready to be pasted: each gets the flags with which the user named the cluster, the
//! release and the queue.
//!
//! Errors and reports name commands without these flags. They are added here, where messages are printed, so
//! that no hint can miss them.

use std::ffi::OsStr;
use std::sync::Mutex;

use workqueue_core::names::QueueName;
use workqueue_core::shell;

/// The queue that commands use without `--queue`.
pub const DEFAULT_QUEUE: &str = "job1";

/// Whether a queue is the one that commands use without `--queue`: nobody has misspelt it.
pub fn is_default(queue: &QueueName) -> bool {
    queue.as_str() == DEFAULT_QUEUE
}

/// The flags that kubectl's own commands take, too.
const KUBECTLS: [&str; 3] = ["namespace", "context", "kubeconfig"];

/// What the user gave, and what commands take.
#[derive(Debug, Default)]
pub struct Commands {
    /// The flags that were given, by their long names, with their values.
    pub given: Vec<(String, String)>,
    /// The words of each command, such as `failed list`, and the long names of the flags that it takes.
    pub takes: Vec<(String, Vec<String>)>,
    /// The queue of the run that messages are about, if that is known.
    queue: Mutex<Option<String>>,
}

impl Commands {
    /// With these flags and commands.
    pub fn new(given: Vec<(String, String)>, takes: Vec<(String, Vec<String>)>) -> Self {
        Self { given, takes, queue: Mutex::default() }
    }

    /// Messages from now on are about this queue.
    pub(super) fn about_queue(&self, queue: &str) {
        if let Ok(mut known) = self.queue.lock() {
            *known = Some(queue.to_owned());
        }
    }

    /// The text with all flags.
    pub(super) fn completed(&self, text: &str) -> String {
        text.split_inclusive('\n').map(|line| self.completed_line(line)).collect()
    }

    fn completed_line(&self, line: &str) -> String {
        let (mut done, mut rest) = (String::new(), line);
        while let Some(at) = rest.find("kubectl ") {
            let (before, found) = rest.split_at(at);
            done += before;
            let is_quoted = done.matches('`').count() % 2 == 1;
            let end = if is_quoted { found.find('`') } else { None };
            let (command, after) = found.split_at(end.unwrap_or(found.trim_end().len()));
            done += &self.with_flags(command, is_quoted);
            rest = after;
        }
        done + rest
    }

    fn with_flags(&self, command: &str, is_quoted: bool) -> String {
        let takes = match command.strip_prefix("kubectl workqueue ") {
            Some(words) => self.taken_by(words),
            None if is_quoted => taken_by_kubectl(command).iter().map(|&flag| flag.to_owned()).collect(),
            // Prose, or a command of somebody else.
            None => Vec::new(),
        };
        // What follows is another program's.
        let (own, program) = match command.split_once(" -- ") {
            Some((own, program)) => (own, format!(" -- {program}")),
            None => (command, String::new()),
        };
        let missing = self.flags().into_iter().filter(|(flag, _)| takes.contains(flag) && !has(own, flag));
        let flags =
            missing.map(|(flag, value)| format!(" {} {}", spelt(&flag), shell::quoted(OsStr::new(&value))));
        format!("{own}{}{program}", flags.collect::<String>())
    }

    /// The flags that were given, and the queue that messages are about.
    fn flags(&self) -> Vec<(String, String)> {
        let mut flags = self.given.clone();
        if let Some(queue) = self.queue.lock().ok().and_then(|known| known.clone()) {
            flags.retain(|(flag, _)| flag != "queue");
            if queue != DEFAULT_QUEUE {
                flags.insert(0, ("queue".to_owned(), queue));
            }
        }
        flags
    }

    fn taken_by(&self, words: &str) -> Vec<String> {
        let begins = |name: &str| {
            words.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ',', ';']))
        };
        let found = self.takes.iter().find(|(name, _)| begins(name));
        found.map(|(_, flags)| flags.clone()).unwrap_or_default()
    }
}

/// Which of the flags a command of kubectl takes in a way that matters.
fn taken_by_kubectl(command: &str) -> &'static [&'static str] {
    let mut words = command.split_whitespace().skip(1);
    match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
        ("config", _) => &KUBECTLS[2..],
        ("auth" | "cluster-info" | "version", _) | ("create", "namespace") => &KUBECTLS[1..],
        _ => &KUBECTLS,
    }
}

/// Whether a command has a flag already.
fn has(command: &str, flag: &str) -> bool {
    let long = format!("--{flag}");
    command.split_whitespace().any(|word| {
        word == spelt(flag)
            || word.strip_prefix(&long).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })
}

fn spelt(flag: &str) -> String {
    if flag == "namespace" { "-n".to_owned() } else { format!("--{flag}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(given: &[(&str, &str)]) -> Commands {
        let texts = |flags: &[&str]| flags.iter().map(|&flag| flag.to_owned()).collect::<Vec<_>>();
        let all = ["queue", "release", "namespace", "context", "kubeconfig"];
        let takes = [("attach", &all[1..]), ("failed list", &all[..]), ("run", &all), ("build", &all[2..])];
        let takes = takes.map(|(command, flags)| (command.to_owned(), texts(flags))).to_vec();
        let given = given.iter().map(|&(flag, value)| (flag.to_owned(), value.to_owned())).collect();
        Commands::new(given, takes)
    }

    #[test]
    fn commands_carry_the_flags_that_they_take_as_they_were_given() {
        let given = commands(&[("queue", "a b"), ("release", "r1"), ("namespace", "ns"), ("context", "c")]);
        let completed = |text: &str| given.completed(text);
        assert_eq!(
            completed("`kubectl workqueue failed list` shows them; `kubectl workqueue attach r7` waits"),
            "`kubectl workqueue failed list --queue 'a b' --release r1 -n ns --context c` shows them; \
             `kubectl workqueue attach r7 --release r1 -n ns --context c` waits"
        );
        assert_eq!(
            completed("follow it:\n  kubectl workqueue attach r7\nor not"),
            "follow it:\n  kubectl workqueue attach r7 --release r1 -n ns --context c\nor not"
        );
        assert_eq!(
            completed("`kubectl workqueue build work.py`"),
            "`kubectl workqueue build work.py -n ns --context c`"
        );
    }

    #[test]
    fn commands_of_kubectl_are_completed_and_prose_is_not() {
        let given = commands(&[("queue", "q"), ("namespace", "ns"), ("kubeconfig", "k")]);
        for (text, expected) in [
            (
                "`kubectl describe pod p` shows more",
                "`kubectl describe pod p -n ns --kubeconfig k` shows more",
            ),
            (
                "`kubectl exec p -c c -- rabbitmqctl x`",
                "`kubectl exec p -c c -n ns --kubeconfig k -- rabbitmqctl x`",
            ),
            ("`kubectl create namespace n`", "`kubectl create namespace n --kubeconfig k`"),
            ("`kubectl config get-contexts`", "`kubectl config get-contexts --kubeconfig k`"),
            ("with kubectl as always", "with kubectl as always"),
            ("`xz -dc f | kubectl workqueue … -f -`", "`xz -dc f | kubectl workqueue … -f -`"),
        ] {
            assert_eq!(given.completed(text), expected);
        }
    }

    #[test]
    fn no_flag_comes_twice_and_nothing_is_added_where_nothing_was_given() {
        let given = commands(&[("queue", "q"), ("namespace", "ns")]);
        let text = "`kubectl workqueue run --queue=other --namespace x`";
        assert_eq!(given.completed(text), text);
        let plain = "`kubectl workqueue run`, `kubectl get pods`";
        assert_eq!(commands(&[]).completed(plain), plain);
    }

    #[test]
    fn the_queue_of_a_run_goes_before_the_one_that_was_given() {
        let given = commands(&[("queue", "q")]);
        given.about_queue("other");
        assert_eq!(given.completed("`kubectl workqueue run`"), "`kubectl workqueue run --queue other`");
        given.about_queue(DEFAULT_QUEUE);
        assert_eq!(given.completed("`kubectl workqueue run`"), "`kubectl workqueue run`");
    }
}
