//! Go's `fmt.Sprint` and the default form (`%v`) of every value.

pub(crate) mod printf;

use crate::golang::float;
use crate::limits::{MAX_DATA_DEPTH, MAX_LENGTH};
use crate::value::Value;

/// The error says that a value is too deep or too long to be printed.
pub(crate) type PrintResult<T> = Result<T, String>;

/// Refuses output that has become too long to keep.
fn check_length(out: &str) -> PrintResult<()> {
    if out.len() > MAX_LENGTH {
        return Err(format!("text is longer than the limit of {MAX_LENGTH} bytes"));
    }
    Ok(())
}

/// `%v` of a value.
pub(crate) fn display(value: &Value) -> PrintResult<String> {
    if let Some(text) = scalar(value) {
        return Ok(text);
    }
    let mut out = String::new();
    write_display(&mut out, value, 0)?;
    Ok(out)
}

/// The text of a value that has no members.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    Some(match value {
        Value::Nil => "<nil>".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) | Value::Int64(value) => value.to_string(),
        Value::Uint64(value) => value.to_string(),
        Value::Float(value) => float::shortest(*value),
        Value::String(text) => text.to_string(),
        Value::RawString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Time(time) => time.to_string(),
        Value::Version(version) => version.to_string(),
        Value::KubeVersion(version) => version.fields(),
        Value::HelmVersion => "{v4.1.4 05fa37973dc9e42b76e1d2883494c87174b6074f clean go1.25.9 v1.35}".into(),
        Value::Bytes(_) | Value::List(_) | Value::Map(_) | Value::Capabilities(_) => return None,
    })
}

fn write_display(out: &mut String, value: &Value, depth: usize) -> PrintResult<()> {
    if let Some(text) = scalar(value) {
        out.push_str(&text);
        return check_length(out);
    }
    write_members(out, value, depth, &mut |out, member, depth| write_display(out, member, depth))
}

/// Writes a list as `[a b]` and a map as `map[k:v]`, its members with `write`.
pub(crate) fn write_members(
    out: &mut String,
    value: &Value,
    depth: usize,
    write: &mut dyn FnMut(&mut String, &Value, usize) -> PrintResult<()>,
) -> PrintResult<()> {
    if depth > MAX_DATA_DEPTH {
        return Err("value is nested too deeply to be printed".into());
    }
    if let Value::Map(map) = value {
        out.push_str("map[");
        for (index, (key, member)) in map.entries().iter().enumerate() {
            if index > 0 {
                out.push(' ');
            }
            write(out, &Value::String(key.clone()), depth + 1)?;
            out.push(':');
            write(out, member, depth + 1)?;
        }
        out.push(']');
        return Ok(());
    }
    out.push('[');
    for (index, member) in value.items().unwrap_or_default().iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        write(out, member, depth + 1)?;
    }
    out.push(']');
    Ok(())
}

/// `fmt.Sprint`: a space between operands when neither is a string.
pub(crate) fn sprint(values: &[Value]) -> PrintResult<String> {
    let mut out = String::new();
    let mut previous_is_string = true;
    for (index, value) in values.iter().enumerate() {
        let is_string = matches!(value, Value::String(_) | Value::RawString(_));
        if index > 0 && !is_string && !previous_is_string {
            out.push(' ');
        }
        out.push_str(&display(value)?);
        previous_is_string = is_string;
    }
    Ok(out)
}

/// `fmt.Sprintln`: a space between all operands and a line break at the end.
pub(crate) fn sprintln(values: &[Value]) -> PrintResult<String> {
    let texts = values.iter().map(display).collect::<PrintResult<Vec<_>>>()?;
    Ok(texts.join(" ") + "\n")
}
