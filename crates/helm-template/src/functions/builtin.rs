//! The functions of the template language itself.

use super::Type::{Any, String as Text};
use super::{Call, Function, plain, variadic};
use crate::golang::quote::is_printable;
use crate::print::{self, printf};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("print", &[], Any, |c| Ok(print::sprint(c.args())?.into())),
    variadic("println", &[], Any, |c| Ok(print::sprintln(c.args())?.into())),
    variadic("printf", &[Text], Any, |c| Ok(printf::sprintf(&c.text(0), c.rest(1))?.into())),
    plain("len", &[Any], len),
    variadic("index", &[Any], Any, index),
    variadic("html", &[], Any, |c| Ok(escape_html(&joined(c)?).into())),
    variadic("js", &[], Any, |c| Ok(escape_js(&joined(c)?).into())),
    variadic("urlquery", &[], Any, |c| Ok(super::urls::query_escape(&joined(c)?).into())),
    variadic("call", &[Any], Any, |_| Err("non-function".into())),
];

fn len(call: &Call<'_>) -> Result<Value, String> {
    let length = match call.arg(0) {
        Value::String(text) => text.len(),
        Value::RawString(bytes) | Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.len(),
        Value::Nil => return Err("len of nil pointer".into()),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(call: &Call<'_>) -> Result<Value, String> {
    let mut value = call.arg(0).clone();
    if value.is_nil() {
        return Err("index of untyped nil".into());
    }
    for key in call.rest(1) {
        value = index_one(&value, key)?;
    }
    Ok(value)
}

fn index_one(value: &Value, key: &Value) -> Result<Value, String> {
    match value {
        Value::Map(map) => match key {
            Value::String(key) => Ok(map.get(key).unwrap_or_default()),
            Value::Nil => Err("value is nil; should be of type string".into()),
            other => Err(format!("value has type {}; should be string", other.type_name())),
        },
        Value::List(list) => {
            let at = position(key, list.items().len())?;
            Ok(list.items()[at].clone())
        }
        Value::Bytes(bytes) => Ok(Value::Int(bytes[position(key, bytes.len())?].into())),
        Value::String(text) => Ok(Value::Int(text.as_bytes()[position(key, text.len())?].into())),
        Value::Nil => Err("index of nil pointer".into()),
        other => Err(format!("can't index item of type {}", other.type_name())),
    }
}

fn position(key: &Value, length: usize) -> Result<usize, String> {
    let number = match key {
        Value::Int(n) | Value::Int64(n) => *n,
        Value::Uint64(n) => i64::try_from(*n).unwrap_or(i64::MAX),
        Value::Nil => return Err("cannot index slice/array with nil".into()),
        other => {
            return Err(format!("cannot index slice/array with type {}", other.type_name()));
        }
    };
    let position = usize::try_from(number).ok().filter(|position| *position < length);
    position.ok_or_else(|| format!("index out of range: {number}"))
}

/// The arguments as the escaping functions see them; nil is printed as a text.
fn joined(call: &Call<'_>) -> Result<String, String> {
    let text = |value: &Value| if value.is_nil() { "<no value>".into() } else { value.clone() };
    let args: Vec<Value> = call.args().iter().map(text).collect();
    print::sprint(&args)
}

fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn escape_js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => {
                out.push('\\');
                out.push(c);
            }
            '<' | '>' | '&' | '=' | '\0'..='\u{1f}' => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c if !c.is_ascii() && !is_printable(c) => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}
