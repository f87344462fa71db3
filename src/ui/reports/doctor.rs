//! The report of `doctor`, a line or two for each finding.

use console::Style;

use crate::doctor::DoctorReport;
use crate::doctor::finding::{Finding, State};
use crate::ui::table::plain;
use workqueue_core::words::count;

/// The widths of the columns for the state and the check.
const STATE: usize = 8;
const CHECK: usize = 14;

/// The state of a finding, as a word of the first line.
pub fn word(finding: &Finding) -> String {
    format!("{:STATE$}", finding.state.as_str())
}

/// The rest of the line, and the hint on a line of its own.
pub fn text(finding: &Finding) -> String {
    let Finding { check, message, hint, .. } = finding;
    let line = format!("{check:CHECK$} {}", plain(message));
    let indent = " ".repeat(STATE + 1);
    match hint {
        Some(hint) => format!("{line}\n{indent}hint: {hint}"),
        None => line,
    }
}

/// How the word looks on a terminal.
pub fn style(finding: &Finding) -> Style {
    let style = Style::new();
    match finding.state {
        State::Ok => style.green(),
        State::Unknown => style.dim(),
        State::Warning => style.yellow(),
        State::Error => style.red().bold(),
    }
}

/// Whether some check found an error.
pub fn has_errors(report: &DoctorReport) -> bool {
    report.count(State::Error) > 0
}

/// How many checks ended how.
pub fn summary(report: &DoctorReport) -> String {
    let mut parts = vec![format!("{} ok", report.count(State::Ok))];
    for (state, noun) in [(State::Error, "error"), (State::Warning, "warning")] {
        let number = report.count(state);
        parts.extend((number > 0).then(|| count(number, noun)));
    }
    let unknown = report.count(State::Unknown);
    parts.extend((unknown > 0).then(|| format!("{unknown} unknown")));
    let stopped = if report.interrupted { "stopped: " } else { "" };
    let checks = count(report.findings.len() as u64, "check");
    format!("{stopped}{checks}: {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_state_the_check_and_the_hint_below() {
        let finding = Finding {
            check: "quota",
            state: State::Error,
            message: "too\nsmall".to_owned(),
            hint: Some("ask".to_owned()),
        };
        let text = format!("{} {}", word(&finding), text(&finding));
        assert_eq!(text, "error    quota          too\\nsmall\n         hint: ask");
        let findings = vec![finding.clone(), Finding { state: State::Ok, ..finding }];
        let report = DoctorReport { findings, interrupted: false };
        assert_eq!(summary(&report), "2 checks: 1 ok, 1 error");
    }
}
