//! Go's text forms of floating-point numbers (`strconv.FormatFloat` and `ParseFloat`).

/// No float has more significant digits, or more digits after the point.
const MAX_DIGITS: usize = 1100;

/// A text with many digits after the point, of which those after the last significant one are zeros.
fn exact(value: f64, precision: usize, format: fn(f64, usize) -> String) -> String {
    let text = format(value, precision.min(MAX_DIGITS));
    let zeros = "0".repeat(precision.saturating_sub(MAX_DIGITS));
    match text.find('e') {
        Some(exponent) => [&text[..exponent], &zeros, &text[exponent..]].concat(),
        None => text + &zeros,
    }
}

/// The significant decimal digits of a number and the position of its decimal point.
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
            None => shortest_even(value.abs()),
            Some(count) => format!("{:.*e}", count.clamp(1, MAX_DIGITS) - 1, value.abs()),
        };
        Self::read(&text, value.is_sign_negative())
    }

    /// Takes the digits from Rust's scientific form.
    fn read(text: &str, negative: bool) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
        while digits.len() > 1 && digits.last() == Some(&b'0') {
            digits.pop();
        }
        let is_zero = digits == [b'0'];
        Self {
            negative,
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

/// The shortest scientific form. Of two that are equally close Go takes the even one; Rust
/// does that only for a given number of digits.
fn shortest_even(value: f64) -> String {
    let shortest = format!("{value:e}");
    let mantissa = shortest.split('e').next().unwrap_or(&shortest);
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let rounded = format!("{value:.*e}", digits.saturating_sub(1));
    if rounded.parse() == Ok(value) { rounded } else { shortest }
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
    general_form(&Digits::of(value, precision), precision, verb)
}

/// `%g` of a number of 32 bits, with the fewest digits.
pub(crate) fn general_narrow(value: f32) -> String {
    let text = format!("{:e}", value.abs());
    general_form(&Digits::read(&text, value.is_sign_negative()), None, 'g')
}

fn general_form(digits: &Digits, precision: Option<usize>, verb: char) -> String {
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

/// `%v`: Go's default form of a float.
pub(crate) fn shortest(value: f64) -> String {
    general(value, None, 'g')
}

/// The form of a float in JSON, as `encoding/json` writes it.
pub(crate) fn json(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
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
    let text = exact(value, precision, |value, precision| format!("{value:.precision$e}"));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mut result = mantissa.to_owned();
    push_exponent(&mut result, verb, exponent.parse().unwrap_or(0));
    result
}

/// `%f`.
pub(crate) fn fixed(value: f64, precision: usize) -> String {
    special(value).map_or_else(
        || exact(value, precision, |value, precision| format!("{value:.precision$}")),
        Into::into,
    )
}

/// Go's `strconv.ParseFloat` for decimal and hexadecimal numbers; numbers out of range are refused.
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
    let value: f64 = without_underscores(unsigned)?.parse().ok()?;
    value.is_finite().then_some(sign * value)
}

/// Removes underscores, which are only allowed between digits.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let separates = |at: usize| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1));
    let all_separate = (0..bytes.len()).filter(|at| bytes[*at] == b'_').all(separates);
    all_separate.then(|| text.replace('_', ""))
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
