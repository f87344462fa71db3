//! The lines of `--format jsonl`: an item, how it ended, and what it wrote.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use workqueue_core::output::OutputEntry;
use workqueue_core::record::Status;

/// An item and its output.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputJson<'a> {
    /// Its id.
    pub id: &'a str,
    pub status: Status,
    /// The item; absent if it is large, or not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<&'a str>,
    /// The item if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_base64: Option<String>,
    /// What it wrote; empty if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<&'a str>,
    /// What it wrote if that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_base64: Option<String>,
    /// Whether it wrote more than is here.
    pub cut: bool,
}

impl<'a> From<&'a OutputEntry> for OutputJson<'a> {
    fn from(entry: &'a OutputEntry) -> Self {
        let (item, item_base64) = entry.item.as_deref().map_or((None, None), text_or_base64);
        let (output, output_base64) = text_or_base64(&entry.output);
        Self {
            id: &entry.id,
            status: entry.status,
            item,
            item_base64,
            output,
            output_base64,
            cut: entry.is_cut(),
        }
    }
}

fn text_or_base64(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(STANDARD.encode(bytes))),
    }
}
