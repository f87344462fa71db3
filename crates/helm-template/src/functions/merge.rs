//! Merging and copying maps.

use super::Type::{Any, Map as Dict};
use super::logic::is_empty;
use super::{Call, Function, plain, variadic};
use crate::limits::MAX_DATA_DEPTH;
use crate::value::{Entries, List, Map, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("merge", &[Dict], Dict, |c| merged(c, false)),
    variadic("mustMerge", &[Dict], Dict, |c| merged(c, false)),
    variadic("mergeOverwrite", &[Dict], Dict, |c| merged(c, true)),
    variadic("mustMergeOverwrite", &[Dict], Dict, |c| merged(c, true)),
    plain("deepCopy", &[Any], copied),
    plain("mustDeepCopy", &[Any], copied),
];

/// Merges the other maps into the first one, which is changed and returned.
fn merged(call: &Call<'_>, overwrite: bool) -> Result<Value, String> {
    let target = call.map(0);
    for index in 1..call.args().len() {
        merge(call, &target, &call.map(index), overwrite, 0)?;
    }
    Ok(Value::Map(target))
}

fn merge(call: &Call<'_>, target: &Map, source: &Map, overwrite: bool, depth: usize) -> Result<(), String> {
    check_depth(depth)?;
    if target.is_same(source) {
        return Ok(());
    }
    let entries = source.entries();
    call.will_produce(entries.len() * size_of::<Value>())?;
    for (key, value) in entries {
        match (target.get(&key), &value) {
            (Some(Value::Map(own)), Value::Map(other)) => {
                merge(call, &own, other, overwrite, depth + 1)?;
                // It can still be empty: nils are not copied.
                if own.len() == 0 {
                    target.insert(key, value.clone());
                }
            }
            // A nil is copied only when overwriting.
            (_, Value::Nil) if !overwrite => {}
            // Anything replaces an empty value, including false and 0.
            (Some(own), _) if !overwrite && !is_empty(&own) => {}
            _ => target.insert(key, value),
        }
    }
    Ok(())
}

fn check_depth(depth: usize) -> Result<(), String> {
    if depth > MAX_DATA_DEPTH {
        return Err("value is nested too deeply".into());
    }
    Ok(())
}

fn copied(call: &Call<'_>) -> Result<Value, String> {
    match call.arg(0) {
        Value::Nil => Err("cannot copy nil".into()),
        value => deep_copy(call, value, 0),
    }
}

fn deep_copy(call: &Call<'_>, value: &Value, depth: usize) -> Result<Value, String> {
    check_depth(depth)?;
    Ok(match value {
        value if value.is_any_nil() => value.clone(),
        Value::List(list) => {
            call.will_produce(size_of_val(list.items()))?;
            let items = list.items().iter().map(|item| deep_copy(call, item, depth + 1));
            Value::List(List::new(list.kind(), items.collect::<Result<_, _>>()?))
        }
        Value::Map(map) => {
            let mut copy = Entries::new();
            for (key, item) in map.entries() {
                call.will_produce(size_of::<Value>())?;
                copy.insert(key, deep_copy(call, &item, depth + 1)?);
            }
            Value::Map(Map::new(map.kind(), copy))
        }
        other => other.clone(),
    })
}
