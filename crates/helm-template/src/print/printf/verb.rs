//! One verb of a format, applied to one value.

use super::number;
use super::spec::{Spec, pad};
use crate::golang::quote;
use crate::print::{PrintResult, check_length, display, write_members};
use crate::value::Value;

pub(super) fn format_value(
    out: &mut String,
    spec: &Spec,
    verb: char,
    value: &Value,
    depth: usize,
) -> PrintResult<()> {
    check_length(out)?;
    match (verb, value) {
        ('T', _) => pad(out, spec, value.type_name()),
        ('v', Value::Nil) => pad(out, spec, "<nil>"),
        // Inside a list or a map Go writes nils the same for all verbs.
        (_, Value::Nil) if depth > 0 => out.push_str("<nil>"),
        (_, Value::Nil) => bad_verb(out, spec, verb, value)?,
        (_, Value::Bool(flag)) if matches!(verb, 't' | 'v') => pad(out, spec, &flag.to_string()),
        (_, Value::Int(n) | Value::Int64(n)) => {
            let sign = *n < 0;
            if !number::integer(out, spec, verb, n.unsigned_abs(), sign) {
                bad_verb(out, spec, verb, value)?;
            }
        }
        (_, Value::Uint64(n)) => {
            if !number::integer(out, spec, verb, *n, false) {
                bad_verb(out, spec, verb, value)?;
            }
        }
        (_, Value::Float(n)) => match number::float_text(spec, verb, *n) {
            Some(text) => number::pad_number(out, spec, text),
            None => bad_verb(out, spec, verb, value)?,
        },
        (_, Value::String(text)) => string(out, spec, verb, text.as_bytes(), value)?,
        (_, Value::RawString(bytes)) => string(out, spec, verb, bytes, value)?,
        ('s' | 'q' | 'x' | 'X', Value::Bytes(bytes)) => string(out, spec, verb, bytes, value)?,
        (_, Value::Bytes(_) | Value::List(_) | Value::Map(_)) => {
            write_members(out, value, depth, &mut |out, member, depth| {
                format_value(out, spec, verb, member, depth)
            })?;
        }
        (
            'v' | 's' | 'q' | 'x' | 'X',
            Value::Time(_) | Value::Version(_) | Value::KubeVersion(_) | Value::HelmVersion,
        ) => {
            let text = display(value)?;
            string(out, spec, verb, text.as_bytes(), value)?;
        }
        _ => bad_verb(out, spec, verb, value)?,
    }
    Ok(())
}

/// What Go writes for a verb that does not fit the value: its `%v` form, with the verb's flags.
fn bad_verb(out: &mut String, spec: &Spec, verb: char, value: &Value) -> PrintResult<()> {
    if value.is_nil() {
        out.push_str(&format!("%!{verb}(<nil>)"));
        return Ok(());
    }
    out.push_str(&format!("%!{verb}({}=", value.type_name()));
    if verb == 'v' {
        out.push_str(&display(value)?);
    } else {
        format_value(out, spec, 'v', value, 0)?;
    }
    out.push(')');
    Ok(())
}

fn string(out: &mut String, spec: &Spec, verb: char, bytes: &[u8], value: &Value) -> PrintResult<()> {
    let truncated: Vec<u8>;
    let bytes = match (spec.precision, verb) {
        (Some(precision), 's' | 'v' | 'q') => {
            let text = String::from_utf8_lossy(bytes);
            truncated = text.chars().take(precision).collect::<String>().into_bytes();
            &truncated
        }
        (Some(precision), _) => &bytes[..bytes.len().min(precision)],
        _ => bytes,
    };
    match verb {
        's' => pad(out, spec, &String::from_utf8_lossy(bytes)),
        'v' if spec.sharp => pad(out, spec, &quote::quote(bytes)),
        'v' => pad(out, spec, &String::from_utf8_lossy(bytes)),
        'q' => pad(out, spec, &quoted(spec, bytes)),
        'x' | 'X' => pad(out, spec, &hex(spec, verb, bytes)),
        _ => bad_verb(out, spec, verb, value)?,
    }
    Ok(())
}

fn quoted(spec: &Spec, bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let raw = !text.contains(|c: char| c == '`' || c == '\u{7f}' || (c < ' ' && c != '\t'));
    match (spec.sharp && raw, spec.plus) {
        (true, _) => format!("`{text}`"),
        (false, true) => quote::quote_to_ascii(bytes),
        (false, false) => quote::quote(bytes),
    }
}

fn hex(spec: &Spec, verb: char, bytes: &[u8]) -> String {
    let prefix = if spec.sharp { format!("0{verb}") } else { String::new() };
    let parts = bytes.iter().map(|b| if verb == 'x' { format!("{b:02x}") } else { format!("{b:02X}") });
    if spec.space {
        return parts.map(|part| format!("{prefix}{part}")).collect::<Vec<_>>().join(" ");
    }
    let digits: String = parts.collect();
    if digits.is_empty() { digits } else { prefix + &digits }
}
