//! An error that a program reports, for an item or for its own start.

use serde::Deserialize;

/// The type of errors that are not to be retried.
const DO_NOT_RETRY: &str = "DoNotRetry";

/// Characters of a type or a message that are kept.
const LONGEST: usize = 1000;

/// What went wrong, as a program or the endpoint says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReportedError {
    pub kind: String,
    pub message: String,
}

/// What clients send. They may add more, and some send nothing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    error_type: Option<String>,
    error_message: Option<String>,
}

impl ReportedError {
    pub(super) fn new(kind: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), message: message.into() }
    }

    /// Reads what a client has sent: the header `Lambda-Runtime-Function-Error-Type` and the body.
    pub(super) fn read(header: Option<&str>, body: &[u8]) -> Self {
        let document = serde_json::from_slice::<Document>(body).ok();
        let (kind, message) =
            document.map_or((None, None), |document| (document.error_type, document.error_message));
        let kind = kind.filter(|kind| !kind.is_empty()).or_else(|| header.map(str::to_owned));
        Self {
            kind: line(&kind.unwrap_or_else(|| "Error".to_owned())),
            message: line(&message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())),
        }
    }

    /// Whether the item is not to be tried again.
    pub(super) fn is_final(&self) -> bool {
        self.kind.rsplit(['.', ':', '$']).next() == Some(DO_NOT_RETRY)
    }
}

impl std::fmt::Display for ReportedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// The start of a text, on one line.
fn line(text: &str) -> String {
    let one_line = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    one_line.take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_type_and_message_whatever_clients_send() {
        let read = |header, body: &str| ReportedError::read(header, body.as_bytes()).to_string();
        let usual = r#"{"errorMessage": "bad\nfruit", "errorType": "ValueError", "stackTrace": ["x"]}"#;
        assert_eq!(read(Some("Unhandled"), usual), "ValueError: bad fruit");
        assert_eq!(read(Some("Unhandled"), r#"{"errorMessage": "m"}"#), "Unhandled: m");
        assert_eq!(read(None, "no JSON"), "Error: no JSON");
        assert_eq!(read(None, ""), "Error: ");
        assert_eq!(read(None, &"x".repeat(2 * LONGEST)).len(), "Error: ".len() + LONGEST);
    }

    #[test]
    fn a_type_says_that_nothing_is_to_be_tried_again() {
        for kind in ["DoNotRetry", "app.errors.DoNotRetry", "crate::DoNotRetry"] {
            assert!(ReportedError::new(kind, "").is_final(), "{kind}");
        }
        assert!(!ReportedError::new("ValueError", "DoNotRetry").is_final());
    }
}
