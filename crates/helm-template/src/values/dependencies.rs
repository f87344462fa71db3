//! Decides which dependencies take part, under which names, and what a chart imports from them.

use super::coalesce::{Nulls, coalesce_values, copy, fill_table, merged_defaults};
use super::node::Node;
use crate::error::{Error, ErrorKind, Result};
use crate::load::{Chart, Dependency, Import};
use crate::semver::{Constraints, Version};
use crate::value::{Entries, Map, MapKind, Value};

/// The tree of charts that take part, for the user's values.
pub(crate) fn resolve<'a>(chart: &'a Chart, values: &Map) -> Result<Node<'a>> {
    check_complete(chart)?;
    let mut root = Node::new(chart, chart.name())?;
    root.choose(values, "")?;
    root.import()?;
    Ok(root)
}

fn check_complete(chart: &Chart) -> Result<()> {
    let present = |name: &str| chart.dependencies.iter().any(|own| own.name() == name);
    let declared = chart.metadata.dependencies.iter().map(|dependency| dependency.name.as_str());
    let missing: Vec<&str> = declared.filter(|name| !present(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    let message = format!("found in Chart.yaml, but missing in charts/ directory: {missing}");
    Err(Error::new(ErrorKind::Chart, message).on("Chart.yaml"))
}

fn is_compatible(constraint: &str, version: &str) -> bool {
    let constraints = Constraints::parse(constraint);
    let version = Version::parse(version);
    constraints.is_ok_and(|constraints| version.is_ok_and(|version| constraints.check(&version)))
}

impl<'a> Node<'a> {
    /// Names the dependencies and drops those that conditions or tags disable.
    fn choose(&mut self, values: &Map, path: &str) -> Result<()> {
        if self.declared.is_empty() {
            return Ok(());
        }
        self.rename()?;
        let values = coalesce_values(self, values)?;
        let (on, off): (Vec<_>, Vec<_>) =
            self.declared.iter().partition(|declared| is_enabled(declared, &values, path));
        self.declared = on;
        self.dependencies.retain(|node| off.iter().all(|declared| declared.own_name() != node.name));
        for dependency in &mut self.dependencies {
            let path = format!("{path}{}.", dependency.name);
            dependency.choose(&values, &path)?;
        }
        Ok(())
    }

    /// Gives each declared dependency its alias; a chart can be taken more than once.
    fn rename(&mut self) -> Result<()> {
        let charts: Vec<&'a Chart> = self.dependencies.iter().map(|node| node.chart).collect();
        let fits = |declared: &Dependency, chart: &Chart| {
            chart.name() == declared.name && is_compatible(&declared.version, chart.version())
        };
        let mut renamed = Vec::new();
        for chart in &charts {
            if !self.declared.iter().any(|declared| fits(declared, chart)) {
                renamed.push(Node::new(chart, chart.name())?);
            }
        }
        for declared in &self.declared {
            if let Some(chart) = charts.iter().find(|chart| fits(declared, chart)) {
                renamed.push(Node::new(chart, declared.own_name())?);
            }
        }
        self.dependencies = renamed;
        Ok(())
    }

    /// Imports what `import-values` names, from the innermost charts outwards.
    fn import(&mut self) -> Result<()> {
        for dependency in &mut self.dependencies {
            dependency.import()?;
        }
        if self.declared.is_empty() {
            return Ok(());
        }
        let defaults = merged_defaults(self)?;
        let imported = Map::new(MapKind::Any, Entries::new());
        for declared in &self.declared {
            let name = declared.own_name();
            if self.dependencies.iter().all(|node| node.name != name) {
                continue;
            }
            for Import { child, parent } in &declared.import_values {
                if let Some(table) = table(&defaults, &format!("{name}.{child}")) {
                    fill_table(&imported, &nested(parent, table), Nulls::Keep);
                }
            }
        }
        // Copied only now: as in helm, an import can add to a table that another one shares.
        let defaults = copy(&defaults);
        fill_table(&defaults, &imported, Nulls::Keep);
        self.values = defaults;
        Ok(())
    }
}

/// The table at a path with dots.
fn table(values: &Map, path: &str) -> Option<Map> {
    path.split('.').try_fold(values.clone(), |table, name| match table.get(name) {
        Some(Value::Map(map)) => Some(map),
        _ => None,
    })
}

/// Wraps a table in maps so that it is found at a path.
fn nested(path: &str, table: Map) -> Map {
    if path == "." {
        return table;
    }
    path.rsplit('.')
        .fold(table, |inner, name| Map::new(MapKind::Any, [(name.into(), Value::Map(inner))].into()))
}

/// The first condition that is set decides; if there is none, the tags do.
fn is_enabled(dependency: &Dependency, values: &Map, path: &str) -> bool {
    for condition in dependency.condition.trim().split(',').filter(|c| !c.is_empty()) {
        if let Some(Value::Bool(enabled)) = value_at(values, &format!("{path}{condition}")) {
            return enabled;
        }
    }
    let Some(tags) = table(values, "tags") else {
        return true;
    };
    let set = dependency.tags.iter().filter_map(|tag| match tags.get(tag) {
        Some(Value::Bool(value)) => Some(value),
        _ => None,
    });
    let set: Vec<bool> = set.collect();
    set.is_empty() || set.contains(&true)
}

fn value_at(values: &Map, path: &str) -> Option<Value> {
    match path.rsplit_once('.') {
        Some((parent, name)) => table(values, parent)?.get(name),
        None => values.get(path),
    }
}
