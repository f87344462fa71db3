//! Names that users see. A value of one of these types is always a legal name.

use std::fmt;
use std::str::FromStr;

/// Name of the chart, and of the `app.kubernetes.io/name` label of every object it makes.
pub const CHART: &str = "workqueue";
/// Label of a Job and its pods: the run that they belong to.
pub const RUN_LABEL: &str = "kubectl-workqueue/run";
/// Label of a Job and its pods: how items are assigned to pods, `fine` or `coarse`.
pub const MODE_LABEL: &str = "kubectl-workqueue/mode";

/// A name that is not allowed, and the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {name:?} is not allowed: {rule}")]
pub struct NameError {
    what: &'static str,
    name: String,
    rule: &'static str,
}

/// The name of a queue: 1 to 240 bytes of UTF-8 without control characters, not starting with `amq.`.
///
/// AMQP allows 255 bytes and reserves `amq.` for the broker; 15 bytes are kept for the suffixes
/// of the queues beside it, of which `.outcomes.RUN` is the longest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QueueName(String);

impl QueueName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The queue for failed items: `NAME.failed`.
    pub fn failed(&self) -> QueueName {
        QueueName(format!("{}.failed", self.0))
    }

    /// The stream of the records of settled items: `NAME.results`.
    pub fn results(&self) -> QueueName {
        QueueName(format!("{}.results", self.0))
    }

    /// The exchange to which the queue's workers publish: `NAME.workers`. It leads to what belongs to the
    /// queue, and nowhere else.
    pub fn workers_exchange(&self) -> String {
        format!("{}.workers", self.0)
    }

    /// The stream of what was enqueued and which runs worked on it: `NAME.ledger`.
    pub fn ledger(&self) -> QueueName {
        QueueName(format!("{}.ledger", self.0))
    }

    /// The stream of how the items of one run ended: `NAME.ledger.RUN`.
    pub fn run_ledger(&self, run: &str) -> QueueName {
        QueueName(format!("{}.ledger.{run}", self.0))
    }

    /// The queue of outcomes that are on their way to the ledger of a run: `NAME.outcomes.RUN`.
    pub fn outcomes(&self, run: &str) -> QueueName {
        QueueName(format!("{}.outcomes.{run}", self.0))
    }

    /// A queue that is declared to see whether that works, and deleted at once: `NAME.doctor.ID`.
    pub fn trial(&self, id: &str) -> QueueName {
        QueueName(format!("{}.doctor.{id}", self.0))
    }

    /// The queue of whole outputs of one run: `NAME.outputs.RUN`.
    pub fn outputs(&self, run: &str) -> QueueName {
        QueueName(format!("{}.outputs.{run}", self.0))
    }

    /// The queue that exists for as long as the input of a run has more items: `NAME.input.RUN`. It holds
    /// no messages.
    pub fn input(&self, run: &str) -> QueueName {
        QueueName(format!("{}.input.{run}", self.0))
    }

    /// The stream in which workers mark the starts of items that came back: `NAME.starts`.
    pub fn starts(&self) -> QueueName {
        QueueName(format!("{}.starts", self.0))
    }

    /// Whether a queue or stream of this name holds no items, but keeps the books of another one.
    pub fn is_bookkeeping(name: &str) -> bool {
        let of_run = |kind: &str| name.rsplit_once(kind).is_some_and(|(_, run)| is_run_name(run));
        let kinds = [".ledger.", ".outcomes.", ".outputs.", ".input."];
        name.ends_with(".ledger") || name.ends_with(".starts") || kinds.iter().any(|kind| of_run(kind))
    }

    /// Whether a queue of this name holds whole outputs of a run.
    pub fn is_outputs(name: &str) -> bool {
        name.rsplit_once(".outputs.").is_some_and(|(_, run)| is_run_name(run))
    }

    /// The name as a label value and as part of an object's name: at most 40 bytes of lowercase
    /// letters, digits and `-`.
    ///
    /// Names that had to be changed end in a hash, so that two queues never share a label.
    pub fn slug(&self) -> String {
        const LONGEST: usize = 40;
        let plain: String = self
            .0
            .chars()
            .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
            .collect();
        let plain = plain.trim_matches('-');
        if plain == self.0 && plain.len() <= LONGEST {
            return plain.to_owned();
        }
        let head: String = plain.chars().take(LONGEST - 9).collect();
        let slug = format!("{}-{:08x}", head.trim_end_matches('-'), fnv1a(self.0.as_bytes()));
        slug.trim_start_matches('-').to_owned()
    }
}

/// The 32-bit FNV-1a hash: short and stable over versions. For names; not where an adversary may choose
/// the input.
pub fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl FromStr for QueueName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let rule = if name.is_empty() || name.len() > 240 {
            "a queue's name has 1 to 240 bytes"
        } else if name.starts_with("amq.") {
            "names that start with \"amq.\" belong to the broker"
        } else if name.chars().any(char::is_control) {
            "a queue's name has no control characters"
        } else {
            return Ok(Self(name.to_owned()));
        };
        Err(NameError { what: "queue name", name: name.to_owned(), rule })
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a release: `up` installs it, and all other commands find its objects by a label.
///
/// The rule is Helm's: at most 53 characters of a DNS label, so that suffixes still fit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReleaseName(String);

impl ReleaseName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Selects all objects of this release.
    pub fn selector(&self) -> String {
        format!("app.kubernetes.io/name={CHART},app.kubernetes.io/instance={}", self.0)
    }

    /// Selects the objects of one component (such as `broker` or `worker`) of this release.
    pub fn component_selector(&self, component: &str) -> String {
        format!("{},app.kubernetes.io/component={component}", self.selector())
    }

    /// The labels by which [`component_selector`](Self::component_selector) finds an object.
    pub fn component_labels<'a>(&'a self, component: &'a str) -> [(&'static str, &'a str); 3] {
        [
            ("app.kubernetes.io/name", CHART),
            ("app.kubernetes.io/instance", &self.0),
            ("app.kubernetes.io/component", component),
        ]
    }
}

impl FromStr for ReleaseName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let legal = (1..=53).contains(&name.len())
            && name.chars().all(inner)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if legal {
            return Ok(Self(name.to_owned()));
        }
        let rule =
            "a release's name has 1 to 53 lowercase letters, digits and \"-\", with no \"-\" at its ends";
        Err(NameError { what: "release name", name: name.to_owned(), rule })
    }
}

impl fmt::Display for ReleaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Letters and digits that cannot be mistaken for each other and spell no words, as in the names
/// that Kubernetes generates.
const SAFE_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Length of a run's name, in characters.
pub const RUN_LENGTH: usize = 5;

fn is_run_name(text: &str) -> bool {
    text.len() == RUN_LENGTH && text.bytes().all(|byte| SAFE_ALPHABET.contains(&byte))
}

/// Length of a batch's name, in characters: with 27^8 names, two batches are most unlikely to share
/// one, and with it their items' ids.
pub const BATCH_LENGTH: usize = 8;

/// Whether a text may be the name of a batch.
pub(crate) fn is_batch_name(text: &str) -> bool {
    text.len() == BATCH_LENGTH && text.bytes().all(|byte| SAFE_ALPHABET.contains(&byte))
}

/// A random name of `length` characters for a run or a batch of items.
pub fn random_suffix(length: usize) -> String {
    use rand::RngExt as _;
    let mut random = rand::rng();
    (0..length).map(|_| char::from(SAFE_ALPHABET[random.random_range(0..SAFE_ALPHABET.len())])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_names_keep_the_rules_of_amqp() {
        assert!("job1".parse::<QueueName>().is_ok());
        assert!("orders/eu west".parse::<QueueName>().is_ok());
        for bad in ["", "amq.topic", "a\nb", &"x".repeat(241)] {
            assert!(bad.parse::<QueueName>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn what_keeps_the_books_is_known_by_its_name() {
        let queue: QueueName = "job1".parse().expect("legal");
        let of_run = [queue.run_ledger("h4f2c"), queue.outcomes("h4f2c"), queue.outputs("h4f2c")];
        for name in [queue.ledger(), queue.starts(), queue.input("h4f2c")].into_iter().chain(of_run) {
            assert!(QueueName::is_bookkeeping(name.as_str()), "{name}");
        }
        for other in ["job1", "job1.failed", "job1.results", "my.ledger.entries", "outcomes.h4f2c"] {
            assert!(!QueueName::is_bookkeeping(other), "{other}");
        }
        let longest: QueueName = "q".repeat(240).parse().expect("legal");
        assert_eq!(longest.outcomes("h4f2c").as_str().len(), 255, "AMQP allows no more");
    }

    #[test]
    fn slugs_are_label_values_and_differ() {
        let slug = |name: &str| name.parse::<QueueName>().expect("a legal name").slug();
        assert_eq!(slug("job1"), "job1");
        assert_ne!(slug("Job.1"), slug("job-1"));
        for name in ["Job.1", "ünïcode", "///", &"q".repeat(240)] {
            let slug = slug(name);
            assert!(slug.len() <= 40, "{slug}");
            assert!(slug.starts_with(|c: char| c.is_ascii_alphanumeric()), "{slug}");
            assert!(slug.ends_with(|c: char| c.is_ascii_alphanumeric()), "{slug}");
        }
    }

    #[test]
    fn release_names_are_dns_labels() {
        assert!("workqueue".parse::<ReleaseName>().is_ok());
        for bad in ["", "-a", "a-", "A", "a.b", &"x".repeat(54)] {
            assert!(bad.parse::<ReleaseName>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn the_error_names_value_and_rule() {
        let error = "amq.x".parse::<QueueName>().expect_err("it is the broker's");
        assert_eq!(
            error.to_string(),
            "queue name \"amq.x\" is not allowed: names that start with \"amq.\" belong to the broker"
        );
    }
}
