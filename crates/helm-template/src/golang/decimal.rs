//! Exact decimal arithmetic on floats, as sprig does it.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// How many digits a quotient has after the point.
const DIVISION_DIGITS: i32 = 16;

/// A number as digits and a power of ten.
#[derive(Debug, Clone, Copy)]
struct Decimal {
    digits: i128,
    exponent: i32,
}

/// Applies the operation to the first number and each of the others in turn.
pub(crate) fn apply(operation: Operation, first: f64, others: &[f64]) -> Result<f64, String> {
    let mut exact = Decimal::of(first);
    let mut rough = first;
    for other in others {
        if operation == Operation::Divide && *other == 0.0 {
            return Err("decimal division by 0".into());
        }
        exact = exact.zip(Decimal::of(*other)).and_then(|(a, b)| a.apply(operation, b));
        rough = match operation {
            Operation::Add => rough + other,
            Operation::Subtract => rough - other,
            Operation::Multiply => rough * other,
            Operation::Divide => rough / other,
        };
    }
    // Numbers of more than 38 digits use binary arithmetic.
    Ok(exact.map_or(rough, Decimal::to_float))
}

impl Decimal {
    /// The shortest decimal that reads back as the float.
    fn of(value: f64) -> Option<Self> {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e')?;
        let fraction = mantissa.split_once('.').map_or("", |(_, fraction)| fraction);
        let digits = mantissa.replace('.', "").parse().ok()?;
        let exponent: i32 = exponent.parse().ok()?;
        let exponent = exponent - i32::try_from(fraction.len()).ok()?;
        Some(Self { digits, exponent })
    }

    fn to_float(self) -> f64 {
        // A decimal literal is always a valid float.
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or(f64::NAN)
    }

    /// The digits for a smaller exponent.
    fn scaled(self, exponent: i32) -> Option<i128> {
        let shift = u32::try_from(self.exponent.checked_sub(exponent)?).ok()?;
        self.digits.checked_mul(10_i128.checked_pow(shift)?)
    }

    fn apply(self, operation: Operation, other: Self) -> Option<Self> {
        let common = self.exponent.min(other.exponent);
        match operation {
            Operation::Add => Some(Self {
                digits: self.scaled(common)?.checked_add(other.scaled(common)?)?,
                exponent: common,
            }),
            Operation::Subtract => Some(Self {
                digits: self.scaled(common)?.checked_sub(other.scaled(common)?)?,
                exponent: common,
            }),
            Operation::Multiply => Some(Self {
                digits: self.digits.checked_mul(other.digits)?,
                exponent: self.exponent + other.exponent,
            }),
            Operation::Divide => self.divide(other),
        }
    }

    /// Rounds the last digit of the quotient half away from zero.
    fn divide(self, other: Self) -> Option<Self> {
        let shift = self.exponent - other.exponent + DIVISION_DIGITS;
        let power = 10_i128.checked_pow(shift.unsigned_abs())?;
        let (numerator, denominator) = if shift >= 0 {
            (self.digits.checked_mul(power)?, other.digits)
        } else {
            (self.digits, other.digits.checked_mul(power)?)
        };
        let (quotient, rest) = (numerator / denominator, numerator % denominator);
        let round = rest.unsigned_abs() * 2 >= denominator.unsigned_abs();
        let sign = if (numerator < 0) == (denominator < 0) { 1 } else { -1 };
        Some(Self { digits: quotient + if round { sign } else { 0 }, exponent: -DIVISION_DIGITS })
    }
}
