//! YAML 1.1 as helm reads and writes it.

mod cursor;
mod emitter;
mod events;
mod pretty;
mod reader;
mod scalar;
mod scanner;
mod sort;
mod stream;
mod style;
mod typed;

pub(crate) use emitter::to_yaml;
pub(crate) use pretty::to_yaml_pretty;
pub(crate) use reader::parse;
pub(crate) use stream::documents;
pub(crate) use typed::Numbers;

/// An integer in Go's syntax with any prefix: `10`, `0x10`, `0o17`, `1_000`. Underscores are allowed
/// between digits and after the prefix.
pub(crate) fn integer_of(text: &str) -> Option<i64> {
    let is_digit = |part: Option<&u8>| part.is_some_and(u8::is_ascii_alphanumeric);
    let parts: Vec<&[u8]> = text.split('_').map(str::as_bytes).collect();
    if !parts.windows(2).all(|pair| is_digit(pair[0].last()) && is_digit(pair[1].first())) {
        return None;
    }
    let plain = text.replace('_', "");
    match scalar::integer(&plain) {
        Some(scalar::Scalar::Int(value)) => Some(value),
        _ => None,
    }
}
