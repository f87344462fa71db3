//! Durations.

use super::super::golang::float;
use super::super::golang::time::{self, Time};
use super::super::value::Value;
use super::Type::Any;
use super::{Call, Function, plain};

const SECOND: i64 = 1_000_000_000;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("duration", &[Any], |c| {
        let seconds = match c.arg(0) {
            Value::String(text) => text.parse().unwrap_or(0),
            Value::Int64(seconds) => *seconds,
            // Other types, an int among them, count as nothing.
            _ => 0,
        };
        Ok(time::duration_to_string(seconds.wrapping_mul(SECOND)).into())
    }),
    plain("durationRound", &[Any], |c| Ok(rounded(c.arg(0)).into())),
    plain("mustToDuration", &[Any], |c| Ok(Value::Duration(duration(c.arg(0))?))),
    plain("durationSeconds", &[Any], |c| Ok(float_of(c, 1e9))),
    plain("durationMinutes", &[Any], |c| Ok(float_of(c, 60e9))),
    plain("durationHours", &[Any], |c| Ok(float_of(c, 3600e9))),
    plain("durationDays", &[Any], |c| Ok(float_of(c, 86_400e9))),
    plain("durationWeeks", &[Any], |c| Ok(float_of(c, 604_800e9))),
    plain("durationMilliseconds", &[Any], |c| Ok(int_of(c, 1_000_000))),
    plain("durationMicroseconds", &[Any], |c| Ok(int_of(c, 1_000))),
    plain("durationNanoseconds", &[Any], |c| Ok(int_of(c, 1))),
    plain("durationRoundTo", &[Any, Any], |c| Ok(to_multiple(c, true))),
    plain("durationTruncateTo", &[Any, Any], |c| Ok(to_multiple(c, false))),
];

fn rounded(value: &Value) -> String {
    let nanos = match value {
        Value::String(text) => time::parse_duration(text).unwrap_or(0),
        Value::Int64(nanos) => *nanos,
        Value::Time(time) => Time::now().since(*time),
        _ => 0,
    };
    let seconds = nanos.unsigned_abs();
    let units = [(365 * 86_400, "y"), (30 * 86_400, "mo"), (86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    for (unit, name) in units {
        let unit = unit * SECOND.unsigned_abs();
        if seconds > unit {
            return format!("{}{name}", seconds / unit);
        }
    }
    "0s".into()
}

/// The duration that a value stands for, in nanoseconds; numbers are seconds.
fn duration(value: &Value) -> Result<i64, String> {
    let overflow = || "duration seconds overflow".to_owned();
    let of_float = |seconds: f64| {
        let nanos = seconds * 1e9;
        // The bounds of an i64, which the cast keeps to.
        if nanos.is_finite() && nanos.abs() <= 9.2e18 { Ok(nanos as i64) } else { Err(overflow()) }
    };
    match value {
        Value::Duration(nanos) => Ok(*nanos),
        Value::Int(seconds) | Value::Int64(seconds) => seconds.checked_mul(SECOND).ok_or_else(overflow),
        Value::Uint64(seconds) => {
            i64::try_from(*seconds).ok().and_then(|seconds| seconds.checked_mul(SECOND)).ok_or_else(overflow)
        }
        Value::Float(seconds) => of_float(*seconds),
        Value::String(text) => {
            let text = text.trim();
            if let Some(nanos) = time::parse_duration(text) {
                return Ok(nanos);
            }
            let seconds = float::parse(text);
            of_float(seconds.ok_or_else(|| format!("could not parse duration {text:?}"))?)
        }
        Value::Nil => Err("invalid duration".into()),
        other => Err(format!("unsupported duration type {}", other.type_name())),
    }
}

fn float_of(call: &Call<'_>, unit: f64) -> Value {
    Value::Float(duration(call.arg(0)).map_or(0.0, |nanos| nanos as f64 / unit))
}

fn int_of(call: &Call<'_>, unit: i64) -> Value {
    Value::Int64(duration(call.arg(0)).map_or(0, |nanos| nanos / unit))
}

fn to_multiple(call: &Call<'_>, round: bool) -> Value {
    let Ok(nanos) = duration(call.arg(0)) else {
        return Value::Duration(0);
    };
    let unit = duration(call.arg(1)).ok().filter(|unit| *unit > 0);
    let Some(unit) = unit else {
        return Value::Duration(nanos);
    };
    let rest = nanos % unit;
    let truncated = nanos - rest;
    let up = round && rest.saturating_abs() >= unit - rest.saturating_abs();
    Value::Duration(if up { truncated.saturating_add(unit * nanos.signum()) } else { truncated })
}
