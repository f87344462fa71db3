//! Merging and copying maps.

use super::super::limits::MAX_DATA_DEPTH;
use super::super::value::{Entries, List, Map, Value};
use super::Type::{Any, Map as Dict};
use super::logic::is_empty;
use super::{Call, Function, plain, variadic};

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("merge", &[Dict], Dict, |c| merged(c, false)),
    variadic("mustMerge", &[Dict], Dict, |c| merged(c, false)),
    variadic("mergeOverwrite", &[Dict], Dict, |c| merged(c, true)),
    variadic("mustMergeOverwrite", &[Dict], Dict, |c| merged(c, true)),
    plain("deepCopy", &[Any], |c| deep_copy(c, c.arg(0), 0)),
    plain("mustDeepCopy", &[Any], |c| deep_copy(c, c.arg(0), 0)),
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
            }
            (Some(own), _) => {
                // A non-empty value wins over an empty one whichever side it is on.
                if (overwrite && !is_empty(&value)) || is_empty(&own) {
                    target.insert(key, value);
                }
            }
            (None, _) => target.insert(key, value),
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

fn deep_copy(call: &Call<'_>, value: &Value, depth: usize) -> Result<Value, String> {
    check_depth(depth)?;
    Ok(match value {
        Value::List(list) => {
            call.will_produce(list.items().len() * size_of::<Value>())?;
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
