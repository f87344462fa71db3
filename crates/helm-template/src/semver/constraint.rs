//! Version constraints: `>=1.20.0-0`, `~1.2`, `^1.2.3 || 2.x`, `1.2 - 1.4`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::LazyLock;

use regex::Regex;

use super::{Version, compare_pre};

/// Groups of conditions; a version has to meet every condition of one group.
#[derive(Debug, Clone)]
pub(crate) struct Constraints {
    groups: Vec<Vec<Condition>>,
}

#[derive(Debug, Clone)]
struct Condition {
    operator: Operator,
    version: Version,
    /// Some part was left out or a wildcard.
    dirty: bool,
    minor_dirty: bool,
    patch_dirty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

/// The operators by their spelling; longer ones first.
const OPERATORS: &[(&str, Operator)] = &[
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterEqual),
    ("=>", Operator::GreaterEqual),
    ("<=", Operator::LessEqual),
    ("=<", Operator::LessEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
    ("", Operator::Equal),
];

impl Constraints {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = rewrite_ranges(text);
        let groups = text.split("||").map(parse_group).collect::<Result<_, _>>()?;
        Ok(Self { groups })
    }

    pub(crate) fn check(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| {
            let with_pre = group.iter().any(|condition| !condition.version.pre.is_empty());
            (version.pre.is_empty() || with_pre) && group.iter().all(|condition| condition.check(version))
        })
    }
}

fn parse_group(text: &str) -> Result<Vec<Condition>, String> {
    let improper = || format!("improper constraint: {text}");
    let mut conditions = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let (operator, after) = OPERATORS
            .iter()
            .find_map(|(spelling, op)| rest.strip_prefix(spelling).map(|after| (*op, after)))
            .ok_or_else(improper)?;
        let after = after.trim_start();
        let end = after.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(after.len());
        conditions.push(Condition::new(operator, &after[..end]).ok_or_else(improper)?);
        rest = after[end..].trim_start();
        rest = rest.strip_prefix(',').map_or(rest, str::trim_start);
        if rest.is_empty() {
            // Another condition has to follow a trailing comma.
            let complete = !text.trim_end().ends_with(',');
            return complete.then_some(conditions).ok_or_else(improper);
        }
    }
}

/// Two versions with a hyphen between them, as the library that helm uses matches them: anywhere in a
/// text, and with bars among the digits.
static RANGE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    const PART: &str = r"[0-9|xX*]+";
    const WORDS: &str = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*";
    const SPACE: &str = r"[\t\n\f\r ]";
    let version = format!(r"v?{PART}(?:\.{PART})?(?:\.{PART})?(?:-{WORDS})?(?:\+{WORDS})?");
    Regex::new(&format!("{SPACE}*({version}){SPACE}+-{SPACE}+({version}){SPACE}*")).ok()
});

/// Turns `1.2 - 1.4` into two comparisons.
fn rewrite_ranges(text: &str) -> Cow<'_, str> {
    match &*RANGE {
        Some(range) => range.replace_all(text, ">= $1, <= $2 "),
        None => Cow::Borrowed(text),
    }
}

impl Condition {
    /// A condition on a version that may have wildcards and missing parts.
    fn new(operator: Operator, text: &str) -> Option<Self> {
        let unprefixed = text.strip_prefix('v').unwrap_or(text);
        let end = unprefixed.find(['-', '+']).unwrap_or(unprefixed.len());
        let (numbers, suffix) = unprefixed.split_at(end);
        // A wildcard drops the metadata but keeps the pre-release.
        let pre = suffix.split('+').next().unwrap_or("");
        let parts: Vec<&str> = numbers.split('.').collect();
        let is_part =
            |p: &&str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit() || b"xX*".contains(&b));
        if parts.len() > 3 || !parts.iter().all(is_part) {
            return None;
        }
        let wild = |index: usize| parts.get(index).is_none_or(|p| matches!(*p, "x" | "X" | "*"));
        let (full, dirty, minor_dirty, patch_dirty) = if wild(0) {
            (format!("0.0.0{pre}"), true, false, false)
        } else if wild(1) {
            (format!("{}.0.0{pre}", parts[0]), true, true, false)
        } else if wild(2) {
            (format!("{}.{}.0{pre}", parts[0], parts[1]), true, false, true)
        } else {
            (unprefixed.to_owned(), false, false, false)
        };
        Some(Self { operator, version: Version::parse(&full).ok()?, dirty, minor_dirty, patch_dirty })
    }

    fn check(&self, v: &Version) -> bool {
        let order = v.compare(&self.version);
        match self.operator {
            Operator::Equal if self.dirty => self.tilde(v),
            Operator::Equal => order == Ordering::Equal,
            Operator::NotEqual => self.not_equal(v),
            Operator::Greater => self.greater(v),
            Operator::Less => order == Ordering::Less,
            Operator::GreaterEqual => order != Ordering::Less,
            Operator::LessEqual => self.less_equal(v),
            Operator::Tilde => self.tilde(v),
            Operator::Caret => self.caret(v),
        }
    }

    fn not_equal(&self, v: &Version) -> bool {
        let con = &self.version;
        if !self.dirty {
            return v.compare(con) != Ordering::Equal;
        }
        if con.major != v.major || (con.minor != v.minor && !self.minor_dirty) {
            return true;
        }
        if self.minor_dirty {
            return false;
        }
        if con.patch != v.patch && !self.patch_dirty {
            return true;
        }
        if self.patch_dirty {
            return compare_pre(&v.pre, &con.pre) != Ordering::Equal;
        }
        v.compare(con) != Ordering::Equal
    }

    fn greater(&self, v: &Version) -> bool {
        let con = &self.version;
        if !self.dirty || v.major != con.major {
            return v.compare(con) == Ordering::Greater;
        }
        // `>11` starts at 12 and `>11.1` at 11.2.
        if self.minor_dirty {
            return false;
        }
        if self.patch_dirty {
            return v.minor > con.minor;
        }
        v.compare(con) == Ordering::Greater
    }

    fn less_equal(&self, v: &Version) -> bool {
        let con = &self.version;
        if !self.dirty {
            return v.compare(con) != Ordering::Greater;
        }
        v.major < con.major || (v.major == con.major && (v.minor <= con.minor || self.minor_dirty))
    }

    fn tilde(&self, v: &Version) -> bool {
        let con = &self.version;
        if v.compare(con) == Ordering::Less {
            return false;
        }
        // `~0.0.0` and `*` match everything.
        if (con.major, con.minor, con.patch) == (0, 0, 0) && !self.minor_dirty && !self.patch_dirty {
            return true;
        }
        v.major == con.major && (v.minor == con.minor || self.minor_dirty)
    }

    fn caret(&self, v: &Version) -> bool {
        let con = &self.version;
        if v.compare(con) == Ordering::Less || v.major != con.major && con.major == 0 && !self.minor_dirty {
            return false;
        }
        if con.major > 0 || self.minor_dirty {
            return v.major == con.major;
        }
        if con.minor > 0 || self.patch_dirty {
            return v.minor == con.minor;
        }
        v.minor == 0 && v.patch == con.patch
    }
}
