//! Checks values against `values.schema.json`.

use boon::{Compiler, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

use super::error::{Error, ErrorKind, Result};
use super::values::Node;

/// The URL of a chart's schema, for its own references.
const SCHEMA_URL: &str = "file:///values.schema.json";

/// Loads nothing, so that schemas with references to elsewhere are refused.
struct NoLoader;

impl UrlLoader for NoLoader {
    fn load(&self, url: &str) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
        Err(format!("schemas are not loaded from elsewhere: {url}").into())
    }
}

/// Checks the values of a chart and of its dependencies.
pub(crate) fn validate(node: &Node<'_>, values: &Value) -> Result<()> {
    if let Some(text) = node.chart.schema.as_deref() {
        check(text, values).map_err(|message| {
            let message = format!("values do not meet the schema:\n{message}");
            Error::new(ErrorKind::Schema, message).on(format!("{}/values.schema.json", node.name))
        })?;
    }
    for dependency in &node.dependencies {
        match &values[&dependency.name] {
            Value::Null => {}
            values if values.is_object() => validate(dependency, values)?,
            _ => {
                let message = "values of a dependency must be a map";
                return Err(Error::new(ErrorKind::Schema, message).on(dependency.name.as_str()));
            }
        }
    }
    Ok(())
}

fn check(schema: &[u8], values: &Value) -> Result<(), String> {
    let (schemas, index) = compile(schema)?;
    schemas.validate(values, index).map_err(|error| {
        let mut lines = Vec::new();
        describe(&error, &mut lines);
        lines.join("\n")
    })
}

fn compile(schema: &[u8]) -> Result<(Schemas, SchemaIndex), String> {
    let schema = serde_json::from_slice(schema).map_err(|error| format!("schema is not JSON: {error}"))?;
    let mut compiler = Compiler::new();
    compiler.use_loader(Box::new(NoLoader));
    let mut schemas = Schemas::new();
    compiler.add_resource(SCHEMA_URL, schema).map_err(|error| error.to_string())?;
    let compiled = compiler.compile(SCHEMA_URL, &mut schemas);
    let index = compiled.map_err(|error| format!("schema is not valid: {error:#}"))?;
    Ok((schemas, index))
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
    fn a_refusal_names_the_value() {
        let schema = br#"{"properties": {"server": {"properties": {"replicas": {"type": "integer"}}}}}"#;
        let refused = Err("- at /server/replicas: want integer, but got string".to_owned());
        assert_eq!(check(schema, &json!({"server": {"replicas": "three"}})), refused);
        assert_eq!(check(schema, &json!({"server": {"replicas": 3}})), Ok(()));
    }

    #[test]
    fn a_schema_that_is_none_is_refused() {
        assert!(check(b"{", &json!({})).is_err_and(|error| error.contains("not JSON")));
        assert!(check(br#"{"type": 3}"#, &json!({})).is_err_and(|error| error.contains("not valid")));
        let elsewhere = br#"{"$ref": "https://example.com/s.json"}"#;
        assert!(check(elsewhere, &json!({})).is_err_and(|error| error.contains("not loaded from elsewhere")));
    }
}
