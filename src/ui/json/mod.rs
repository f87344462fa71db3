//! The reports of `-o json`, one file per group. `docs/reference/json.md` documents them, and a test compares.
//!
//! Names are camelCase and mean the same in every report. Units are in the names or the doc
//! comments; `null` means that a value is not known, unless a comment says more.

pub mod doctor;
pub mod enqueue;
pub mod failed;
pub mod list;
pub mod local;
pub mod messages;
pub mod output;
pub mod queues;
pub mod results;
pub mod run;
pub mod status;
#[cfg(test)]
mod tests;
pub mod up;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// The bytes of an item: `body` if they are UTF-8, `bodyBase64` otherwise.
#[derive(Debug, Serialize)]
pub enum BodyJson {
    #[serde(rename = "body")]
    Text(String),
    #[serde(rename = "bodyBase64")]
    Base64(String),
}

impl BodyJson {
    /// The body of an item.
    pub fn of(body: &[u8]) -> Self {
        match std::str::from_utf8(body) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(STANDARD.encode(body)),
        }
    }
}

/// A document on one line.
pub fn line(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect(SERIALIZABLE)
}

/// A document on many lines, for people too.
pub fn pretty(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).expect(SERIALIZABLE)
}

/// Why serializing cannot fail.
const SERIALIZABLE: &str = "reports have names for keys and nothing that can fail";
