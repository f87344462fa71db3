//! Semantic versions and constraints, as the library that helm uses for `semverCompare` reads them.

mod constraint;

use std::cmp::Ordering;
use std::fmt;

pub(crate) use constraint::Constraints;

/// A semantic version; minor and patch may have been left out of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
    pub(crate) pre: String,
    pub(crate) metadata: String,
    pub(crate) original: String,
}

impl Version {
    /// Reads `1`, `v1.2`, `1.2.3-rc.1+build`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("invalid semantic version {text:?}");
        let rest = text.strip_prefix('v').unwrap_or(text);
        let (rest, metadata) = split_part(rest, '+').ok_or_else(invalid)?;
        let (rest, pre) = split_part(rest, '-').ok_or_else(invalid)?;
        let numbers: Vec<&str> = rest.split('.').collect();
        if numbers.len() > 3 {
            return Err(invalid());
        }
        let number = |index: usize| match numbers.get(index) {
            None => Ok(0),
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| invalid())
            }
            Some(_) => Err(invalid()),
        };
        let zero_prefixed =
            |part: &str| part.len() > 1 && part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit());
        if pre.split('.').any(zero_prefixed) {
            return Err(format!("version segment of {text:?} starts with 0"));
        }
        Ok(Self {
            major: number(0)?,
            minor: number(1)?,
            patch: number(2)?,
            pre: pre.to_owned(),
            metadata: metadata.to_owned(),
            original: text.to_owned(),
        })
    }

    /// The version with one part incremented: 0 for major, 1 for minor, 2 for patch.
    pub(crate) fn raised(&self, part: usize) -> Self {
        let (major, minor, patch) = match part {
            0 => (self.major.saturating_add(1), 0, 0),
            1 => (self.major, self.minor.saturating_add(1), 0),
            // Incrementing the patch of a pre-release only removes the pre-release.
            _ => (self.major, self.minor, self.patch.saturating_add(self.pre.is_empty().into())),
        };
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        Self {
            major,
            minor,
            patch,
            pre: String::new(),
            metadata: String::new(),
            original: format!("{prefix}{major}.{minor}.{patch}"),
        }
    }

    /// Compares by precedence, which ignores build metadata.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            .then_with(|| compare_pre(&self.pre, &other.pre))
    }
}

/// Splits off a dotted suffix after `mark`; `None` if the suffix is malformed.
fn split_part(text: &str, mark: char) -> Option<(&str, &str)> {
    let Some((head, tail)) = text.split_once(mark) else {
        return Some((text, ""));
    };
    let is_identifier =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    tail.split('.').all(is_identifier).then_some((head, tail))
}

fn compare_pre(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        // A release comes after its pre-releases.
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => {
                let order = compare_identifier(x, y);
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
    }
}

fn compare_identifier(a: &str, b: &str) -> Ordering {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(x), Ok(y)) => x.cmp(&y),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}
