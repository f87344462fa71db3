//! Adds a chart's defaults to the user's values.

use super::node::Node;
use crate::error::{Error, ErrorKind, Result};
use crate::value::{Entries, Map, MapKind, Value};

/// How nulls are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    /// A null deletes the default.
    Delete,
    /// Nulls are kept for a later step.
    Keep,
}

/// The values of a chart and its dependencies: the user's, and defaults for the rest.
pub(crate) fn coalesce_values(chart: &Node<'_>, values: &Map) -> Result<Map> {
    let copy = copy(values);
    coalesce(chart, &copy, Nulls::Delete)?;
    Ok(copy)
}

/// Like [`coalesce_values`] without values of the user, but nulls are kept.
pub(super) fn merged_defaults(chart: &Node<'_>) -> Result<Map> {
    let values = Map::new(MapKind::Any, Entries::new());
    coalesce(chart, &values, Nulls::Keep)?;
    Ok(values)
}

/// A copy that shares no map with the original.
pub(super) fn copy(map: &Map) -> Map {
    let entries = map.entries().into_iter().map(|(key, value)| (key, copy_value(&value)));
    Map::new(MapKind::Any, entries.collect())
}

fn copy_value(value: &Value) -> Value {
    match value {
        Value::Map(map) => Value::Map(copy(map)),
        Value::List(list) => Value::list(list.items().iter().map(copy_value).collect()),
        other => other.clone(),
    }
}

fn coalesce(chart: &Node<'_>, values: &Map, nulls: Nulls) -> Result<()> {
    fill(chart, values, nulls);
    for dependency in &chart.dependencies {
        let name = dependency.name.as_str();
        let inner = match values.get(name) {
            Some(Value::Map(map)) => map,
            None => Map::new(MapKind::Any, Entries::new()),
            Some(other) => {
                let kind = other.kind_name();
                let message = format!("must be a map of values for the chart {name}, not a {kind}");
                return Err(Error::new(ErrorKind::Values, message).on(name));
            }
        };
        values.insert(name, Value::Map(inner.clone()));
        pass_globals(values, &inner);
        coalesce(dependency, &inner, nulls)?;
    }
    Ok(())
}

/// Adds the chart's own defaults.
fn fill(chart: &Node<'_>, values: &Map, nulls: Nulls) {
    for (key, default) in copy(&chart.values).entries() {
        match values.get(&key) {
            None => values.insert(key, default),
            Some(Value::Nil) if nulls == Nulls::Delete => {
                values.remove(&key);
            }
            Some(Value::Map(own)) => {
                if let Value::Map(default) = default {
                    // Values for a dependency are merged with that chart's own defaults later.
                    let is_dependency = chart.dependencies.iter().any(|d| *d.name == *key);
                    let nulls = if is_dependency { Nulls::Keep } else { nulls };
                    fill_table(&own, &default, nulls);
                }
            }
            Some(_) => {}
        }
    }
}

/// Adds the entries of a table that the target does not have.
pub(super) fn fill_table(target: &Map, source: &Map, nulls: Nulls) {
    for (key, value) in source.entries() {
        match (target.get(&key), value) {
            (None, value) => target.insert(key, value),
            (Some(Value::Nil), value) => {
                if nulls == Nulls::Delete && !value.is_nil() {
                    target.remove(&key);
                }
            }
            (Some(Value::Map(own)), Value::Map(other)) => fill_table(&own, &other, nulls),
            (Some(_), _) => {}
        }
    }
}

/// Passes `global` on to a dependency; the parent's values win.
fn pass_globals(parent: &Map, child: &Map) {
    let table = |map: &Map| match map.get("global") {
        None => Some(Map::new(MapKind::Any, Entries::new())),
        Some(Value::Map(globals)) => Some(globals),
        Some(_) => None,
    };
    let (Some(own), Some(given)) = (table(child), table(parent)) else {
        return;
    };
    for (key, value) in given.entries() {
        match (own.get(&key), value) {
            (None, Value::Map(map)) => own.insert(key, Value::Map(map.shallow_copy(map.kind()))),
            (Some(Value::Map(old)), Value::Map(map)) => {
                let merged = map.shallow_copy(map.kind());
                fill_table(&merged, &old, Nulls::Keep);
                own.insert(key, Value::Map(merged));
            }
            (Some(_), Value::Map(_)) | (Some(Value::Map(_)), _) => {}
            (_, value) => own.insert(key, value),
        }
    }
    child.insert("global", Value::Map(own));
}
