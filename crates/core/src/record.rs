//! The record of a settled item, and the headers of a failed one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The record of one settled item. As JSON it is a message of `QUEUE.results`; `docs/worker.md` describes
/// it.
///
/// Readers ignore unknown fields: later versions may add some.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultRecord {
    /// The item's id.
    pub id: String,
    /// The run that it was settled in, if it was part of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Its queue.
    pub queue: String,
    /// How it ended.
    pub status: Status,
    /// Why it failed; `None` if it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The last attempt's exit status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The number of the signal that ended the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// How often this worker started the program for it.
    pub attempts: u32,
    /// How often it had been delivered before.
    #[serde(default)]
    pub earlier_deliveries: u32,
    /// When the first attempt began.
    pub first_started: Timestamp,
    /// When the last attempt began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// The size of the item in bytes.
    pub size: u64,
    /// Where the worker ran.
    #[serde(flatten)]
    pub location: Location,
    /// What the last attempt wrote to its standard output.
    pub stdout: CapturedOutput,
    /// What the last attempt wrote to its standard error.
    pub stderr: CapturedOutput,
}

impl ResultRecord {
    /// How long the last attempt took, in seconds.
    pub fn seconds(&self) -> f64 {
        self.ended.duration_since(self.started).as_secs_f64()
    }

    /// How the last attempt went wrong, as a predicate: `exited with 3`.
    pub fn how(&self) -> String {
        match (self.reason, self.exit, self.signal) {
            (Some(Reason::Timeout), ..) => "took too long".to_owned(),
            (Some(Reason::DoNotRetry), ..) => {
                format!("exited with {DO_NOT_RETRY}, which means that it is not to be retried")
            }
            (Some(Reason::Unstartable), ..) => "could not be started with this item".to_owned(),
            (_, Some(code), _) => format!("exited with {code}"),
            (_, None, Some(signal)) => format!("was ended by signal {signal}"),
            (_, None, None) => "failed".to_owned(),
        }
    }
}

/// The exit status of a program whose item is not to be retried: `EX_DATAERR` of sysexits(3), "the input
/// data was incorrect in some way". C and Python have the name (`os.EX_DATAERR`), and no shell uses the
/// number for anything else.
pub const DO_NOT_RETRY: i32 = 65;

/// How an item ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Its program exited with 0.
    Done,
    /// No attempt was left, or it is not to be retried.
    Failed,
}

/// Why an item failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The last attempt exited with another status than 0.
    Exit,
    /// A signal ended the last attempt.
    Signal,
    /// The last attempt exceeded its time limit.
    Timeout,
    /// The program exited with [`DO_NOT_RETRY`].
    DoNotRetry,
    /// The item cannot be an argument of the program: it is too long or has a NUL byte.
    Unstartable,
}

impl Reason {
    /// The word used in records and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::DoNotRetry => "do-not-retry",
            Self::Unstartable => "unstartable",
        }
    }
}

/// Where a worker runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The machine's name; in a pod, the pod's.
    pub host: String,
    /// The pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// What a program wrote: its size and its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedOutput {
    /// The size of everything it wrote.
    pub bytes: u64,
    /// The end of it; bytes that are not UTF-8 are replaced by U+FFFD.
    pub tail: String,
}

impl CapturedOutput {
    /// Whether the program wrote more than is kept.
    pub fn is_shortened(&self) -> bool {
        // A byte that was replaced takes three.
        self.bytes > self.tail.len() as u64
    }
}

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
            pod: record.location.pod.clone().unwrap_or_else(|| record.location.host.clone()),
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
    use super::*;
    use std::collections::HashMap;

    fn record() -> ResultRecord {
        let at = |second| Timestamp::from_second(second).expect("in range");
        ResultRecord {
            id: "k2x9.7".to_owned(),
            run: Some("h4f2c".to_owned()),
            queue: "job1".to_owned(),
            status: Status::Failed,
            reason: Some(Reason::Timeout),
            exit: None,
            signal: Some(15),
            attempts: 3,
            earlier_deliveries: 0,
            first_started: at(1_700_000_000),
            started: at(1_700_000_010),
            ended: at(1_700_000_012),
            size: 5,
            location: Location { host: "h".to_owned(), pod: Some("p".to_owned()), node: None },
            stdout: CapturedOutput::default(),
            stderr: CapturedOutput { bytes: 4, tail: "oops".to_owned() },
        }
    }

    #[test]
    fn a_record_is_flat_json_without_what_is_absent() {
        let json = serde_json::to_value(record()).expect("a record is JSON");
        assert_eq!(json["status"], "failed");
        assert_eq!(json["reason"], "timeout");
        assert_eq!(json["pod"], "p");
        assert_eq!(json["firstStarted"], "2023-11-14T22:13:20Z");
        assert!(json.get("exit").is_none() && json.get("node").is_none());
        let back: ResultRecord = serde_json::from_value(json).expect("what we wrote");
        assert_eq!(back, record());
        assert!((back.seconds() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn headers_of_failed_items_are_read_as_they_were_written() {
        let failed = FailedItem::new(&record(), 1);
        let headers: HashMap<_, _> = failed.headers().into_iter().collect();
        assert_eq!(headers["workqueue-failures"], HeaderValue::Number(2));
        assert_eq!(FailedItem::from_headers(|name| headers.get(name).cloned()), Some(failed));
        assert_eq!(FailedItem::from_headers(|_| None), None);
    }
}
