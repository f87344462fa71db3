//! Numbers in the forms of the verbs.

use super::spec::{Spec, pad};
use crate::golang::{binary_float, float, quote};

/// Writes an integer; false if the verb is not one of integers.
pub(super) fn integer(out: &mut String, spec: &Spec, verb: char, magnitude: u64, negative: bool) -> bool {
    let (digits, prefix) = match verb {
        'd' | 'v' => (magnitude.to_string(), ""),
        'b' => (format!("{magnitude:b}"), if spec.sharp { "0b" } else { "" }),
        'o' => (format!("{magnitude:o}"), if spec.sharp { "0" } else { "" }),
        'O' => (format!("{magnitude:o}"), "0o"),
        'x' => (format!("{magnitude:x}"), if spec.sharp { "0x" } else { "" }),
        'X' => (format!("{magnitude:X}"), if spec.sharp { "0X" } else { "" }),
        'c' | 'q' | 'U' => {
            let c = u32::try_from(magnitude).ok().and_then(char::from_u32);
            let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
            let text = match verb {
                'c' => c.to_string(),
                'q' => quote::quote_char(c),
                _ if spec.sharp => format!("U+{magnitude:04X} '{c}'"),
                _ => format!("U+{magnitude:04X}"),
            };
            pad(out, &Spec { zero: false, ..spec.clone() }, &text);
            return true;
        }
        _ => return false,
    };
    let sign = sign(spec, negative);
    let mut width = digits.len();
    match spec.precision {
        Some(0) if magnitude == 0 => {
            pad(out, &Spec { zero: false, ..spec.clone() }, "");
            return true;
        }
        Some(precision) => width = width.max(precision),
        None if spec.zero && !spec.minus => {
            width = width.max(spec.width.unwrap_or(0).saturating_sub(sign.len()));
        }
        None => {}
    }
    let zeros = "0".repeat(width.saturating_sub(digits.len()));
    let text = [sign, prefix, &zeros, &digits].concat();
    pad(out, &Spec { zero: false, ..spec.clone() }, &text);
    true
}

fn sign(spec: &Spec, negative: bool) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    }
}

pub(super) fn float_text(spec: &Spec, verb: char, value: f64) -> Option<String> {
    let text = match verb {
        'v' | 'g' => float::general(value, spec.precision, 'g'),
        'G' => float::general(value, spec.precision, 'G'),
        'e' | 'E' => float::scientific(value, spec.precision.unwrap_or(6), verb),
        'f' | 'F' => float::fixed(value, spec.precision.unwrap_or(6)),
        'b' | 'x' | 'X' if !value.is_finite() => float::general(value, None, 'g'),
        'b' => binary_float::binary(value),
        'x' => binary_float::hexadecimal(value, spec.precision),
        'X' => binary_float::hexadecimal(value, spec.precision).to_uppercase(),
        _ => return None,
    };
    if text.starts_with(['-', '+']) {
        let strip = text.starts_with('+') && !spec.plus;
        return Some(if strip { text[1..].to_owned() } else { text });
    }
    Some(sign(spec, false).to_owned() + &text)
}

pub(super) fn pad_number(out: &mut String, spec: &Spec, text: String) {
    let width = spec.width.unwrap_or(0);
    let is_number = text.ends_with(|c: char| c.is_ascii_digit());
    if spec.zero && !spec.minus && is_number && text.len() < width {
        let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+', ' '])));
        out.push_str(sign);
        out.extend(std::iter::repeat_n('0', width - text.len()));
        out.push_str(digits);
    } else {
        pad(out, &Spec { zero: false, ..spec.clone() }, &text);
    }
}
