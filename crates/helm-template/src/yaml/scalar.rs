//! What a plain scalar means in YAML 1.1, as go-yaml resolves it.

use crate::golang::{self, float, time_layout};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    /// A date or a time: a string, but one that has to be quoted to stay a string.
    Timestamp,
    String,
}

/// Resolves a plain scalar.
pub(crate) fn resolve(text: &str) -> Scalar {
    if let Some(scalar) = word(text) {
        return scalar;
    }
    match text.as_bytes().first() {
        Some(b'.') => float::parse(text).map_or(Scalar::String, Scalar::Float),
        Some(b'0'..=b'9' | b'+' | b'-') => number(text),
        _ => Scalar::String,
    }
}

fn word(text: &str) -> Option<Scalar> {
    Some(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

fn number(text: &str) -> Scalar {
    if is_timestamp(text) {
        return Scalar::Timestamp;
    }
    let plain = text.replace('_', "");
    if let Some(scalar) = integer(&plain) {
        return scalar;
    }
    if is_decimal_float(&plain)
        && let Some(value) = float::parse(&plain)
    {
        return Scalar::Float(value);
    }
    Scalar::String
}

/// An integer in Go's syntax.
pub(crate) fn integer(plain: &str) -> Option<Scalar> {
    let (negative, magnitude) = golang::integer::parse(plain)?;
    if negative {
        return 0_i64.checked_sub_unsigned(magnitude).map(Scalar::Int);
    }
    match i64::try_from(magnitude) {
        Ok(value) => Some(Scalar::Int(value)),
        // ParseUint takes no sign.
        Err(_) if plain.starts_with('+') => None,
        Err(_) => Some(Scalar::Uint(magnitude)),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_decimal_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_ok = digits(whole)
        && digits(fraction)
        && (!whole.is_empty() || (!fraction.is_empty() && mantissa.contains('.')));
    let exponent_ok = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    mantissa_ok && exponent_ok
}

fn is_timestamp(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits != 4 || text.as_bytes().get(4) != Some(&b'-') {
        return false;
    }
    [
        "2006-1-2T15:4:5.999999999Z07:00",
        "2006-1-2t15:4:5.999999999Z07:00",
        "2006-1-2 15:4:5.999999999",
        "2006-1-2",
    ]
    .iter()
    .any(|layout| time_layout::parse(layout, text).is_some())
}

/// A number in base 60, which other readers of YAML 1.1 recognize: `12:30:45`.
pub(crate) fn is_base60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or("");
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let mut count = 0;
    let rest_ok = parts.all(|part| {
        count += 1;
        match part.as_bytes() {
            [b] => b.is_ascii_digit(),
            [a, b] => (b'0'..=b'5').contains(a) && b.is_ascii_digit(),
            _ => false,
        }
    });
    first.starts_with(|c: char| c.is_ascii_digit())
        && digits(first)
        && rest_ok
        && count > 0
        && digits(fraction)
}

/// Whether the text has to be quoted to be read as a string again.
pub(crate) fn needs_quotes(text: &str) -> bool {
    resolve(text) != Scalar::String || is_base60(text)
}
