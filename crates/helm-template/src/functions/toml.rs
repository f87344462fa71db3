//! Reads TOML, and writes it as the library that helm uses for `toToml` does.

use std::rc::Rc;

use crate::golang::float;
use crate::golang::time::Civil;
use crate::limits::MAX_DATA_DEPTH;
use crate::value::{Entries, Map, Value};

/// The map of a TOML document, or a map with an error as its only entry.
pub(super) fn from_toml(text: &str) -> Value {
    match text.parse::<toml::Table>() {
        Ok(table) => read(toml::Value::Table(table)),
        Err(error) => Value::object([("Error", error.to_string().into())]),
    }
}

fn read(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::string(text),
        toml::Value::Integer(number) => Value::Int64(number),
        toml::Value::Float(number) => Value::Float(number),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(time) => point_in_time(&time),
        toml::Value::Array(items) => Value::list(items.into_iter().map(read).collect()),
        toml::Value::Table(entries) => {
            let entries = entries.into_iter().map(|(key, value)| (key.into(), read(value)));
            Value::map(entries.collect::<Entries>())
        }
    }
}

/// A date becomes midnight, a time of day is in the year 0, and the default offset is UTC.
fn point_in_time(time: &toml::value::Datetime) -> Value {
    let (year, month, day) = time.date.map_or((0, 1, 1), |date| (date.year, date.month, date.day));
    let (hour, minute, second, nanos) = time.time.map_or((0, 0, 0, 0), |time| {
        (time.hour, time.minute, time.second.unwrap_or(0), time.nanosecond.unwrap_or(0))
    });
    let offset = match time.offset {
        Some(toml::value::Offset::Custom { minutes }) => i64::from(minutes) * 60,
        Some(toml::value::Offset::Z) | None => 0,
    };
    let civil = Civil {
        year: year.into(),
        month: month.into(),
        day: day.into(),
        hour: hour.into(),
        minute: minute.into(),
        second: second.into(),
    };
    Value::Time(civil.to_time(nanos, offset))
}

/// A map as a TOML document.
pub(super) fn to_toml(value: &Value) -> Result<String, String> {
    let Value::Map(map) = value else {
        return Err("toml: top-level values must be Go maps or structs".into());
    };
    let mut out = String::new();
    table(&mut out, map, &[])?;
    Ok(out)
}

fn is_table(value: &Value) -> bool {
    matches!(value, Value::Map(map) if !map.is_nil())
}

/// Whether every item is a table, so that the list becomes an array of tables.
fn is_table_array(value: &Value) -> bool {
    match value {
        Value::List(list) => !list.items().is_empty() && list.items().iter().all(is_table),
        _ => false,
    }
}

type Entry = (Rc<str>, Value);

/// The tables of a map, and its other entries.
fn by_kind(map: &Map) -> (Vec<Entry>, Vec<Entry>) {
    let entries = map.entries().into_iter();
    entries.partition(|(_, value)| is_table(value) || is_table_array(value))
}

fn inline_entries(out: &mut String, entries: &[Entry], more: bool, depth: usize) -> Result<(), String> {
    for (index, (name, item)) in entries.iter().enumerate() {
        if item.is_nil() {
            continue;
        }
        out.push_str(&format!("{} = {}", key(name), inline(item, depth + 1)?));
        // Nils count, too: they leave a comma.
        if more || index + 1 < entries.len() {
            out.push_str(", ");
        }
    }
    Ok(())
}

/// Plain values come first, then tables.
fn table(out: &mut String, map: &Map, path: &[String]) -> Result<(), String> {
    if path.len() > MAX_DATA_DEPTH {
        return Err("toml: value is nested too deeply".into());
    }
    let indent = "  ".repeat(path.len());
    let (tables, plain) = by_kind(map);
    for (name, value) in plain {
        if value.is_any_nil() {
            continue;
        }
        let text = inline(&value, 0)?;
        out.push_str(&format!("{indent}{} = {text}\n", key(&name)));
    }
    for (name, value) in tables {
        let mut inner = path.to_vec();
        inner.push(key(&name));
        let indent = "  ".repeat(path.len());
        match value {
            Value::Map(map) => {
                separate(out, path);
                out.push_str(&format!("{indent}[{}]\n", inner.join(".")));
                table(out, &map, &inner)?;
            }
            Value::List(list) => {
                for item in list.items() {
                    if let Value::Map(map) = item {
                        separate(out, &[]);
                        out.push_str(&format!("{indent}[[{}]]\n", inner.join(".")));
                        table(out, map, &inner)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// An empty line precedes a table of the first level.
fn separate(out: &mut String, path: &[String]) {
    if path.is_empty() && !out.is_empty() {
        out.push('\n');
    }
}

fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn inline(value: &Value, depth: usize) -> Result<String, String> {
    if depth > MAX_DATA_DEPTH {
        return Err("toml: value is nested too deeply".into());
    }
    Ok(match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) | Value::Int64(value) => value.to_string(),
        Value::Uint64(value) => value.to_string(),
        Value::Float(value) => decimal(*value),
        Value::String(text) => quoted(text),
        Value::List(list) => {
            let items = list.items().iter().map(|item| inline(item, depth + 1));
            format!("[{}]", items.collect::<Result<Vec<_>, _>>()?.join(", "))
        }
        Value::Map(map) => {
            let (tables, plain) = by_kind(map);
            let mut out = String::from("{");
            inline_entries(&mut out, &plain, !tables.is_empty(), depth)?;
            inline_entries(&mut out, &tables, false, depth)?;
            out + "}"
        }
        Value::Nil => return Err("toml: cannot encode array with nil element".into()),
        other => return Err(format!("toml: unsupported type: {}", other.type_name())),
    })
}

/// A float keeps its point, so that it is not read back as an integer.
fn decimal(value: f64) -> String {
    let text = float::general(value, None, 'g').to_lowercase();
    if text.contains(['.', 'e', 'n', 'i']) { text } else { text + ".0" }
}
