//! Comparisons, with Go's rules on types.

use std::cmp::Ordering;

use super::Type::Any;
use super::{Call, Function, plain, variadic};
use crate::limits::MAX_DATA_DEPTH;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("eq", &[Any], Any, eq),
    plain("ne", &[Any, Any], |c| Ok((!equal(c.arg(0), c.arg(1))?).into())),
    plain("lt", &[Any, Any], |c| Ok(order(c)?.is_some_and(Ordering::is_lt).into())),
    plain("le", &[Any, Any], |c| Ok(order(c)?.is_some_and(Ordering::is_le).into())),
    plain("gt", &[Any, Any], greater),
    plain("ge", &[Any, Any], greater_equal),
    plain("deepEqual", &[Any, Any], |c| Ok(deep_equal(c.arg(0), c.arg(1))?.into())),
];

const INCOMPATIBLE: &str = "incompatible types for comparison";
const INVALID: &str = "invalid type for comparison";

/// Go's kinds of comparable values; the different integers are one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Basic {
    Bool,
    Int,
    Uint,
    Float,
    String,
    Other,
}

fn basic(value: &Value) -> Basic {
    match value {
        Value::Bool(_) => Basic::Bool,
        Value::Int(_) | Value::Int64(_) => Basic::Int,
        Value::Uint64(_) => Basic::Uint,
        Value::Float(_) => Basic::Float,
        Value::String(_) | Value::RawString(_) => Basic::String,
        _ => Basic::Other,
    }
}

fn integer(value: &Value) -> i128 {
    match value {
        Value::Int(n) | Value::Int64(n) => i128::from(*n),
        Value::Uint64(n) => i128::from(*n),
        _ => 0,
    }
}

fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::String(text) => text.as_bytes(),
        Value::RawString(bytes) => bytes,
        _ => &[],
    }
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!("{INCOMPATIBLE}: {} and {}", a.type_name(), b.type_name())
}

/// `eq a b c` is whether `a` equals any of the others.
fn eq(call: &Call<'_>) -> Result<Value, String> {
    if call.rest(1).is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in call.rest(1) {
        if equal(call.arg(0), other)? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    let both_integers = |k| matches!(k, Basic::Int | Basic::Uint);
    Ok(match (basic(a), basic(b)) {
        (x, y) if both_integers(x) && both_integers(y) => integer(a) == integer(b),
        (Basic::Bool, Basic::Bool) => a.is_true() == b.is_true(),
        (Basic::String, Basic::String) => bytes(a) == bytes(b),
        (Basic::Float, Basic::Float) => match (a, b) {
            (Value::Float(x), Value::Float(y)) => x == y,
            _ => false,
        },
        (Basic::Other, Basic::Other) => return equal_others(a, b),
        _ if a.is_nil() || b.is_nil() => false,
        _ => return Err(incompatible(a, b)),
    })
}

fn equal_others(a: &Value, b: &Value) -> Result<bool, String> {
    if a.is_any_nil() || b.is_any_nil() {
        return Ok(a.is_any_nil() && b.is_any_nil());
    }
    for value in [a, b] {
        if matches!(value, Value::Map(_) | Value::List(_) | Value::Bytes(_)) {
            return Err(format!("non-comparable type {}", value.type_name()));
        }
    }
    Ok(match (a, b) {
        (Value::Time(x), Value::Time(y)) => x == y,
        (Value::KubeVersion(x), Value::KubeVersion(y)) => x == y,
        _ => false,
    })
}

fn order(call: &Call<'_>) -> Result<Option<Ordering>, String> {
    let (a, b) = (call.arg(0), call.arg(1));
    let both_integers = |k| matches!(k, Basic::Int | Basic::Uint);
    match (basic(a), basic(b)) {
        (Basic::Other, _) | (_, Basic::Other) => Err(INVALID.into()),
        (x, y) if both_integers(x) && both_integers(y) => Ok(Some(integer(a).cmp(&integer(b)))),
        (Basic::Float, Basic::Float) => match (a, b) {
            (Value::Float(x), Value::Float(y)) => Ok(x.partial_cmp(y)),
            _ => Ok(None),
        },
        (Basic::String, Basic::String) => Ok(Some(bytes(a).cmp(bytes(b)))),
        (Basic::Bool, Basic::Bool) => Err(INVALID.into()),
        _ => Err(incompatible(a, b)),
    }
}

/// Go computes `a > b` as not `a <= b`, which matters for NaN.
fn greater(call: &Call<'_>) -> Result<Value, String> {
    Ok((!order(call)?.is_some_and(Ordering::is_le)).into())
}

fn greater_equal(call: &Call<'_>) -> Result<Value, String> {
    Ok((!order(call)?.is_some_and(Ordering::is_lt)).into())
}

/// Go's `reflect.DeepEqual`: types count, so an `int` never equals a `float64`.
pub(super) fn deep_equal(a: &Value, b: &Value) -> Result<bool, String> {
    compare_deep(a, b, 0)
}

fn compare_deep(a: &Value, b: &Value, depth: usize) -> Result<bool, String> {
    if depth > MAX_DATA_DEPTH {
        return Err("values are nested too deeply to be compared".into());
    }
    Ok(match (a, b) {
        (Value::Nil, Value::Nil) => true,
        (Value::List(x), Value::List(y)) => {
            if x.kind() != y.kind() || x.is_nil() != y.is_nil() || x.items().len() != y.items().len() {
                return Ok(false);
            }
            if x.is_same(y) {
                return Ok(true);
            }
            for (left, right) in x.items().iter().zip(y.items()) {
                if !compare_deep(left, right, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(x), Value::Map(y)) => {
            if x.kind() != y.kind() || x.is_nil() != y.is_nil() || x.len() != y.len() {
                return Ok(false);
            }
            if x.is_same(y) {
                return Ok(true);
            }
            for ((key, left), (other, right)) in x.entries().iter().zip(y.entries().iter()) {
                if key != other || !compare_deep(left, right, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Bytes(x), Value::Bytes(y)) => x == y,
        (Value::Version(x), Value::Version(y)) => x == y,
        _ => a.type_name() == b.type_name() && basic(a) == basic(b) && equal(a, b)?,
    })
}
