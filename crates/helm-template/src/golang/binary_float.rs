//! Go's binary and hexadecimal forms of floating-point numbers.

/// The bits of a float's fraction.
const FRACTION_BITS: i32 = 52;
const FRACTION: u64 = (1 << FRACTION_BITS) - 1;
/// The hexadecimal digits of a fraction.
const DIGITS: usize = FRACTION_BITS as usize / 4;

/// The number as a mantissa without a point, and the exponent of two.
fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let fraction = bits & FRACTION;
    match ((bits >> FRACTION_BITS) & 0x7ff) as i32 {
        0 => (fraction, -1074),
        exponent => (fraction | (FRACTION + 1), exponent - 1075),
    }
}

fn sign(value: f64) -> &'static str {
    if value.is_sign_negative() { "-" } else { "" }
}

/// `%b` of a finite number: `4503599627370496p-52`.
pub(crate) fn binary(value: f64) -> String {
    let (mantissa, exponent) = parts(value);
    format!("{}{mantissa}p{exponent:+}", sign(value))
}

/// `%x` of a finite number: `0x1.8p+01`.
pub(crate) fn hexadecimal(value: f64, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = parts(value);
    if mantissa == 0 {
        exponent = -FRACTION_BITS;
    }
    while mantissa != 0 && mantissa <= FRACTION {
        mantissa <<= 1;
        exponent -= 1;
    }
    exponent += FRACTION_BITS;
    if let Some(precision) = precision.filter(|precision| *precision < DIGITS) {
        mantissa = rounded(mantissa, 4 * (DIGITS - precision));
        if mantissa > 2 * FRACTION + 1 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut digits = format!("{:013x}", mantissa & FRACTION);
    match precision {
        Some(precision) => {
            digits.truncate(precision);
            digits.extend(std::iter::repeat_n('0', precision - digits.len()));
        }
        None => digits.truncate(digits.trim_end_matches('0').len()),
    }
    let point = if digits.is_empty() { "" } else { "." };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    let whole = mantissa >> FRACTION_BITS;
    format!("{}0x{whole}{point}{digits}p{exponent_sign}{:02}", sign(value), exponent.abs())
}

/// Clears the lowest bits; of two numbers that are equally close the even one is taken.
fn rounded(mantissa: u64, bits: usize) -> u64 {
    let (unit, rest) = (1 << bits, mantissa & ((1 << bits) - 1));
    let down = mantissa - rest;
    let is_odd = down & unit != 0;
    if rest > unit / 2 || rest == unit / 2 && is_odd { down + unit } else { down }
}
