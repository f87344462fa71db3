//! What a program that stays gets of an item: its event, a JSON document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use serde::de::IgnoredAny;

/// How items become events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ItemsAs {
    /// Items are JSON documents, and go as they are
    Json,
    /// Items are text, and go as JSON strings
    Text,
    /// Items are any bytes, and go as JSON strings in Base64
    Base64,
}

impl std::fmt::Display for ItemsAs {
    /// The value of the flag.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::Base64 => "base64",
        })
    }
}

/// An item that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoEvent {
    #[error("the item is no JSON document; --items-as text passes it as a string")]
    NoJson,
    #[error("the item is neither JSON nor text; --items-as base64 passes any bytes")]
    NoText,
}

/// The event of an item. By default JSON goes as it is, and other text as a JSON string.
///
/// # Errors
/// [`NoEvent`].
pub(super) fn event(items_as: Option<ItemsAs>, item: &[u8]) -> Result<Vec<u8>, NoEvent> {
    match items_as {
        Some(ItemsAs::Base64) => Ok(string(&STANDARD.encode(item))),
        Some(ItemsAs::Text) => text(item).map(string),
        Some(ItemsAs::Json) if is_json(item) => Ok(item.to_vec()),
        Some(ItemsAs::Json) => Err(NoEvent::NoJson),
        None if is_json(item) => Ok(item.to_vec()),
        None => text(item).map(string),
    }
}

fn text(item: &[u8]) -> Result<&str, NoEvent> {
    std::str::from_utf8(item).map_err(|_| NoEvent::NoText)
}

/// Not by `from_slice`, which does not look at the bytes of strings that are ignored.
fn is_json(item: &[u8]) -> bool {
    std::str::from_utf8(item).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

fn string(text: &str) -> Vec<u8> {
    serde_json::Value::from(text).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_goes_as_it_is_and_other_text_as_a_string() {
        let deep = ["[".repeat(1000), "]".repeat(1000)].concat();
        for json in ["{\"a\": 1.0}", " [1,2] ", "\"x\"", "null", "007e", &deep] {
            let expected = if json == "007e" { "\"007e\"" } else { json };
            assert_eq!(event(None, json.as_bytes()), Ok(expected.as_bytes().to_vec()), "{json}");
        }
        assert_eq!(event(None, "a \"quoted\"\nliné".as_bytes()), Ok("\"a \\\"quoted\\\"\\nliné\"".into()));
        assert_eq!(event(None, b""), Ok(b"\"\"".to_vec()));
    }

    #[test]
    fn bytes_go_in_base64_and_nothing_else() {
        for bytes in [&b"\xff\xfe"[..], b"\"\xff\"", b"{\"a\": \"\xc3\"}"] {
            assert_eq!(event(None, bytes), Err(NoEvent::NoText));
            assert_eq!(event(Some(ItemsAs::Text), bytes), Err(NoEvent::NoText));
            assert_eq!(event(Some(ItemsAs::Json), bytes), Err(NoEvent::NoJson));
        }
        assert_eq!(event(Some(ItemsAs::Base64), b"\xff\xfe"), Ok(b"\"//4=\"".to_vec()));
        assert_eq!(event(Some(ItemsAs::Base64), b""), Ok(b"\"\"".to_vec()));
    }

    #[test]
    fn what_was_asked_for_decides() {
        assert_eq!(event(Some(ItemsAs::Text), b"{}"), Ok(b"\"{}\"".to_vec()));
        assert_eq!(event(Some(ItemsAs::Json), b"{}"), Ok(b"{}".to_vec()));
        assert_eq!(event(Some(ItemsAs::Json), b"apple"), Err(NoEvent::NoJson));
    }
}
