//! Strings as words: capitals, initials, wrapping.

use super::Type::{Int, String as Text};
use super::{Call, Function, plain};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("upper", &[Text], |c| Ok(map_chars(&c.text(0), upper).into())),
    plain("lower", &[Text], |c| Ok(map_chars(&c.text(0), lower).into())),
    plain("title", &[Text], |c| Ok(title(&c.text(0)).into())),
    plain("untitle", &[Text], |c| Ok(untitle(&c.text(0)).into())),
    plain("swapcase", &[Text], |c| Ok(swap_case(&c.text(0)).into())),
    plain("nospace", &[Text], |c| Ok(without_space(&c.text(0)).into())),
    plain("initials", &[Text], |c| {
        let text = c.text(0);
        let initials = text.split_whitespace().filter_map(|word| word.chars().next());
        Ok(initials.collect::<String>().into())
    }),
    plain("wrap", &[Int, Text], |c| wrap(c, c.int(0), "\n", c.bytes(1), false)),
    plain("wrapWith", &[Int, Text, Text], |c| wrap(c, c.int(0), &c.text(1), c.bytes(2), true)),
];

/// Go changes the case of single characters only, so `ß` stays as it is.
pub(super) fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(single), None) => single,
        _ => c,
    }
}

pub(super) fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn map_chars(text: &str, map: fn(char) -> char) -> String {
    text.chars().map(map).collect()
}

/// Go's `strings.Title`.
fn title(text: &str) -> String {
    let is_separator = |c: char| {
        if c.is_ascii() {
            !c.is_ascii_alphanumeric() && c != '_'
        } else {
            !c.is_alphanumeric() && c.is_whitespace()
        }
    };
    let mut previous = ' ';
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        out.push(if is_separator(previous) { upper(c) } else { c });
        previous = c;
    }
    out
}

fn untitle(text: &str) -> String {
    let mut at_start = true;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let space = c.is_whitespace();
        out.push(if at_start && !space { lower(c) } else { c });
        at_start = space;
    }
    out
}

fn swap_case(text: &str) -> String {
    let swap = |c: char| if c.is_uppercase() { lower(c) } else { upper(c) };
    text.chars().map(swap).collect()
}

/// Removes white space. As in the original, text that had some is taken byte by byte, which
/// garbles what is not ASCII.
fn without_space(text: &str) -> String {
    let is_space = |c: char| c.is_whitespace();
    let bytes = || text.bytes().map(char::from);
    if bytes().any(is_space) { bytes().filter(|c| !is_space(*c)).collect() } else { text.to_owned() }
}

/// Breaks a line into lines of at most `width` bytes where there are spaces.
fn wrap(
    call: &Call<'_>,
    width: i64,
    line_break: &str,
    text: &[u8],
    cut_words: bool,
) -> Result<Value, String> {
    let width = usize::try_from(width).unwrap_or(1).max(1);
    let line_break = if line_break.is_empty() { "\n" } else { line_break };
    call.will_produce(text.len().saturating_mul(line_break.len() + 1) / width)?;
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while rest.len() > width {
        if rest[0] == b' ' {
            rest = &rest[1..];
            continue;
        }
        let space = rest[..=width].iter().rposition(|b| *b == b' ');
        let later = || rest[width..].iter().position(|b| *b == b' ').map(|at| at + width);
        let (line, skip) = match space {
            Some(at) => (at, 1),
            None if cut_words => (width, 0),
            None => match later() {
                Some(at) => (at, 1),
                None => break,
            },
        };
        out.extend_from_slice(&rest[..line]);
        out.extend_from_slice(line_break.as_bytes());
        rest = &rest[line + skip..];
    }
    out.extend_from_slice(rest);
    Ok(Value::string_of_bytes(out))
}
