//! Checks values against `values.schema.json`.

use boon::{Compiler, Schemas, UrlLoader, ValidationError};

use super::error::{Error, ErrorKind, Result};
use super::json;
use super::value::{Map, Value};
use super::values::Node;

const SCHEMA_URL: &str = "file:///values.schema.json";

/// Loads nothing: a schema that points elsewhere is refused rather than fetched.
struct NoLoader;

impl UrlLoader for NoLoader {
    fn load(&self, url: &str) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
        Err(format!("schemas are not loaded from elsewhere: {url}").into())
    }
}

/// Checks the values of a chart and of its dependencies.
pub(crate) fn validate(chart: &Node<'_>, values: &Map) -> Result<()> {
    if let Some(schema) = &chart.chart.schema {
        let file = format!("{}/values.schema.json", chart.name);
        check(schema, values).map_err(|message| {
            let message = format!("values do not meet the schema:\n{message}");
            Error::new(ErrorKind::Schema, message).on(file)
        })?;
    }
    for dependency in &chart.dependencies {
        match values.get(&dependency.name) {
            None | Some(Value::Nil) => {}
            Some(Value::Map(map)) => validate(dependency, &map)?,
            Some(_) => {
                let message = "values of a dependency must be a map";
                return Err(Error::new(ErrorKind::Schema, message).on(dependency.name.as_str()));
            }
        }
    }
    Ok(())
}

fn check(schema: &[u8], values: &Map) -> Result<(), String> {
    let schema: serde_json::Value =
        serde_json::from_slice(schema).map_err(|error| format!("schema is not JSON: {error}"))?;
    let mut compiler = Compiler::new();
    compiler.use_loader(Box::new(NoLoader));
    let mut schemas = Schemas::new();
    compiler.add_resource(SCHEMA_URL, schema).map_err(|error| error.to_string())?;
    let index = compiler
        .compile(SCHEMA_URL, &mut schemas)
        .map_err(|error| format!("schema is not valid: {error:#}"))?;
    let instance = json::to_serde(&Value::Map(values.clone()));
    schemas.validate(&instance, index).map_err(|error| {
        let mut lines = Vec::new();
        describe(&error, &mut lines);
        lines.join("\n")
    })
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
