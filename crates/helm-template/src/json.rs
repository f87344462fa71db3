//! Reads and writes JSON as Go's `encoding/json` does.

use std::rc::Rc;

use base64::Engine as _;

use super::capabilities::{HELM_CLIENT_VERSION, HELM_COMMIT, HELM_GO_VERSION, HELM_VERSION};
use super::golang::{float, time_layout};
use super::limits::{MAX_DATA_DEPTH, MAX_LENGTH};
use super::value::{Entries, Value};

/// The layout of JSON.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    /// Over several lines, indented by two spaces.
    pub(crate) pretty: bool,
    /// With `<`, `>` and `&` escaped.
    pub(crate) escape_html: bool,
}

/// The JSON form of a value without members.
pub(crate) enum Text {
    Bare(String),
    /// The content of a string, not yet quoted.
    Quoted(String),
    None,
}

pub(crate) fn scalar_text(value: &Value) -> Text {
    match value {
        Value::Nil => Text::Bare("null".into()),
        Value::Bool(value) => Text::Bare(value.to_string()),
        Value::Int(value) | Value::Int64(value) => Text::Bare(value.to_string()),
        Value::Uint64(value) => Text::Bare(value.to_string()),
        Value::Float(value) if value.is_finite() => Text::Bare(float::json(*value)),
        Value::String(text) => Text::Quoted(text.to_string()),
        Value::RawString(bytes) => Text::Quoted(replace_invalid(bytes)),
        Value::Bytes(bytes) => Text::Quoted(base64::engine::general_purpose::STANDARD.encode(bytes)),
        Value::Time(at) => Text::Quoted(time_layout::format(*at, "2006-01-02T15:04:05.999999999Z07:00")),
        Value::Version(version) => Text::Quoted(version.to_string()),
        _ => Text::None,
    }
}

/// As in Go, each invalid byte becomes one replacement character.
fn replace_invalid(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
    }
    text
}

/// Writes a value as JSON.
pub(crate) fn to_json(value: &Value, options: Options) -> Result<String, String> {
    let mut out = String::new();
    write(&mut out, value, options, 0)?;
    Ok(out)
}

fn write(out: &mut String, value: &Value, options: Options, depth: usize) -> Result<(), String> {
    if depth > MAX_DATA_DEPTH {
        return Err("value is nested too deeply for JSON".into());
    }
    if out.len() > MAX_LENGTH {
        return Err(format!("JSON is longer than the limit of {MAX_LENGTH} bytes"));
    }
    match value {
        value if value.is_any_nil() => {
            out.push_str("null");
            Ok(())
        }
        Value::List(list) => {
            let items = list.items().iter();
            members(out, "[]", options, depth, items, |out, item| write(out, item, options, depth + 1))
        }
        Value::Map(map) => object(out, &map.entries(), options, depth),
        scalar => {
            if let Some(fields) = structure_fields(scalar) {
                return object(out, &fields, options, depth);
            }
            match scalar_text(scalar) {
                Text::Bare(text) => out.push_str(&text),
                Text::Quoted(text) => out.push_str(&quote(&text, options.escape_html)),
                Text::None => return Err(format!("unsupported type: {}", scalar.type_name())),
            }
            Ok(())
        }
    }
}

fn object(
    out: &mut String,
    entries: &[(impl AsRef<str>, Value)],
    options: Options,
    depth: usize,
) -> Result<(), String> {
    let colon = if options.pretty { ": " } else { ":" };
    members(out, "{}", options, depth, entries.iter(), |out, (key, item)| {
        out.push_str(&quote(key.as_ref(), options.escape_html));
        out.push_str(colon);
        write(out, item, options, depth + 1)
    })
}

fn members<T>(
    out: &mut String,
    brackets: &str,
    options: Options,
    depth: usize,
    items: impl ExactSizeIterator<Item = T>,
    mut write: impl FnMut(&mut String, T) -> Result<(), String>,
) -> Result<(), String> {
    let (open, close) = brackets.split_at(1);
    let pretty = options.pretty && items.len() > 0;
    out.push_str(open);
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        if pretty {
            new_line(out, depth + 1);
        }
        write(out, item)?;
    }
    if pretty {
        new_line(out, depth);
    }
    out.push_str(close);
    Ok(())
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// A string in quotes, escaped as `encoding/json` does.
pub(crate) fn quote(text: &str, escape_html: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if escape_html => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Reads JSON; all numbers become floats.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(from_serde(value))
}

/// A value of `serde_json`; its numbers become floats.
pub(crate) fn from_serde(value: serde_json::Value) -> Value {
    convert(value, false)
}

/// An object of a cluster, whose integers stay integers.
pub(crate) fn from_cluster(object: serde_json::Value) -> Value {
    convert(object, true)
}

fn convert(value: serde_json::Value, exact: bool) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match number.as_i64().filter(|_| exact) {
            Some(integer) => Value::Int64(integer),
            None => Value::Float(number.as_f64().unwrap_or(0.0)),
        },
        serde_json::Value::String(text) => Value::string(text),
        serde_json::Value::Array(items) => {
            Value::list(items.into_iter().map(|item| convert(item, exact)).collect())
        }
        serde_json::Value::Object(entries) => Value::map(
            entries.into_iter().map(|(key, value)| (key.into(), convert(value, exact))).collect::<Entries>(),
        ),
    }
}

/// The value for `serde_json`; whole floats become integers.
pub(crate) fn to_serde(value: &Value) -> serde_json::Value {
    match value {
        Value::List(list) => list.items().iter().map(to_serde).collect(),
        Value::Map(map) => map
            .entries()
            .iter()
            .map(|(key, value)| (key.to_string(), to_serde(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Nil => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) | Value::Int64(value) => (*value).into(),
        Value::Uint64(value) => (*value).into(),
        // Exact, as the float fits an integer.
        Value::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => (*value as i64).into(),
        Value::Float(value) => {
            serde_json::Number::from_f64(*value).map_or(serde_json::Value::Null, Into::into)
        }
        other => match scalar_text(other) {
            Text::Bare(text) | Text::Quoted(text) => text.into(),
            Text::None => serde_json::Value::Null,
        },
    }
}

/// The fields of `.Capabilities` and of its parts by their names in JSON, in Go's order.
pub(crate) fn structure_fields(value: &Value) -> Option<Vec<(&'static str, Value)>> {
    Some(match value {
        Value::Capabilities(capabilities) => vec![
            ("KubeVersion", Value::KubeVersion(Rc::new(capabilities.kube.clone()))),
            ("APIVersions", Value::api_versions()),
            ("HelmVersion", Value::HelmVersion),
        ],
        Value::KubeVersion(version) => vec![
            ("Version", version.version().into()),
            ("Major", version.major().to_string().into()),
            ("Minor", version.minor().to_string().into()),
        ],
        Value::HelmVersion => vec![
            ("version", HELM_VERSION.into()),
            ("git_commit", HELM_COMMIT.into()),
            ("git_tree_state", "clean".into()),
            ("go_version", HELM_GO_VERSION.into()),
            ("kube_client_version", HELM_CLIENT_VERSION.into()),
        ],
        _ => return None,
    })
}
