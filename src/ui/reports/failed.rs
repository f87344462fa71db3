//! The reports of `failed`: lists, single items, what was put back and deleted.

use crate::failed::RetryReport;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::table::{plain, table};
use workqueue_amqp::FailedMessage;
use workqueue_core::failed_item::FailedItem;
use workqueue_core::names::QueueName;
use workqueue_core::words::{are, count};

/// Bytes of an item that are shown; `--body` prints all of it.
const SHOWN: usize = 1024;

/// A table of [rows](row).
pub fn list(rows: &[Vec<String>]) -> String {
    table(&["ID", "REASON", "EXIT", "ATTEMPTS", "FAILURES", "ENDED", "POD", "STDERR"], rows)
}

/// A failed item as a row of `failed list`.
pub fn row(message: &FailedMessage) -> Vec<String> {
    let history = &message.history;
    vec![
        plain(&message.id),
        plain(&history.reason),
        exit(history),
        attempts(history).map_or("-".to_owned(), |attempts| attempts.to_string()),
        history.failures.to_string(),
        plain(history.ended.split_once('.').map_or(history.ended.as_str(), |(seconds, _)| seconds)),
        plain(&history.pod),
        plain(history.stderr.lines().last().unwrap_or_default()),
    ]
}

/// How many items have failed.
pub fn summary(queue: &QueueName, listed: u64) -> String {
    match listed {
        0 => format!("{queue}: there are no failed items"),
        _ => format!("{queue}: {}", count(listed, "failed item")),
    }
}

/// There are no failed items with these ids.
pub fn no_item<'a>(queue: &QueueName, ids: impl IntoIterator<Item = &'a String>) -> Failure {
    let ids: Vec<String> = ids.into_iter().map(|id| format!("{id:?}")).collect();
    let message = format!("no failed item of queue {queue} has the id {}", ids.join(" or "));
    Failure::new(message, "`kubectl workqueue failed list` lists the failed items")
}

/// How many items are back in the queue.
pub fn retried(queue: &QueueName, report: &RetryReport) -> String {
    format!("{queue}: {} back in the queue", are(report.retried, "item"))
}

/// What to say after [`retried`], and the exit code.
///
/// # Errors
/// Some ids are not those of failed items.
pub fn retry_end(
    queue: &QueueName,
    report: &RetryReport,
) -> Result<(Option<&'static str>, ExitStatus), Failure> {
    if report.interrupted {
        let rest = "interrupted: the other items are still in QUEUE.failed";
        return Ok((Some(rest), ExitStatus::Interrupted));
    }
    if !report.missing.is_empty() {
        return Err(no_item(queue, &report.missing));
    }
    let next = "an active run takes them; otherwise start one, without items, with `kubectl workqueue run`";
    Ok(((report.retried > 0).then_some(next), ExitStatus::Success))
}

/// What the user is asked about before a purge.
pub fn what(queue: &QueueName, failed: u32) -> String {
    format!("{} of queue {queue}", count(failed, "failed item"))
}

/// Failed items were deleted.
pub fn purged(queue: &QueueName, purged: u64) -> String {
    format!("{queue}: {} deleted", count(purged, "failed item"))
}

/// A failed item, line by line; what is not known is left out.
pub fn details(message: &FailedMessage) -> String {
    let history = &message.history;
    let mut lines = Vec::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            lines.push(format!("{:<15}{}", format!("{name}:"), plain(&value)));
        }
    };
    line("ID", Some(message.id.clone()));
    line("Reason", Some(history.reason.clone()));
    line("Exit", history.exit.map(|code| code.to_string()));
    line("Signal", history.signal.map(|signal| signal.to_string()));
    line("Attempts", attempts(history).map(|attempts| attempts.to_string()));
    line("Failures", Some(history.failures.to_string()));
    line("First started", Some(history.first_started.clone()));
    line("Ended", Some(history.ended.clone()));
    line("Run", history.run.clone());
    line("Pod", Some(history.pod.clone()));
    line("Node", history.node.clone());
    line("Content type", message.content_type());
    for (name, value) in message.own_headers() {
        lines.push(format!("{:<15}{} = {}", "Header:", plain(&name), plain(&value)));
    }
    if !history.stderr.is_empty() {
        lines.push("Stderr:".to_owned());
        lines.extend(history.stderr.lines().map(|line| format!("  {}", plain(line))));
    }
    lines.extend(body(&message.body));
    lines.join("\n")
}

fn body(body: &[u8]) -> Vec<String> {
    let (shown, more) = match body.get(..SHOWN) {
        Some(start) => (start, ", --body prints all of it"),
        None => (body, ""),
    };
    let mut lines = vec![format!("Item ({}{more}):", count(body.len() as u64, "byte"))];
    lines.extend(String::from_utf8_lossy(shown).lines().map(|line| format!("  {}", plain(line))));
    lines
}

fn exit(history: &FailedItem) -> String {
    match (history.exit, history.signal) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "-".to_owned(),
    }
}

/// The attempts of a failure that a worker saw.
fn attempts(history: &FailedItem) -> Option<i64> {
    (history.attempts > 0).then_some(history.attempts)
}
