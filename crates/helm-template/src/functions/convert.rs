//! Conversions between strings and numbers.

use super::Type::{Any, String as Text};
use super::{Call, Function, plain, variadic};
use crate::golang::float;
use crate::print;
use crate::value::Value;
use crate::yaml::integer_of;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("toString", &[Any], |c| to_text(c.arg(0))),
    plain("toStrings", &[Any], |c| Ok(Value::strings(texts(c.arg(0))?))),
    plain("int", &[Any], |c| Ok(Value::Int(to_int(c.arg(0))))),
    plain("int64", &[Any], |c| Ok(Value::Int64(to_int(c.arg(0))))),
    plain("float64", &[Any], |c| Ok(Value::Float(to_float(c.arg(0))))),
    plain("atoi", &[Text], |c| Ok(Value::Int(c.text(0).parse().unwrap_or(0)))),
    plain("toDecimal", &[Any], to_decimal),
    variadic("quote", &[], Any, |c| {
        let quoted = each(c, |value| {
            let text = to_text(value)?;
            Ok(crate::golang::quote::quote(raw_bytes(&text)))
        })?;
        Ok(quoted.join(" ").into())
    }),
    variadic("squote", &[], Any, |c| {
        let quoted = each(c, |value| Ok(format!("'{}'", print::display(value)?)))?;
        Ok(quoted.join(" ").into())
    }),
    variadic("cat", &[], Any, |c| Ok(each(c, print::display)?.join(" ").into())),
];

/// Applies a function to all arguments but nils.
fn each(call: &Call<'_>, convert: impl Fn(&Value) -> Result<String, String>) -> Result<Vec<String>, String> {
    let given = call.args().iter().filter(|value| !value.is_nil());
    given.map(convert).collect()
}

/// The bytes of a string value.
pub(super) fn raw_bytes(value: &Value) -> &[u8] {
    match value {
        Value::String(text) => text.as_bytes(),
        Value::RawString(bytes) | Value::Bytes(bytes) => bytes,
        _ => &[],
    }
}

/// The string of a value; bytes are taken as text.
pub(crate) fn to_text(value: &Value) -> Result<Value, String> {
    match value {
        Value::String(_) | Value::RawString(_) => Ok(value.clone()),
        Value::Bytes(bytes) => Ok(Value::string_of(bytes)),
        other => Ok(print::display(other)?.into()),
    }
}

/// The strings of a list's items, or of a single value; nils are left out.
pub(super) fn texts(value: &Value) -> Result<Vec<String>, String> {
    let items = match value {
        Value::Nil => return Ok(Vec::new()),
        other => other.items().unwrap_or_else(|| vec![other.clone()]),
    };
    let given = items.iter().filter(|item| !item.is_nil());
    given.map(text_of).collect()
}

/// The text of a value.
pub(super) fn text_of(value: &Value) -> Result<String, String> {
    let text = to_text(value)?;
    Ok(String::from_utf8_lossy(raw_bytes(&text)).into_owned())
}

/// The value as an integer; 0 if it is not a number.
pub(super) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(value) | Value::Int64(value) => *value,
        // Go wraps around where the other type is too small.
        Value::Uint64(value) => *value as i64,
        Value::Float(value) => float_to_int(*value),
        Value::Bool(value) => i64::from(*value),
        Value::String(text) => integer_of(trim_zero_decimal(text)).unwrap_or(0),
        _ => 0,
    }
}

fn float_to_int(value: f64) -> i64 {
    // Out of range, amd64 gives the smallest integer.
    const LIMIT: f64 = (1_u64 << 63) as f64;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

/// Removes a suffix such as `.0`.
fn trim_zero_decimal(text: &str) -> &str {
    match text.rsplit_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        _ => text,
    }
}

/// The value as a float; 0 if it is not a number.
pub(super) fn to_float(value: &Value) -> f64 {
    match value {
        Value::Int(value) | Value::Int64(value) => *value as f64,
        Value::Uint64(value) => *value as f64,
        Value::Float(value) => *value,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::String(text) => float::parse(text).unwrap_or(0.0),
        _ => 0.0,
    }
}

/// Reads octal digits, such as the mode of a file.
fn to_decimal(call: &Call<'_>) -> Result<Value, String> {
    let text = print::display(call.arg(0))?;
    let number = if text.starts_with(['+', '-']) && text[1..].starts_with(['+', '-']) {
        0
    } else {
        i64::from_str_radix(&text, 8).unwrap_or(0)
    };
    Ok(Value::Int64(number))
}
