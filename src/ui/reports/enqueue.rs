//! The reports of `enqueue`, with and without `--dry-run`.

use crate::queue::dry_run::InputSummary;
use crate::queue::enqueue_report::EnqueueReport;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::reports::queues::preview;
use workqueue_core::item::Item;
use workqueue_core::names::QueueName;
use workqueue_core::words::count;

/// What became of the items.
pub fn summary(queue: &QueueName, report: &EnqueueReport) -> String {
    let EnqueueReport { read, confirmed, refused, skipped, repeated, blank, .. } = report;
    let in_doubt = read - confirmed - refused;
    let mut line = format!("{queue}: {} read, {confirmed} confirmed", count(*read, "item"));
    if *skipped > 0 {
        line += &format!(", {skipped} skipped (an earlier attempt enqueued them)");
    }
    if *refused > 0 {
        line += &format!(", {refused} refused");
    }
    if *blank > 0 {
        line += &format!(", {} skipped", count(*blank, "blank line"));
    }
    if *repeated > 0 {
        line += &format!(
            ", {repeated} published again after a broken connection (as many can be in the queue twice)"
        );
    }
    if in_doubt > 0 {
        line += &format!(", {in_doubt} not confirmed (they may or may not be in the queue)");
    }
    line
}

/// What to tell the user if not every item got into the queue and nothing else went wrong.
pub fn failure(queue: &QueueName, report: &EnqueueReport) -> Option<Failure> {
    if report.interrupted {
        let message = format!("interrupted after {}", count(report.confirmed, "item"));
        let hint = "those are in the queue; `kubectl workqueue enqueue --resume -f FILE` continues with the rest of a file";
        return Some(Failure::new(message, hint).with_status(ExitStatus::Interrupted));
    }
    let (position, reason) = report.first_refused.as_ref()?;
    let refused = count(report.refused, "item");
    let message = format!("queue {queue} refused {refused}, the first at {position}: {reason}");
    let hint = "make room in the queue, or store the data where the workers can read it and enqueue its address; \
        then enqueue the refused items again";
    Some(Failure::new(message, hint).with_status(ExitStatus::NotEnqueued))
}

/// What an input holds that was only read.
pub fn input(summary: &InputSummary) -> String {
    let InputSummary { items, bytes, largest, blank, .. } = summary;
    let blank = if *blank > 0 { format!(", {} skipped", count(*blank, "blank line")) } else { String::new() };
    let largest = largest
        .as_ref()
        .map(|(position, size)| format!(", the largest with {} at {position}", count(*size as u64, "byte")));
    format!(
        "{}, {}{}{blank}; nothing was enqueued",
        count(*items, "item"),
        count(*bytes, "byte"),
        largest.unwrap_or_default()
    )
}

/// An item of an input on one line: its position and its beginning.
pub fn input_item(item: &Item) -> String {
    format!("{}\t{}", item.position, preview(&item.body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_is_in_the_summary() {
        let queue = "job1".parse().expect("legal");
        let report = EnqueueReport { read: 1, confirmed: 1, blank: 1, ..EnqueueReport::default() };
        assert_eq!(summary(&queue, &report), "job1: 1 item read, 1 confirmed, 1 blank line skipped");
        let report = EnqueueReport { read: 9, confirmed: 5, refused: 1, repeated: 2, blank: 0, ..report };
        assert_eq!(
            summary(&queue, &report),
            "job1: 9 items read, 5 confirmed, 1 refused, 2 published again after a broken connection (as many can \
             be in the queue twice), 3 not confirmed (they may or may not be in the queue)"
        );
        assert_eq!(failure(&queue, &report), None);
    }
}
