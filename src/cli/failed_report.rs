//! A failed item as a row, as JSON, and in words. The JSON shapes are in `docs/json.md`.

use serde_json::{Value, json};

use super::items::add_body;
use crate::ui::table::plain;
use workqueue_amqp::FailedMessage;
use workqueue_core::failed_item::FailedItem;

/// The start of an item that is shown; `--body` prints all of it.
const SHOWN: usize = 1024;

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

/// A failed item as JSON, in one line, without the item itself.
pub fn as_json(message: &FailedMessage) -> String {
    value(message).to_string()
}

/// A failed item as JSON, with the item itself.
pub fn document(message: &FailedMessage) -> Value {
    let mut value = value(message);
    value["contentType"] = json!(message.content_type());
    add_body(&mut value, &message.body);
    value
}

fn value(message: &FailedMessage) -> Value {
    let history = &message.history;
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let headers: serde_json::Map<String, Value> =
        message.own_headers().into_iter().map(|(name, value)| (name, json!(value))).collect();
    json!({
        "id": message.id,
        "size": message.body.len(),
        "reason": history.reason,
        "exit": history.exit,
        "signal": history.signal,
        "attempts": attempts(history),
        "failures": history.failures,
        "firstStarted": known(&history.first_started),
        "ended": known(&history.ended),
        "run": history.run,
        "pod": known(&history.pod),
        "node": history.node,
        "stderr": known(&history.stderr),
        "headers": headers,
    })
}

/// A failed item in words, line by line; what nobody noted is left out.
pub fn in_words(message: &FailedMessage) -> String {
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
    let size = message.body.len();
    let (shown, more) = match message.body.get(..SHOWN) {
        Some(start) => (start, "; --body prints all of it"),
        None => (message.body.as_slice(), ""),
    };
    lines.push(format!("Item ({size} bytes{more}):"));
    let text = String::from_utf8_lossy(shown);
    lines.extend(text.lines().map(|line| format!("  {}", plain(line))));
    lines.join("\n")
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
