//! The report of `local`.

use crate::local::LocalReport;
use crate::ui::words::count;

/// How many items are done, and why the first ones failed.
pub fn summary(report: &LocalReport) -> String {
    let ended = match (report.interrupted, report.halted) {
        (true, _) => "; interrupted before the rest was finished",
        (_, true) => "; halted before the rest was finished",
        _ => "",
    };
    let mut text = format!("{} done, {} failed{ended}", count(report.done, "item"), report.failed);
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
