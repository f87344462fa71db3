//! Go's text forms of floating-point numbers (`strconv.FormatFloat` and `ParseFloat`).

/// The significant decimal digits of a number and where its decimal point stands.
struct Digits {
    negative: bool,
    digits: Vec<u8>,
    /// The number of digits before the decimal point; may be negative.
    point: i32,
}

impl Digits {
    /// The fewest digits that read back as the same number, or `significant` of them.
    fn of(value: f64, significant: Option<usize>) -> Self {
        let text = match significant {
            None => format!("{:e}", value.abs()),
            Some(count) => format!("{:.*e}", count.max(1) - 1, value.abs()),
        };
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
        while digits.len() > 1 && digits.last() == Some(&b'0') {
            digits.pop();
        }
        let is_zero = digits == [b'0'];
        Self {
            negative: value.is_sign_negative(),
            point: if is_zero { 0 } else { exponent.parse().unwrap_or(0) + 1 },
            digits: if is_zero { Vec::new() } else { digits },
        }
    }

    fn scientific(&self, verb: char) -> String {
        let mut text = self.sign();
        text.push(char::from(*self.digits.first().unwrap_or(&b'0')));
        if self.digits.len() > 1 {
            text.push('.');
            text.extend(self.digits[1..].iter().map(|d| char::from(*d)));
        }
        let exponent = if self.digits.is_empty() { 0 } else { self.point - 1 };
        push_exponent(&mut text, verb, exponent);
        text
    }

    fn positional(&self) -> String {
        let mut text = self.sign();
        let point = usize::try_from(self.point).unwrap_or(0);
        if point == 0 {
            text.push('0');
        }
        for index in 0..point {
            text.push(char::from(*self.digits.get(index).unwrap_or(&b'0')));
        }
        if self.digits.len() > point {
            text.push('.');
            text.extend((self.point..0).map(|_| '0'));
            text.extend(self.digits[point..].iter().map(|d| char::from(*d)));
        }
        text
    }

    fn sign(&self) -> String {
        if self.negative { "-".into() } else { String::new() }
    }
}

fn push_exponent(text: &mut String, verb: char, exponent: i32) {
    text.push(verb);
    text.push(if exponent < 0 { '-' } else { '+' });
    text.push_str(&format!("{:02}", exponent.abs()));
}

fn special(value: f64) -> Option<&'static str> {
    match value {
        v if v.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

/// `%g`: the shorter of the scientific and the positional form.
pub(crate) fn general(value: f64, precision: Option<usize>, verb: char) -> String {
    if let Some(text) = special(value) {
        return text.into();
    }
    let digits = Digits::of(value, precision);
    let count = i32::try_from(digits.digits.len()).unwrap_or(i32::MAX);
    let limit = match precision {
        None => 6,
        Some(precision) => {
            let precision = i32::try_from(precision.max(1)).unwrap_or(i32::MAX);
            if precision > count && count >= digits.point { count } else { precision }
        }
    };
    let exponent = digits.point - 1;
    if exponent < -4 || exponent >= limit {
        digits.scientific(if verb == 'G' { 'E' } else { 'e' })
    } else {
        digits.positional()
    }
}

/// The form that Go prints a float in by default: `%v`.
pub(crate) fn shortest(value: f64) -> String {
    general(value, None, 'g')
}

/// The form of a float in JSON, as `encoding/json` writes it.
pub(crate) fn json(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && (magnitude < 1e-6 || magnitude >= 1e21) {
        let text = Digits::of(value, None).scientific('e');
        // encoding/json cleans e-09 up to e-9.
        return text.replace("e-0", "e-");
    }
    Digits::of(value, None).positional()
}

/// `%e`.
pub(crate) fn scientific(value: f64, precision: usize, verb: char) -> String {
    if let Some(text) = special(value) {
        return text.into();
    }
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mut result = mantissa.to_owned();
    push_exponent(&mut result, verb, exponent.parse().unwrap_or(0));
    result
}

/// `%f`.
pub(crate) fn fixed(value: f64, precision: usize) -> String {
    special(value).map_or_else(|| format!("{value:.precision$}"), Into::into)
}

/// Go's `strconv.ParseFloat` for decimal and hexadecimal numbers; out of range is no number.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    match unsigned.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        "nan" => return Some(f64::NAN),
        lower if lower.starts_with("0x") => return parse_hex(&lower[2..]).map(|v| sign * v),
        _ => {}
    }
    // Rust's parser takes the same decimal forms, but also the words handled above.
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let value: f64 = unsigned.parse().ok()?;
    value.is_finite().then_some(sign * value)
}

fn parse_hex(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0_f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let shift = i32::try_from(fraction.len()).ok()?.checked_mul(4)?;
    let exponent = exponent.parse::<i32>().ok()?.checked_sub(shift)?;
    let value = value * 2.0_f64.powi(exponent);
    value.is_finite().then_some(value)
}
