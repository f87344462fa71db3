//! The lines of logs that the user wants to see, in the form that they want.

use jiff::Timestamp;
use regex::bytes::Regex;
use serde::Serialize;

use super::{Ui, json};
use crate::cluster::pod_event::LogLine;
use crate::notice::{Notice, Observer};

/// Which lines are shown, and with what. The default is all of them, with the name of the pod.
#[derive(Debug, Default)]
pub struct LogStyle {
    /// Only lines that match one of these, if there are any.
    pub include: Vec<Regex>,
    /// No line that matches one of these.
    pub exclude: Vec<Regex>,
    /// With the name of the container.
    pub container: bool,
    /// With the time at which the node has read the line.
    pub timestamps: bool,
    /// A document a line.
    pub json: bool,
}

impl LogStyle {
    fn shows(&self, text: &[u8]) -> bool {
        let matches = |regex: &Regex| regex.is_match(text);
        (self.include.is_empty() || self.include.iter().any(matches)) && !self.exclude.iter().any(matches)
    }

    /// What stands between the pod's name and the text.
    fn lead(&self, line: &LogLine) -> String {
        let container = if self.container { format!("{} ", line.container) } else { String::new() };
        let time = line.time.filter(|_| self.timestamps).map(|time| format!("{time} ")).unwrap_or_default();
        container + &time
    }
}

/// Shows log lines in a style, and everything else as always.
pub struct LogView<'a> {
    pub ui: &'a Ui,
    pub style: LogStyle,
}

impl Observer for LogView<'_> {
    fn on(&self, notice: Notice<'_>) {
        match notice {
            Notice::LogLine(line) if !self.style.shows(&line.text) => {}
            Notice::LogLine(line) if self.style.json => {
                self.ui.data(json::line(&LogLineJson::from(line)).as_bytes());
            }
            Notice::LogLine(line) => self.ui.log_line(&line.pod, &self.style.lead(line), &line.text),
            notice => self.ui.on(notice),
        }
    }
}

/// A line of a log.
#[derive(Debug, Serialize)]
pub struct LogLineJson<'a> {
    time: Option<Timestamp>,
    pod: &'a str,
    container: &'a str,
    /// Bytes that are not UTF-8 are replaced.
    message: std::borrow::Cow<'a, str>,
}

impl<'a> From<&'a LogLine> for LogLineJson<'a> {
    fn from(line: &'a LogLine) -> Self {
        Self {
            time: line.time,
            pod: &line.pod,
            container: &line.container,
            message: String::from_utf8_lossy(&line.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expressions(texts: &[&str]) -> Vec<Regex> {
        texts.iter().map(|text| Regex::new(text).expect("an expression")).collect()
    }

    #[test]
    fn a_line_is_shown_if_it_is_included_and_not_excluded() {
        let style = |include: &[&str], exclude: &[&str]| LogStyle {
            include: expressions(include),
            exclude: expressions(exclude),
            ..LogStyle::default()
        };
        assert!(style(&[], &[]).shows(b"any \xff"));
        assert!(style(&["x", "error|warn"], &[]).shows(b"a warning"));
        assert!(!style(&["error"], &[]).shows(b"a warning"));
        assert!(!style(&["warn"], &["x", "^a"]).shows(b"a warning"));
    }

    #[test]
    fn lines_carry_what_was_asked_for() {
        let time = "2026-01-01T00:00:01.5Z".parse().ok();
        let line = LogLine { pod: "p".into(), container: "worker".into(), time, text: b"t".to_vec() };
        let lead =
            |container, timestamps| LogStyle { container, timestamps, ..LogStyle::default() }.lead(&line);
        assert_eq!(lead(false, false), "");
        assert_eq!(lead(true, true), "worker 2026-01-01T00:00:01.5Z ");
    }
}
