//! What a check has found, and what cures it.

use crate::cluster;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Ok,
    /// It was not possible or not allowed to look: neither good nor bad.
    Unknown,
    Warning,
    Error,
}

impl State {
    /// The word in reports, which does not change.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was checked, as a short word that does not change: `quota`.
    pub check: &'static str,
    pub state: State,
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, state: State::Ok, message: message.into(), hint: None }
    }

    pub(crate) fn unknown(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, state: State::Unknown, message: message.into(), hint: None }
    }

    pub(crate) fn warning(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, state: State::Warning, message: message.into(), hint: Some(hint.into()) }
    }

    pub(crate) fn error(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, state: State::Error, message: message.into(), hint: Some(hint.into()) }
    }

    /// The server did not let us look, or did not answer.
    pub(crate) fn not_seen(check: &'static str, error: &cluster::Error) -> Self {
        let why = if error.is_refusal() { "not allowed to look" } else { "could not look" };
        Self { check, state: State::Unknown, message: format!("{why}: {error}"), hint: error.hint() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_look_has_found_nothing_wrong() {
        let (what, message) = ("listing nodes".to_owned(), "no".to_owned());
        let refused = cluster::Error::Forbidden { what, message, rule: None };
        let finding = Finding::not_seen("platforms", &refused);
        assert_eq!(finding.state, State::Unknown);
        assert_eq!(finding.message, "not allowed to look: listing nodes is forbidden: no");
    }
}
