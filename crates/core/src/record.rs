//! The record of a settled item.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::words::count;

/// The record of one settled item. As JSON it is a message of `QUEUE.results`, which
/// `docs/reference/json.md` describes.
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
    /// How often this worker started the program for it; with [`Reason::Deaths`], how many workers died
    /// with it.
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
    pub location: WorkerLocation,
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
            (Some(Reason::Error), ..) => format!("reported {}", self.last_line()),
            (Some(Reason::DoNotRetry), None, _) => {
                format!("reported what is not to be retried: {}", self.last_line())
            }
            (Some(Reason::DoNotRetry), ..) => {
                format!("exited with {DO_NOT_RETRY}, which means that it is not to be retried")
            }
            (Some(Reason::Unstartable), ..) => "could not be started with this item".to_owned(),
            (Some(Reason::Deaths), ..) => format!("ended its worker {}", count(self.attempts, "time")),
            (_, Some(code), _) => format!("exited with {code}"),
            (_, None, Some(signal)) => format!("was ended by signal {signal}"),
            (_, None, None) => "failed".to_owned(),
        }
    }

    /// The last line of standard error, where the error of a program that stays is.
    fn last_line(&self) -> &str {
        self.stderr.tail.lines().next_back().unwrap_or("an error")
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
    /// A program that stays reported an error, or left the item without an answer.
    Error,
    /// The program exited with [`DO_NOT_RETRY`], or reported an error of the type `DoNotRetry`.
    DoNotRetry,
    /// The item cannot be an argument of the program: it is too long or has a NUL byte.
    Unstartable,
    /// Worker after worker died while it ran the item.
    Deaths,
}

impl Reason {
    /// The word used in records and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::Error => "error",
            Self::DoNotRetry => "do-not-retry",
            Self::Unstartable => "unstartable",
            Self::Deaths => "deaths",
        }
    }
}

/// Where a worker runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerLocation {
    /// The machine's name; in a pod, the pod's.
    pub host: String,
    /// The pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

impl WorkerLocation {
    /// The pod, or the machine outside a cluster.
    pub fn name(&self) -> &str {
        self.pod.as_deref().unwrap_or(&self.host)
    }
}

/// What a program wrote: its size and its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedOutput {
    /// The size of everything it wrote.
    pub bytes: u64,
    /// The end of it; bytes that are not UTF-8 are replaced by U+FFFD.
    pub tail: String,
    /// All of it, or as much as the limit allows, where whole outputs are kept. In no record.
    #[serde(skip)]
    pub whole: Option<Vec<u8>>,
}

impl CapturedOutput {
    /// Everything of a text.
    pub fn of(text: String) -> Self {
        Self { bytes: text.len() as u64, tail: text, whole: None }
    }

    /// Whether the program wrote more than is kept.
    pub fn is_shortened(&self) -> bool {
        // A byte that was replaced takes three.
        self.bytes > self.tail.len() as u64
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record with all fields but the exit status and the node.
    pub(crate) fn record() -> ResultRecord {
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
            location: WorkerLocation { host: "h".to_owned(), pod: Some("p".to_owned()), node: None },
            stdout: CapturedOutput::default(),
            stderr: CapturedOutput::of("oops".to_owned()),
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
}
