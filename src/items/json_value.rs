//! From a JSON value's text to an item's bytes.

use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;

/// An item from a JSON value: a slice of it wherever that is possible.
///
/// # Errors
/// How many lines below the value's first the error is, and what it is.
pub(super) fn decode(value: &Bytes) -> Result<Bytes, (u64, String)> {
    let text = std::str::from_utf8(value).map_err(|_| (0, "it is not UTF-8".to_owned()))?;
    if text.starts_with('"') && text.contains('\\') {
        return serde_json::from_str::<String>(text).map(Bytes::from).map_err(|error| reason(&error));
    }
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| reason(&error))?;
    if text.starts_with('"') {
        return Ok(value.slice(1..value.len() - 1));
    }
    Ok(compact(value))
}

/// serde_json ends its messages with a line and a column, of which only the column is right here.
fn reason(error: &serde_json::Error) -> (u64, String) {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    ((error.line() as u64).saturating_sub(1), format!("{what} (column {})", error.column()))
}

/// Legal JSON without white space between its tokens; numbers keep their digits, objects their order.
fn compact(value: &Bytes) -> Bytes {
    if !value.iter().any(|byte| is_space(*byte)) {
        return value.clone();
    }
    let mut text = BytesMut::with_capacity(value.len());
    let (mut in_string, mut escaped) = (false, false);
    for &byte in value {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if is_space(byte) {
            continue;
        } else {
            in_string = byte == b'"';
        }
        text.extend_from_slice(&[byte]);
    }
    text.freeze()
}

/// JSON's white space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
