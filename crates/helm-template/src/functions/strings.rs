//! Strings: trimming, cutting, searching, indenting.

use super::Type::{Any, Int, String as Text};
use super::convert::texts;
use super::{Call, Function, plain};
use crate::value::{Entries, Map, MapKind, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("trim", &[Text], |c| Ok(c.text(0).trim().into())),
    plain("trimall", &[Text, Text], trim_all),
    plain("trimAll", &[Text, Text], trim_all),
    plain("trimSuffix", &[Text, Text], |c| {
        let text = c.text(1);
        Ok(text.strip_suffix(&*c.text(0)).unwrap_or(&text).into())
    }),
    plain("trimPrefix", &[Text, Text], |c| {
        let text = c.text(1);
        Ok(text.strip_prefix(&*c.text(0)).unwrap_or(&text).into())
    }),
    plain("contains", &[Text, Text], |c| Ok(c.text(1).contains(&*c.text(0)).into())),
    plain("hasPrefix", &[Text, Text], |c| Ok(c.text(1).starts_with(&*c.text(0)).into())),
    plain("hasSuffix", &[Text, Text], |c| Ok(c.text(1).ends_with(&*c.text(0)).into())),
    plain("replace", &[Text, Text, Text], replace),
    plain("repeat", &[Int, Text], repeat),
    plain("substr", &[Int, Int, Text], substr),
    plain("trunc", &[Int, Text], trunc),
    plain("abbrev", &[Int, Text], |c| Ok(abbreviate(&c.text(1), 0, c.int(0)).into())),
    plain("abbrevboth", &[Int, Int, Text], abbrev_both),
    plain("indent", &[Int, Text], |c| Ok(indented(c)?.into())),
    plain("nindent", &[Int, Text], |c| Ok(format!("\n{}", indented(c)?).into())),
    plain("plural", &[Text, Text, Int], |c| Ok(c.arg(usize::from(c.int(2) != 1)).clone())),
    plain("join", &[Text, Any], join),
    plain("split", &[Text, Text], |c| Ok(numbered(pieces(&c.text(1), &c.text(0), -1)))),
    plain("splitn", &[Text, Int, Text], |c| Ok(numbered(pieces(&c.text(2), &c.text(0), c.int(1))))),
    plain("splitList", &[Text, Text], |c| Ok(Value::strings(pieces(&c.text(1), &c.text(0), -1)))),
    plain("hello", &[], |_| Ok("Hello!".into())),
];

fn trim_all(call: &Call<'_>) -> Result<Value, String> {
    let set = call.text(0);
    Ok(call.text(1).trim_matches(|c| set.contains(c)).into())
}

fn replace(call: &Call<'_>) -> Result<Value, String> {
    let (old, new, text) = (call.text(0), call.text(1), call.text(2));
    let count = text.matches(&*old).count();
    call.will_produce(text.len() + count * new.len())?;
    Ok(text.replace(&*old, &new).into())
}

fn repeat(call: &Call<'_>) -> Result<Value, String> {
    let count = usize::try_from(call.int(0)).map_err(|_| "strings: negative Repeat count")?;
    let text = call.text(1);
    call.will_produce(text.len().saturating_mul(count))?;
    Ok(text.repeat(count).into())
}

/// A part of a Go string, which is cut between bytes.
fn part(bytes: &[u8], start: i64, end: i64) -> Result<Value, String> {
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let part = range.and_then(|(start, end)| bytes.get(start..end));
    let part = part.ok_or_else(|| format!("slice bounds out of range [{start}:{end}]"))?;
    Ok(Value::string_of(part))
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

fn substr(call: &Call<'_>) -> Result<Value, String> {
    let (start, end, bytes) = (call.int(0), call.int(1), call.bytes(2));
    let length = length(bytes);
    match (start, end) {
        (start, end) if start < 0 => part(bytes, 0, end),
        (start, end) if end < 0 || end > length => part(bytes, start, length),
        (start, end) => part(bytes, start, end),
    }
}

fn trunc(call: &Call<'_>) -> Result<Value, String> {
    let (count, bytes) = (call.int(0), call.bytes(1));
    let length = length(bytes);
    match count {
        count if count < 0 && length.saturating_add(count) > 0 => part(bytes, length + count, length),
        count if count >= 0 && length > count => part(bytes, 0, count),
        _ => Ok(call.arg(1).clone()),
    }
}

/// Shortens a text to a width, with dots for what is missing.
fn abbreviate(text: &str, offset: i64, width: i64) -> String {
    let length = length(text.as_bytes());
    if width < 4 || length <= width {
        return text.to_owned();
    }
    let cut = |start: i64, end: i64| {
        let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
        String::from_utf8_lossy(text.as_bytes().get(range).unwrap_or_default()).into_owned()
    };
    // The rest of the text must fill the width.
    let offset = offset.min(length - (width - 3));
    if offset <= 4 {
        return cut(0, width - 3) + "...";
    }
    if width < 7 {
        return String::new();
    }
    if offset + width - 3 < length {
        return format!("...{}", abbreviate(&cut(offset, length), 0, width - 3));
    }
    format!("...{}", cut(length - (width - 3), length))
}

fn abbrev_both(call: &Call<'_>) -> Result<Value, String> {
    let (left, right) = (call.int(0), call.int(1));
    if right < 4 || (left > 0 && right < 7) {
        return Ok(call.arg(2).clone());
    }
    Ok(abbreviate(&call.text(2), left, right).into())
}

fn indented(call: &Call<'_>) -> Result<String, String> {
    let spaces = usize::try_from(call.int(0)).map_err(|_| "strings: negative Repeat count")?;
    let text = call.text(1);
    let lines = text.matches('\n').count() + 1;
    call.will_produce(text.len().saturating_add(spaces.saturating_mul(lines)))?;
    let pad = " ".repeat(spaces);
    let line_break = format!("\n{pad}");
    Ok(pad + &text.replace('\n', &line_break))
}

fn join(call: &Call<'_>) -> Result<Value, String> {
    let (separator, items) = (call.text(0), texts(call.arg(1))?);
    let separators = separator.len().saturating_mul(items.len());
    call.will_produce(separators.saturating_add(items.iter().map(String::len).sum()))?;
    Ok(items.join(&separator).into())
}

/// Go's `strings.SplitN`: an empty separator splits into characters.
fn pieces(text: &str, separator: &str, limit: i64) -> Vec<String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit == 0 {
        return Vec::new();
    }
    if !separator.is_empty() {
        return text.splitn(limit, separator).map(str::to_owned).collect();
    }
    let mut rest = text;
    let mut pieces = Vec::new();
    while let Some(c) = rest.chars().next() {
        if pieces.len() + 1 == limit {
            pieces.push(rest.to_owned());
            break;
        }
        pieces.push(c.to_string());
        rest = &rest[c.len_utf8()..];
    }
    pieces
}

/// The pieces under the keys `_0`, `_1` and so on.
fn numbered(pieces: Vec<String>) -> Value {
    let entries: Entries = pieces
        .into_iter()
        .enumerate()
        .map(|(index, piece)| (format!("_{index}").into(), piece.into()))
        .collect();
    Value::Map(Map::new(MapKind::Strings, entries))
}
