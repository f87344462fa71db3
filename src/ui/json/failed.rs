//! The reports of `failed list`, `failed show` and `failed retry`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::BodyJson;
use crate::failed::RetryReport;
use workqueue_amqp::FailedMessage;
use workqueue_core::failed_item::FailedItem;
use workqueue_core::names::QueueName;

/// A failed item: an element of `items` of `failed list`. What is not known is `null`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedItemJson<'a> {
    pub id: &'a str,
    /// In bytes.
    pub size: usize,
    /// Why it failed: `exit`, `signal`, `timeout`, `do-not-retry`, `unstartable`, `deaths`,
    /// `delivery-limit` if the broker dead-lettered it, `unknown` if another client put it there.
    pub reason: &'a str,
    /// The exit status of the last attempt.
    pub exit: Option<i64>,
    /// The signal that ended the last attempt.
    pub signal: Option<i64>,
    /// Attempts of the last worker.
    pub attempts: Option<i64>,
    /// How often the item has come to QUEUE.failed.
    pub failures: i64,
    /// When its first attempt started, RFC 3339.
    pub first_started: Option<&'a str>,
    /// When its last attempt ended, RFC 3339.
    pub ended: Option<&'a str>,
    pub run: Option<&'a str>,
    pub pod: Option<&'a str>,
    pub node: Option<&'a str>,
    /// The end of what the last attempt wrote to its stderr.
    pub stderr_tail: Option<&'a str>,
    /// The headers that the publisher set, as text.
    pub headers: BTreeMap<String, String>,
}

impl<'a> FailedItemJson<'a> {
    /// An item without its body.
    pub fn new(
        id: &'a str,
        size: usize,
        history: &'a FailedItem,
        headers: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        Self {
            id,
            size,
            reason: &history.reason,
            exit: history.exit,
            signal: history.signal,
            attempts: (history.attempts > 0).then_some(history.attempts),
            failures: history.failures,
            first_started: known(&history.first_started),
            ended: known(&history.ended),
            run: history.run.as_deref(),
            pod: known(&history.pod),
            node: history.node.as_deref(),
            stderr_tail: known(&history.stderr),
            headers: headers.into_iter().collect(),
        }
    }
}

impl<'a> From<&'a FailedMessage> for FailedItemJson<'a> {
    fn from(message: &'a FailedMessage) -> Self {
        Self::new(&message.id, message.body.len(), &message.history, message.own_headers())
    }
}

fn known(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The report of `failed show`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownItemJson<'a> {
    #[serde(flatten)]
    pub item: FailedItemJson<'a>,
    /// `null` if the publisher set none.
    pub content_type: Option<String>,
    #[serde(flatten)]
    pub body: BodyJson,
}

impl<'a> From<&'a FailedMessage> for ShownItemJson<'a> {
    fn from(message: &'a FailedMessage) -> Self {
        Self {
            item: FailedItemJson::from(message),
            content_type: message.content_type(),
            body: BodyJson::of(&message.body),
        }
    }
}

/// The report of `failed retry`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryJson<'a> {
    pub queue: &'a str,
    /// Items that are back in the queue.
    pub retried: u64,
    /// Ids that no failed item has. Not reliable if it was interrupted.
    pub missing: &'a BTreeSet<String>,
    /// Whether Ctrl-C stopped it.
    pub interrupted: bool,
}

impl<'a> RetryJson<'a> {
    /// What was put back into the queue.
    pub fn of(queue: &'a QueueName, report: &'a RetryReport) -> Self {
        Self {
            queue: queue.as_str(),
            retried: report.retried,
            missing: &report.missing,
            interrupted: report.interrupted,
        }
    }
}
