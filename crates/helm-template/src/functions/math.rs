//! Arithmetic on integers, and on floats as exact decimals.

use super::Type::{Any, Float, Int};
use super::convert::{to_float, to_int};
use super::{Call, Function, plain, variadic};
use crate::golang::decimal::{self, Operation};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("add1", &[Any], |c| Ok(Value::Int64(to_int(c.arg(0)).wrapping_add(1)))),
    variadic("add", &[], Any, |c| Ok(folded(c, 0, i64::wrapping_add))),
    plain("sub", &[Any, Any], |c| Ok(Value::Int64(to_int(c.arg(0)).wrapping_sub(to_int(c.arg(1)))))),
    plain("div", &[Any, Any], |c| divided(c, i64::wrapping_div)),
    plain("mod", &[Any, Any], |c| divided(c, i64::wrapping_rem)),
    variadic("mul", &[Any], Any, |c| Ok(folded(c, 1, i64::wrapping_mul))),
    variadic("max", &[Any], Any, |c| Ok(folded(c, i64::MIN, Ord::max))),
    variadic("biggest", &[Any], Any, |c| Ok(folded(c, i64::MIN, Ord::max))),
    variadic("min", &[Any], Any, |c| Ok(folded(c, i64::MAX, Ord::min))),
    plain("add1f", &[Any], |c| Ok(Value::Float(decimal::apply(Operation::Add, to_float(c.arg(0)), &[1.0])?))),
    variadic("addf", &[], Any, |c| {
        let all: Vec<f64> = c.args().iter().map(to_float).collect();
        Ok(Value::Float(decimal::apply(Operation::Add, 0.0, &all)?))
    }),
    variadic("subf", &[Any], Any, |c| decimals(c, Operation::Subtract)),
    variadic("mulf", &[Any], Any, |c| decimals(c, Operation::Multiply)),
    variadic("divf", &[Any], Any, |c| decimals(c, Operation::Divide)),
    variadic("maxf", &[Any], Any, |c| Ok(extreme(c, |a, b| if b > a { b } else { a }))),
    variadic("minf", &[Any], Any, |c| Ok(extreme(c, |a, b| if b < a { b } else { a }))),
    plain("ceil", &[Any], |c| Ok(Value::Float(to_float(c.arg(0)).ceil()))),
    plain("floor", &[Any], |c| Ok(Value::Float(to_float(c.arg(0)).floor()))),
    variadic("round", &[Any, Int], Float, round),
];

fn folded(call: &Call<'_>, start: i64, combine: fn(i64, i64) -> i64) -> Value {
    Value::Int64(call.args().iter().map(to_int).fold(start, combine))
}

fn divided(call: &Call<'_>, operation: fn(i64, i64) -> i64) -> Result<Value, String> {
    match to_int(call.arg(1)) {
        0 => Err("runtime error: integer divide by zero".into()),
        divisor => Ok(Value::Int64(operation(to_int(call.arg(0)), divisor))),
    }
}

fn decimals(call: &Call<'_>, operation: Operation) -> Result<Value, String> {
    let others: Vec<f64> = call.rest(1).iter().map(to_float).collect();
    let result = decimal::apply(operation, to_float(call.arg(0)), &others)?;
    Ok(Value::Float(result))
}

fn extreme(call: &Call<'_>, better: fn(f64, f64) -> f64) -> Value {
    let others = call.rest(1).iter().map(to_float);
    Value::Float(others.fold(to_float(call.arg(0)), better))
}

/// `round 3.14159 2`; a third argument is the smallest fraction that is rounded up.
fn round(call: &Call<'_>) -> Result<Value, String> {
    let up_from = match call.rest(2).first() {
        Some(Value::Float(value)) => *value,
        _ => 0.5,
    };
    let places = i32::try_from(call.int(1)).unwrap_or(i32::MAX);
    let power = 10_f64.powi(places);
    let scaled = power * to_float(call.arg(0));
    let rounded = if scaled.fract() >= up_from { scaled.ceil() } else { scaled.floor() };
    Ok(Value::Float(rounded / power))
}
