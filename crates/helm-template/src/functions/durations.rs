//! Durations.

use super::Type::Any;
use super::{Function, plain};
use crate::golang::time::{self, Time};
use crate::value::Value;

const SECOND: i64 = 1_000_000_000;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("duration", &[Any], |c| {
        let seconds = match c.arg(0) {
            Value::String(text) => text.parse().unwrap_or(0),
            Value::Int64(seconds) => *seconds,
            // Other types, including int, count as 0.
            _ => 0,
        };
        Ok(time::duration_to_string(seconds.wrapping_mul(SECOND)).into())
    }),
    plain("durationRound", &[Any], |c| Ok(rounded(c.arg(0)).into())),
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
