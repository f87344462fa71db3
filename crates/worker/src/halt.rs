//! When failed items halt a whole run: the flag in GNU parallel's words (`soon,fail=N`), and the rule
//! that counts the failures, without a queue or a clock of its own.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::Instant;

/// Time between two counts of the run's failed items.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// Halts the run once so many items have failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halt {
    /// Whether running programs are ended, or may finish.
    pub when: HaltWhen,
    /// How many items of all workers of a run have to fail; at least 1.
    pub failures: u64,
}

/// What a halt does to running programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltWhen {
    /// They may finish.
    Soon,
    /// They are ended, and their items requeued.
    Now,
}

/// A rule that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write it as soon,fail=N or now,fail=N, with N of 1 or more")]
pub struct HaltError;

impl FromStr for Halt {
    type Err = HaltError;

    fn from_str(text: &str) -> Result<Self, HaltError> {
        let (when, failures) = text.split_once(",fail=").ok_or(HaltError)?;
        let when = match when {
            "soon" => HaltWhen::Soon,
            "now" => HaltWhen::Now,
            _ => return Err(HaltError),
        };
        match failures.parse() {
            Ok(failures) if failures > 0 => Ok(Self { when, failures }),
            _ => Err(HaltError),
        }
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = match self.when {
            HaltWhen::Soon => "soon",
            HaltWhen::Now => "now",
        };
        write!(f, "{when},fail={}", self.failures)
    }
}

/// Counts failures and says when to halt.
#[derive(Debug)]
pub(super) struct Halting {
    rule: Option<Halt>,
    /// Items that have failed here, settled or not.
    failed_here: u64,
    /// Items in `QUEUE.failed` that are not of this run, once known.
    failed_before: Option<u64>,
    next_count: Option<Instant>,
}

impl Halting {
    /// Without a rule it never halts. `failed_before` items in `QUEUE.failed` are not of this run;
    /// `None` for those that the first count finds.
    pub(super) fn new(now: Instant, rule: Option<Halt>, failed_before: Option<u64>) -> Self {
        Self { rule, failed_here: 0, failed_before, next_count: rule.map(|_| now + COUNT_EVERY) }
    }

    /// Whether there is a rule.
    pub(super) fn is_on(&self) -> bool {
        self.rule.is_some()
    }

    /// When to ask for the next count.
    pub(super) fn next_count(&self) -> Option<Instant> {
        self.next_count
    }

    /// Notes that a count was requested.
    pub(super) fn count_requested(&mut self, now: Instant) {
        self.next_count = self.rule.map(|_| now + COUNT_EVERY);
    }

    /// Notes that an item has failed here. Returns how to halt and the number of failures, if these are
    /// too many.
    pub(super) fn failed(&mut self) -> Option<(HaltWhen, u64)> {
        self.failed_here += 1;
        self.halts_at(self.failed_here)
    }

    /// Takes a count of `QUEUE.failed`. Returns the same.
    pub(super) fn counted(&mut self, failed: u64) -> Option<(HaltWhen, u64)> {
        let before = *self.failed_before.get_or_insert(failed);
        self.halts_at(failed.saturating_sub(before))
    }

    fn halts_at(&self, failed: u64) -> Option<(HaltWhen, u64)> {
        let rule = self.rule.filter(|rule| failed >= rule.failures)?;
        Some((rule.when, failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_here_and_elsewhere_halt_the_run() {
        let rule = "now,fail=2".parse().ok();
        let mut halting = Halting::new(Instant::now(), rule, None);
        assert_eq!(halting.failed(), None);
        assert_eq!(halting.failed(), Some((HaltWhen::Now, 2)));
        let mut halting = Halting::new(Instant::now(), rule, None);
        assert_eq!(halting.counted(10), None, "these were there before");
        assert_eq!(halting.counted(11), None);
        assert_eq!(halting.counted(13), Some((HaltWhen::Now, 3)));
        let mut halting = Halting::new(Instant::now(), rule, Some(5));
        assert_eq!(halting.counted(7), Some((HaltWhen::Now, 2)));
    }

    #[test]
    fn without_a_rule_nothing_is_counted_and_nothing_halts() {
        let now = Instant::now();
        let mut halting = Halting::new(now, None, None);
        assert!(!halting.is_on() && halting.next_count().is_none());
        assert_eq!((halting.failed(), halting.counted(1000)), (None, None));
        let mut halting = Halting::new(now, "soon,fail=1".parse().ok(), None);
        assert_eq!(halting.next_count(), Some(now + COUNT_EVERY));
        halting.count_requested(now + COUNT_EVERY);
        assert_eq!(halting.next_count(), Some(now + 2 * COUNT_EVERY));
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        for text in ["soon,fail=1", "now,fail=25"] {
            assert_eq!(text.parse::<Halt>().expect("a rule").to_string(), text);
        }
        for text in ["", "soon", "soon,fail=", "now,fail=0", "later,fail=1", "now,fail=-1", "now,success=1"] {
            assert_eq!(text.parse::<Halt>(), Err(HaltError), "{text}");
        }
    }
}
