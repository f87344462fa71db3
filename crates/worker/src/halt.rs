//! The rule by which failures stop a whole run, in GNU parallel's words: `soon,fail=N`.

use std::fmt;
use std::str::FromStr;

/// Stop once so many items have failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halt {
    /// Whether running programs are ended, or may finish.
    pub when: HaltWhen,
    /// Failed items that it takes, of all workers of a run together; at least 1.
    pub failures: u64,
}

/// What a halt does to running programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltWhen {
    /// They may finish.
    Soon,
    /// They are ended, and their items go back.
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

#[cfg(test)]
mod tests {
    use super::*;

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
