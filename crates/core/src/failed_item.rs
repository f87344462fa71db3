//! The headers of a failed item in `QUEUE.failed`: why it failed.

use crate::record::{Reason, ResultRecord};

/// A header's value: text or a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderValue {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
}

/// Why an item is in `QUEUE.failed`, as its headers tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedItem {
    /// Why.
    pub reason: String,
    /// The last attempt's exit status.
    pub exit: Option<i64>,
    /// The signal that ended the last attempt.
    pub signal: Option<i64>,
    /// Attempts, not counting those of earlier failures.
    pub attempts: i64,
    /// When the first attempt began (RFC 3339).
    pub first_started: String,
    /// When the last attempt ended (RFC 3339).
    pub ended: String,
    /// The run.
    pub run: Option<String>,
    /// The pod, or the machine outside a cluster.
    pub pod: String,
    /// The node.
    pub node: Option<String>,
    /// The end of the last attempt's standard error.
    pub stderr: String,
    /// How often the item has failed, including this time.
    pub failures: i64,
}

/// The prefix of all our headers.
pub const HEADER_PREFIX: &str = "workqueue-";

impl FailedItem {
    /// From a record, and how often the item had failed before.
    pub fn new(record: &ResultRecord, failures_before: i64) -> Self {
        Self {
            reason: record.reason.map_or("exit", Reason::as_str).to_owned(),
            exit: record.exit.map(i64::from),
            signal: record.signal.map(i64::from),
            attempts: record.attempts.into(),
            first_started: record.first_started.to_string(),
            ended: record.ended.to_string(),
            run: record.run.clone(),
            pod: record.location.name().to_owned(),
            node: record.location.node.clone(),
            stderr: record.stderr.tail.clone(),
            failures: failures_before + 1,
        }
    }

    /// The headers of the message in `QUEUE.failed`.
    pub fn headers(&self) -> Vec<(String, HeaderValue)> {
        let text = |value: &str| Some(HeaderValue::Text(value.to_owned()));
        let number = |value: i64| Some(HeaderValue::Number(value));
        let headers = [
            ("reason", text(&self.reason)),
            ("exit", self.exit.and_then(number)),
            ("signal", self.signal.and_then(number)),
            ("attempts", number(self.attempts)),
            ("first-started", text(&self.first_started)),
            ("ended", text(&self.ended)),
            ("run", self.run.as_deref().and_then(text)),
            ("pod", text(&self.pod)),
            ("node", self.node.as_deref().and_then(text)),
            ("stderr", text(&self.stderr)),
            ("failures", number(self.failures)),
        ];
        let present = headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
        present.map(|(name, value)| (format!("{HEADER_PREFIX}{name}"), value)).collect()
    }

    /// Reads the headers of a message; `None` if no worker has set them: the broker itself
    /// dead-lettered the item, or somebody else published it.
    pub fn from_headers(header: impl Fn(&str) -> Option<HeaderValue>) -> Option<Self> {
        let get = |name: &str| header(&format!("{HEADER_PREFIX}{name}"));
        let text = |name: &str| match get(name) {
            Some(HeaderValue::Text(text)) => Some(text),
            _ => None,
        };
        let number = |name: &str| match get(name) {
            Some(HeaderValue::Number(number)) => Some(number),
            _ => None,
        };
        Some(Self {
            reason: text("reason")?,
            exit: number("exit"),
            signal: number("signal"),
            attempts: number("attempts").unwrap_or(0),
            first_started: text("first-started").unwrap_or_default(),
            ended: text("ended").unwrap_or_default(),
            run: text("run"),
            pod: text("pod").unwrap_or_default(),
            node: text("node"),
            stderr: text("stderr").unwrap_or_default(),
            failures: number("failures").unwrap_or(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::record::tests::record;

    #[test]
    fn headers_of_failed_items_are_read_as_they_were_written() {
        let failed = FailedItem::new(&record(), 1);
        let headers: HashMap<_, _> = failed.headers().into_iter().collect();
        assert_eq!(headers["workqueue-failures"], HeaderValue::Number(2));
        assert_eq!(FailedItem::from_headers(|name| headers.get(name).cloned()), Some(failed));
        assert_eq!(FailedItem::from_headers(|_| None), None);
    }
}
