//! Go's `fmt.Sprintf`.

use super::super::limits::MAX_LENGTH;
use super::super::value::Value;
use super::print::{self, PrintResult};
use super::{float, quote};

/// Widths and precisions beyond this are refused, as in Go.
const MAX_FIELD: i64 = 1_000_000;

/// Flags, width and precision of one verb.
#[derive(Debug, Default, Clone)]
struct Spec {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Refuses output that has become too long to keep.
pub(crate) fn check_length(out: &str) -> PrintResult<()> {
    if out.len() > MAX_LENGTH {
        return Err(format!("text is longer than the limit of {MAX_LENGTH} bytes"));
    }
    Ok(())
}

/// `fmt.Sprintf(format, args...)`.
pub(crate) fn sprintf(format: &str, args: &[Value]) -> PrintResult<String> {
    let mut formatter = Formatter { args, next: 0, reordered: false, good_index: true, out: String::new() };
    formatter.run(format)?;
    Ok(formatter.out)
}

struct Formatter<'a> {
    args: &'a [Value],
    next: usize,
    reordered: bool,
    good_index: bool,
    out: String,
}

impl Formatter<'_> {
    fn run(&mut self, format: &str) -> PrintResult<()> {
        let mut rest = format;
        while let Some(percent) = rest.find('%') {
            self.out.push_str(&rest[..percent]);
            rest = self.verb(&rest[percent + 1..])?;
            check_length(&self.out)?;
        }
        self.out.push_str(rest);
        if !self.reordered && self.next < self.args.len() {
            self.extra()?;
        }
        Ok(())
    }

    /// Handles what follows a percent sign and returns the rest of the format.
    fn verb<'f>(&mut self, mut rest: &'f str) -> PrintResult<&'f str> {
        let mut spec = Spec::default();
        self.good_index = true;
        self.reordered = false;
        while let Some(flag) = rest.chars().next() {
            match flag {
                '#' => spec.sharp = true,
                '0' => spec.zero = true,
                '+' => spec.plus = true,
                '-' => spec.minus = true,
                ' ' => spec.space = true,
                _ => break,
            }
            rest = &rest[1..];
        }
        let mut after_index = false;
        rest = self.index(rest, &mut after_index);
        rest = self.width(rest, &mut spec, &mut after_index);
        rest = self.precision(rest, &mut spec, &mut after_index);
        if !after_index {
            rest = self.index(rest, &mut after_index);
        }
        let Some(verb) = rest.chars().next() else {
            self.out.push_str("%!(NOVERB)");
            return Ok(rest);
        };
        let rest = &rest[verb.len_utf8()..];
        match verb {
            '%' => self.out.push('%'),
            _ if !self.good_index => self.out.push_str(&format!("%!{verb}(BADINDEX)")),
            _ if self.next >= self.args.len() => self.out.push_str(&format!("%!{verb}(MISSING)")),
            _ => {
                let arg = &self.args[self.next];
                self.next += 1;
                format_value(&mut self.out, &spec, verb, arg, 0)?;
            }
        }
        Ok(rest)
    }

    /// An explicit argument index: `[2]`.
    fn index<'f>(&mut self, rest: &'f str, found: &mut bool) -> &'f str {
        let Some(inner) = rest.strip_prefix('[') else {
            return rest;
        };
        self.reordered = true;
        let Some(end) = inner.find(']') else {
            self.good_index = false;
            return inner;
        };
        *found = true;
        match inner[..end].parse::<usize>() {
            Ok(number) if (1..=self.args.len()).contains(&number) => self.next = number - 1,
            _ => self.good_index = false,
        }
        &inner[end + 1..]
    }

    fn width<'f>(&mut self, rest: &'f str, spec: &mut Spec, after_index: &mut bool) -> &'f str {
        if let Some(rest) = rest.strip_prefix('*') {
            match self.star() {
                Some(width) => {
                    spec.minus |= width < 0;
                    spec.width = usize::try_from(width.abs()).ok();
                }
                None => self.out.push_str("%!(BADWIDTH)"),
            }
            *after_index = false;
            return rest;
        }
        let (number, rest) = leading_number(rest);
        if number.is_some() && *after_index {
            self.good_index = false;
        }
        spec.width = number;
        rest
    }

    fn precision<'f>(&mut self, rest: &'f str, spec: &mut Spec, after_index: &mut bool) -> &'f str {
        let Some(mut rest) = rest.strip_prefix('.') else {
            return rest;
        };
        if *after_index {
            self.good_index = false;
        }
        *after_index = false;
        rest = self.index(rest, after_index);
        if let Some(rest) = rest.strip_prefix('*') {
            match self.star() {
                Some(precision) => spec.precision = usize::try_from(precision).ok(),
                None => self.out.push_str("%!(BADPREC)"),
            }
            *after_index = false;
            return rest;
        }
        let (number, rest) = leading_number(rest);
        spec.precision = Some(number.unwrap_or(0));
        rest
    }

    fn star(&mut self) -> Option<i64> {
        let value = self.args.get(self.next)?;
        self.next += 1;
        match value {
            Value::Int(n) | Value::Int64(n) if n.abs() <= MAX_FIELD => Some(*n),
            _ => None,
        }
    }

    fn extra(&mut self) -> PrintResult<()> {
        self.out.push_str("%!(EXTRA ");
        for (index, value) in self.args[self.next..].iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            if value.is_nil() {
                self.out.push_str("<nil>");
            } else {
                self.out.push_str(value.type_name());
                self.out.push('=');
                self.out.push_str(&print::display(value)?);
            }
        }
        self.out.push(')');
        Ok(())
    }
}

fn leading_number(text: &str) -> (Option<usize>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..end].parse::<i64>().ok().filter(|n| *n <= MAX_FIELD);
    (number.and_then(|n| usize::try_from(n).ok()), &text[end..])
}

fn format_value(out: &mut String, spec: &Spec, verb: char, value: &Value, depth: usize) -> PrintResult<()> {
    check_length(out)?;
    match (verb, value) {
        ('T', _) => pad(out, spec, value.type_name()),
        ('v', Value::Nil) => pad(out, spec, "<nil>"),
        // Inside a list or a map Go writes a nil whatever the verb is.
        (_, Value::Nil) if depth > 0 => out.push_str("<nil>"),
        (_, Value::Nil) => bad_verb(out, verb, value)?,
        (_, Value::Bool(flag)) if matches!(verb, 't' | 'v') => pad(out, spec, &flag.to_string()),
        (_, Value::Int(n) | Value::Int64(n)) => {
            let sign = *n < 0;
            if !integer(out, spec, verb, n.unsigned_abs(), sign) {
                bad_verb(out, verb, value)?;
            }
        }
        (_, Value::Uint64(n)) => {
            if !integer(out, spec, verb, *n, false) {
                bad_verb(out, verb, value)?;
            }
        }
        (_, Value::Float(n)) => match float_text(spec, verb, *n) {
            Some(text) => pad_number(out, spec, text),
            None => bad_verb(out, verb, value)?,
        },
        (_, Value::String(text)) => string(out, spec, verb, text.as_bytes(), value)?,
        (_, Value::RawString(bytes)) => string(out, spec, verb, bytes, value)?,
        ('s' | 'q' | 'x' | 'X', Value::Bytes(bytes)) => string(out, spec, verb, bytes, value)?,
        (_, Value::Bytes(_) | Value::List(_) | Value::Map(_)) => {
            print::write_members(out, value, depth, &mut |out, member, depth| {
                format_value(out, spec, verb, member, depth)
            })?;
        }
        ('d', Value::Duration(n)) => {
            integer(out, spec, verb, n.unsigned_abs(), *n < 0);
        }
        (
            'v' | 's' | 'q' | 'x' | 'X',
            Value::Time(_)
            | Value::Duration(_)
            | Value::Version(_)
            | Value::KubeVersion(_)
            | Value::HelmVersion,
        ) => {
            let text = print::display(value)?;
            string(out, spec, verb, text.as_bytes(), value)?;
        }
        _ => bad_verb(out, verb, value)?,
    }
    Ok(())
}

fn bad_verb(out: &mut String, verb: char, value: &Value) -> PrintResult<()> {
    if value.is_nil() {
        out.push_str(&format!("%!{verb}(<nil>)"));
        return Ok(());
    }
    let text = print::display(value)?;
    out.push_str(&format!("%!{verb}({}={text})", value.type_name()));
    Ok(())
}

fn pad(out: &mut String, spec: &Spec, text: &str) {
    let fill = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    if spec.minus {
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', fill));
    } else {
        out.extend(std::iter::repeat_n(if spec.zero { '0' } else { ' ' }, fill));
        out.push_str(text);
    }
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
        _ => bad_verb(out, verb, value)?,
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

/// Writes an integer; false if the verb is not one of integers.
fn integer(out: &mut String, spec: &Spec, verb: char, magnitude: u64, negative: bool) -> bool {
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
    let text = format!("{sign}{prefix}{digits:0>width$}");
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

fn float_text(spec: &Spec, verb: char, value: f64) -> Option<String> {
    let text = match verb {
        'v' | 'g' => float::general(value, spec.precision, 'g'),
        'G' => float::general(value, spec.precision, 'G'),
        'e' | 'E' => float::scientific(value, spec.precision.unwrap_or(6), verb),
        'f' | 'F' => float::fixed(value, spec.precision.unwrap_or(6)),
        _ => return None,
    };
    if text.starts_with(['-', '+']) {
        let strip = text.starts_with('+') && !spec.plus;
        return Some(if strip { text[1..].to_owned() } else { text });
    }
    Some(sign(spec, false).to_owned() + &text)
}

fn pad_number(out: &mut String, spec: &Spec, text: String) {
    let width = spec.width.unwrap_or(0);
    let is_number = text.ends_with(|c: char| c.is_ascii_digit());
    if spec.zero && !spec.minus && is_number && text.len() < width {
        let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+', ' '])));
        out.push_str(&format!("{sign}{digits:0>fill$}", fill = width - sign.len()));
    } else {
        pad(out, &Spec { zero: false, ..spec.clone() }, &text);
    }
}
