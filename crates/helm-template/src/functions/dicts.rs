//! Maps.

use super::Type::{Any, Map as Dict, String as Text};
use super::convert::text_of;
use super::{Call, Function, plain, variadic};
use crate::value::{Entries, Map, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("dict", &[], Any, dict),
    plain("get", &[Dict, Text], |c| Ok(c.map(0).get(&c.text(1)).unwrap_or_else(|| "".into()))),
    plain("set", &[Dict, Text, Any], set),
    plain("unset", &[Dict, Text], |c| {
        let map = c.map(0);
        map.remove(&c.text(1));
        Ok(Value::Map(map))
    }),
    plain("hasKey", &[Dict, Text], |c| Ok(c.map(0).contains(&c.text(1)).into())),
    variadic("pluck", &[Text], Dict, pluck),
    variadic("keys", &[], Dict, |c| {
        let maps = (0..c.args().len()).map(|index| c.map(index));
        let keys = maps.flat_map(|map| map.entries()).map(|(key, _)| key);
        Ok(Value::strings(keys))
    }),
    plain("values", &[Dict], |c| {
        let entries = c.map(0).entries();
        Ok(Value::list(entries.into_iter().map(|(_, value)| value).collect()))
    }),
    variadic("pick", &[Dict], Text, |c| Ok(filtered(c, |named| named))),
    variadic("omit", &[Dict], Text, |c| Ok(filtered(c, |named| !named))),
    variadic("dig", &[], Any, dig),
];

fn dict(call: &Call<'_>) -> Result<Value, String> {
    let mut entries = Entries::new();
    for pair in call.args().chunks(2) {
        let value = pair.get(1).cloned().unwrap_or_else(|| "".into());
        entries.insert(text_of(&pair[0])?.into(), value);
    }
    Ok(Value::map(entries))
}

fn set(call: &Call<'_>) -> Result<Value, String> {
    if call.arg(0).is_any_nil() {
        return Err("assignment to entry in nil map".into());
    }
    call.map(0).insert(call.text(1), call.arg(2).clone());
    Ok(call.arg(0).clone())
}

fn pluck(call: &Call<'_>) -> Result<Value, String> {
    let key = call.text(0);
    let maps = (1..call.args().len()).map(|index| call.map(index));
    Ok(Value::list(maps.filter_map(|map| map.get(&key)).collect()))
}

/// A copy of the entries that are named, or of those that are not.
fn filtered(call: &Call<'_>, wanted: fn(bool) -> bool) -> Value {
    let names: Vec<_> = (1..call.args().len()).map(|index| call.text(index)).collect();
    let entries = call.map(0).entries().into_iter();
    let kept = entries.filter(|(key, _)| wanted(names.iter().any(|name| **name == **key)));
    Value::map(kept.collect())
}

/// `dig "a" "b" default map` is `map.a.b`, or the default where a key is missing.
fn dig(call: &Call<'_>) -> Result<Value, String> {
    let [keys @ .., default, map] = call.args() else {
        return Err("dig needs at least three arguments".into());
    };
    if keys.is_empty() {
        return Err("dig needs at least three arguments".into());
    }
    let mut value = map.clone();
    for key in keys {
        let Value::String(key) = key else {
            return Err(format!("dig: key is {}, not string", key.type_name()));
        };
        let Value::Map(map) = &value else {
            return Err(not_a_map(&value));
        };
        if !is_plain(map) {
            return Err(not_a_map(&value));
        }
        match map.get(key) {
            Some(found) => value = found,
            None => return Ok(default.clone()),
        }
    }
    Ok(value)
}

/// Go checks the exact type here, so `.Values` itself is refused.
fn is_plain(map: &Map) -> bool {
    map.kind() == crate::value::MapKind::Any
}

fn not_a_map(value: &Value) -> String {
    let got = value.type_name();
    format!("interface conversion: interface {{}} is {got}, not map[string]interface {{}}")
}
