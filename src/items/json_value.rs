//! Converts the text of a JSON value to the bytes of an item.

use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;

/// Converts a JSON value to an item, without copying if possible.
///
/// # Errors
/// The number of lines between the value's first line and the error, and the reason.
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

/// What is wrong with the start of a value, if that can be told without its end: as [`decode`] has it.
pub(super) fn mistake(start: &[u8]) -> Option<(u64, String)> {
    let error = serde_json::from_slice::<IgnoredAny>(start).err()?;
    (!error.is_eof()).then(|| reason(&error))
}

/// serde_json ends its messages with line and column. Only the column is right here, because the
/// line counts from the start of the value.
fn reason(error: &serde_json::Error) -> (u64, String) {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    ((error.line() as u64).saturating_sub(1), format!("{what} (column {})", error.column()))
}

/// Removes white space between the tokens of valid JSON. Numbers keep their digits, and objects the
/// order of their keys.
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

/// Whether JSON considers the byte white space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
