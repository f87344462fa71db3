//! Checks values against `values.schema.json`.

use std::sync::mpsc::Receiver;

use boon::{Compiler, SchemaIndex, Schemas, UrlLoader, ValidationError};

use super::bundled::is_bundled_schema;
use super::error::{Error, ErrorKind, Result};
use super::load::Chart;
use super::values::Node;

/// Where a chart's schema stands, as far as its own references can tell.
const SCHEMA_URL: &str = "file:///values.schema.json";

/// The same for the bundled chart's schema, which a test has checked. boon (0.6, `Roots::create_root`)
/// holds no schema of this host against the schemas of schemas; to load them takes longer than
/// everything else that a render does.
const CHECKED_SCHEMA_URL: &str = "https://json-schema.org/values.schema.json";

/// Loads nothing: a schema that points elsewhere is refused rather than fetched.
struct NoLoader;

impl UrlLoader for NoLoader {
    fn load(&self, url: &str) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
        Err(format!("schemas are not loaded from elsewhere: {url}").into())
    }
}

/// The charts whose values have to be checked: plain data, for another thread.
pub(crate) struct Checks<'a> {
    chart: Charts<'a>,
    values: serde_json::Value,
}

/// A chart under its name in this release, and the charts in it that are in use.
struct Charts<'a> {
    name: String,
    chart: &'a Chart,
    dependencies: Vec<Charts<'a>>,
}

impl<'a> Checks<'a> {
    /// All of a render's; `values` are those of the outermost chart.
    pub(crate) fn new(root: &Node<'a>, values: serde_json::Value) -> Self {
        Self { chart: Charts::of(root), values }
    }
}

impl<'a> Charts<'a> {
    fn of(node: &Node<'a>) -> Self {
        let dependencies = node.dependencies.iter().map(Self::of).collect();
        Self { name: node.name.clone(), chart: node.chart, dependencies }
    }
}

/// Compiles a chart's schema, then waits for what has to be checked, and checks it. Without that
/// the render has failed, and there is nothing to check.
pub(crate) fn check(root: &Chart, checks: &Receiver<Checks<'_>>) -> Result<()> {
    let compiled = Schema::of(root);
    match checks.recv() {
        Ok(Checks { chart, values }) => validate(&chart, compiled, &values),
        Err(_) => Ok(()),
    }
}

/// Checks the values of a chart and of its dependencies.
fn validate(
    charts: &Charts<'_>,
    schema: Option<Result<Schema, String>>,
    values: &serde_json::Value,
) -> Result<()> {
    if let Some(schema) = schema {
        schema.and_then(|schema| schema.validate(values)).map_err(|message| {
            let message = format!("values do not meet the schema:\n{message}");
            Error::new(ErrorKind::Schema, message).on(format!("{}/values.schema.json", charts.name))
        })?;
    }
    for dependency in &charts.dependencies {
        match &values[&dependency.name] {
            serde_json::Value::Null => {}
            values if values.is_object() => validate(dependency, Schema::of(dependency.chart), values)?,
            _ => {
                let message = "values of a dependency must be a map";
                return Err(Error::new(ErrorKind::Schema, message).on(dependency.name.as_str()));
            }
        }
    }
    Ok(())
}

/// A compiled schema.
struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    /// A chart's schema, if it has one; or what is wrong with it.
    fn of(chart: &Chart) -> Option<Result<Self, String>> {
        let schema = chart.schema.as_deref()?;
        let url = if is_bundled_schema(schema) { CHECKED_SCHEMA_URL } else { SCHEMA_URL };
        Some(Self::compile(schema, url))
    }

    fn compile(schema: &[u8], url: &str) -> Result<Self, String> {
        let schema: serde_json::Value =
            serde_json::from_slice(schema).map_err(|error| format!("schema is not JSON: {error}"))?;
        let mut compiler = Compiler::new();
        compiler.use_loader(Box::new(NoLoader));
        let mut schemas = Schemas::new();
        compiler.add_resource(url, schema).map_err(|error| error.to_string())?;
        let compiled = compiler.compile(url, &mut schemas);
        let index = compiled.map_err(|error| format!("schema is not valid: {error:#}"))?;
        Ok(Self { schemas, index })
    }

    fn validate(&self, values: &serde_json::Value) -> Result<(), String> {
        self.schemas.validate(values, self.index).map_err(|error| {
            let mut lines = Vec::new();
            describe(&error, &mut lines);
            lines.join("\n")
        })
    }
}

/// The innermost causes, each with the path of its value.
fn describe(error: &ValidationError<'_, '_>, lines: &mut Vec<String>) {
    for cause in &error.causes {
        describe(cause, lines);
    }
    if error.causes.is_empty() {
        let path = error.instance_location.to_string();
        let path = if path.is_empty() { "/".to_owned() } else { path };
        lines.push(format!("- at {path}: {}", error.kind));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_bundled_schema_is_one() {
        let schema = Chart::bundled().expect("it is part of the build").schema.expect("it has one");
        let check = |url, values| Schema::compile(&schema, url)?.validate(&values);
        let wrong = json!({"broker": {"replicas": "three"}});
        let refused = Err("- at /broker/replicas: want integer, but got string".to_owned());
        assert_eq!(check(SCHEMA_URL, wrong.clone()), refused);
        assert_eq!(check(CHECKED_SCHEMA_URL, wrong), refused);
        assert_eq!(check(SCHEMA_URL, json!({})), Ok(()));
    }
}
