//! The report of `local`.

use crate::local::LocalReport;
use workqueue_core::words::count;

/// How many items are done, and why the first ones failed.
pub fn summary(report: &LocalReport) -> String {
    let ended = match (report.interrupted, report.halted) {
        (true, _) => "; interrupted before the rest was finished",
        (_, true) => "; halted before the rest was finished",
        _ => "",
    };
    let mut text = format!("{} done, {} failed", count(report.done, "item"), report.failed);
    if report.blank > 0 {
        text += &format!(", {} skipped", count(report.blank, "blank line"));
    }
    text += ended;
    for record in &report.failures {
        text += &format!("\n  item {}: {}", record.id, record.how());
        if let Some(line) = record.stderr.tail.lines().last() {
            text += &format!(": {line}");
        }
    }
    let more = report.failed - report.failures.len() as u64;
    if more > 0 {
        text += &format!("\n  and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_work_is_told_with_its_reason() {
        let report = LocalReport {
            done: 1,
            failed: 3,
            blank: 2,
            failures: Vec::new(),
            interrupted: false,
            halted: true,
        };
        assert_eq!(
            summary(&report),
            "1 item done, 3 failed, 2 blank lines skipped; halted before the rest was finished\n  and 3 more"
        );
    }
}
