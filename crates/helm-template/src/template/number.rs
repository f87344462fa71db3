//! Reads numeric literals with Go's syntax.

use super::ast::Number;
use crate::golang::{float, integer, quote};

/// A character constant with its quotes: `'a'`.
pub(super) fn character(text: &str) -> Option<Number> {
    let body = text.get(1..text.len() - 1)?;
    let bytes = quote::unquote(body, '\'')?;
    let decoded = String::from_utf8(bytes).ok()?;
    let mut chars = decoded.chars();
    let c = chars.next()?;
    chars.next().is_none().then(|| Number {
        int: Some(i64::from(u32::from(c))),
        float: Some(f64::from(u32::from(c))),
        is_float: false,
    })
}

/// A number; the error says what is wrong with it.
pub(super) fn number(text: &str) -> Result<Number, String> {
    let is_hex = text.trim_start_matches(['+', '-']).to_ascii_lowercase().starts_with("0x");
    let marks: &[char] = if is_hex { &['p', 'P'] } else { &['.', 'e', 'E'] };
    let looks_like_float = text.contains(marks);
    if !underscores_separate_digits(text) {
        return Err(format!("bad number syntax: {text:?}"));
    }
    let plain = text.replace('_', "");
    if let Some((negative, magnitude)) = integer::parse(&plain) {
        let magnitude = i128::from(magnitude);
        let Ok(int) = i64::try_from(if negative { -magnitude } else { magnitude }) else {
            return Err(format!("{text} overflows int"));
        };
        return Ok(Number { int: Some(int), float: Some(int as f64), is_float: false });
    }
    let Some(value) = float::parse(&plain) else {
        return Err(format!("bad number syntax: {text:?}"));
    };
    if !looks_like_float {
        return Err(format!("integer overflow: {text:?}"));
    }
    let whole = value.fract() == 0.0 && value.abs() < 9.2e18;
    Ok(Number { int: whole.then_some(value as i64), float: Some(value), is_float: true })
}

/// Underscores are allowed between digits, and between a base prefix and a digit.
fn underscores_separate_digits(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut previous = '_';
    for (index, c) in unsigned.chars().enumerate() {
        let prefix =
            index == 1 && unsigned.starts_with('0') && !c.is_ascii_digit() && c.is_ascii_alphabetic();
        if c == '_' && !(previous.is_ascii_hexdigit() || previous == '0') {
            return false;
        }
        if previous == '_' && index > 0 && !c.is_ascii_hexdigit() {
            return false;
        }
        previous = if prefix { '0' } else { c };
    }
    previous != '_'
}
