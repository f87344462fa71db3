//! The dependencies that a chart declares.

use super::fields::Fields;
use crate::print;
use crate::value::{Map, MapKind, Value};

/// A chart that this one depends on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(super) repository: String,
    pub(crate) condition: String,
    pub(crate) tags: Vec<String>,
    pub(crate) import_values: Vec<Import>,
    pub(crate) alias: String,
}

/// A table of a dependency that becomes a table of this chart.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    /// Path in the dependency.
    pub(crate) child: String,
    /// Path in this chart.
    pub(crate) parent: String,
}

/// The dependencies in a `requirements.yaml`.
pub(super) fn required(text: &str) -> Result<Vec<Dependency>, String> {
    dependencies(&Fields::read(text)?)
}

pub(super) fn dependencies(fields: &Fields) -> Result<Vec<Dependency>, String> {
    fields.structures("dependencies", Dependency::of)
}

pub(super) fn list(texts: &[String]) -> Value {
    Value::list(texts.iter().map(|text| text.as_str().into()).collect())
}

impl Dependency {
    fn of(fields: &Fields) -> Result<Self, String> {
        // Only its type is checked; helm sets the value.
        fields.flag("enabled")?;
        let imports = fields.list("import-values", |item| Ok(Import::of(item)))?;
        Ok(Self {
            name: fields.text("name")?,
            version: fields.text("version")?,
            repository: fields.text("repository")?,
            condition: fields.text("condition")?,
            tags: fields.texts("tags")?,
            import_values: imports.into_iter().flatten().collect(),
            alias: fields.text("alias")?,
        })
    }

    /// The texts that are printed; an alias is checked instead.
    pub(super) fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let own = [&mut self.name, &mut self.version, &mut self.repository, &mut self.condition];
        own.into_iter().chain(&mut self.tags)
    }

    /// The name that the dependency has in this chart.
    pub(crate) fn own_name(&self) -> &str {
        if self.alias.is_empty() { &self.name } else { &self.alias }
    }

    pub(super) fn to_value(&self) -> Value {
        Value::object([
            ("Name", self.own_name().into()),
            ("Version", self.version.as_str().into()),
            ("Repository", self.repository.as_str().into()),
            ("Condition", self.condition.as_str().into()),
            ("Tags", list(&self.tags)),
            ("Enabled", true.into()),
            ("ImportValues", Value::list(self.import_values.iter().map(Import::to_value).collect())),
            ("Alias", self.alias.as_str().into()),
        ])
    }
}

impl Import {
    /// A name is that of a table below `exports`, which becomes part of the top level. Other
    /// items import nothing, silently.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(name) => Some(Self { child: format!("exports.{name}"), parent: ".".into() }),
            Value::Map(map) => {
                let path = |key: &str| path_of(&map.get(key).unwrap_or_default());
                Some(Self { child: path("child"), parent: path("parent") })
            }
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        let entries = [("child", self.child.as_str()), ("parent", self.parent.as_str())];
        let entries = entries.map(|(key, path)| (key.into(), path.into()));
        Value::Map(Map::new(MapKind::Strings, entries.into()))
    }
}

/// The text that Go prints for the value, with all numbers as floats.
fn path_of(value: &Value) -> String {
    let float = match value {
        Value::Int64(value) => Some(*value as f64),
        Value::Uint64(value) => Some(*value as f64),
        _ => None,
    };
    print::display(&float.map_or_else(|| value.clone(), Value::Float)).unwrap_or_default()
}
