//! Truth and defaults.

use super::Type::{Any, Bool};
use super::{Body, Call, Function, plain, variadic};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "and", params: &[Any], rest: Some(Any), body: Body::And },
    Function { name: "or", params: &[Any], rest: Some(Any), body: Body::Or },
    plain("not", &[Any], |c| Ok((!c.arg(0).is_true()).into())),
    variadic("default", &[Any], Any, default),
    plain("empty", &[Any], |c| Ok(is_empty(c.arg(0)).into())),
    variadic("coalesce", &[], Any, |c| {
        let first = c.args().iter().find(|value| !is_empty(value));
        Ok(first.cloned().unwrap_or_default())
    }),
    variadic("all", &[], Any, |c| Ok((!c.args().iter().any(is_empty)).into())),
    variadic("any", &[], Any, |c| Ok((!c.args().iter().all(is_empty)).into())),
    plain("ternary", &[Any, Any, Bool], |c| Ok(c.arg(usize::from(!c.flag(2))).clone())),
];

/// Whether `default` replaces the value.
pub(super) fn is_empty(value: &Value) -> bool {
    !value.is_true()
}

fn default(call: &Call<'_>) -> Result<Value, String> {
    let given = call.rest(1).first().filter(|value| !is_empty(value));
    Ok(given.unwrap_or(call.arg(0)).clone())
}
