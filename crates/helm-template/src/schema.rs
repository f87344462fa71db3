//! Checks values against `values.schema.json`.

use std::borrow::Cow;

use boon::{Compiler, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

use super::error::{Error, ErrorKind, Result};
use super::nearest::nearest;
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
        describe(&error, values, &mut lines);
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
fn describe(error: &ValidationError<'_, '_>, values: &Value, lines: &mut Vec<String>) {
    for cause in &error.causes {
        describe(cause, values, lines);
    }
    if error.causes.is_empty() {
        let path = error.instance_location.to_string();
        let path = if path.is_empty() { "/".to_owned() } else { path };
        let mut line = format!("- at {path}: {}", error.kind);
        if let boon::ErrorKind::AdditionalProperties { got } = &error.kind {
            let meant: Vec<String> = got
                .iter()
                .filter_map(|key| meant(values, &error.instance_location.to_string(), key, got))
                .collect();
            if !meant.is_empty() {
                line += &format!("; did you mean {}?", meant.join(" and "));
            }
        }
        lines.push(line);
    }
}

/// The path of the value that somebody may have meant who set an unknown one: one that is spelt like it
/// beside it, or else one of the same name elsewhere. `values` hold the defaults, too.
fn meant(values: &Value, location: &str, key: &str, unknown: &[Cow<'_, str>]) -> Option<String> {
    let beside = values.pointer(location).and_then(Value::as_object).into_iter().flat_map(|map| map.keys());
    let known = beside.map(String::as_str).filter(|&name| !unknown.iter().any(|other| other == name));
    if let Some(found) = nearest(key, known) {
        let path = location.trim_start_matches('/').replace('/', ".");
        return Some(if path.is_empty() { found.to_owned() } else { format!("{path}.{found}") });
    }
    let mut paths = Vec::new();
    paths_of(values, key, "", &mut paths);
    let own = format!("{location}/{key}").trim_start_matches('/').replace('/', ".");
    paths.retain(|path| *path != own);
    paths.into_iter().min_by_key(|path| path.matches('.').count())
}

/// The paths of all values with this name.
fn paths_of(values: &Value, key: &str, above: &str, paths: &mut Vec<String>) {
    for (name, value) in values.as_object().into_iter().flatten() {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        paths_of(value, key, &path, paths);
        if name == key {
            paths.push(path);
        }
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
    fn a_value_that_is_not_known_is_answered_with_one_that_is() {
        let closed = |properties: &str| {
            format!(r#"{{"additionalProperties": false, "properties": {{{properties}}}}}"#)
        };
        let inner = closed(r#""replicas": {}, "image": {}"#);
        let schema = closed(&format!(r#""broker": {inner}, "auth": {{}}"#));
        let defaults = |broker: Value, more: Value| {
            let mut values = json!({"broker": {"replicas": 1, "image": "r"}, "auth": {}});
            let merge = |target: &mut Value, source: &Value| {
                for (key, value) in source.as_object().expect("an object") {
                    target[key.as_str()] = value.clone();
                }
            };
            merge(&mut values["broker"], &broker);
            merge(&mut values, &more);
            check(schema.as_bytes(), &values).expect_err("it is not known")
        };
        let misspelt = defaults(json!({"replcas": 3}), json!({}));
        assert_eq!(
            misspelt,
            "- at /broker: additionalProperties 'replcas' not allowed; did you mean broker.replicas?"
        );
        let misplaced = defaults(json!({}), json!({"replicas": 3}));
        assert!(misplaced.ends_with("'replicas' not allowed; did you mean broker.replicas?"), "{misplaced}");
        let unlike = defaults(json!({"nonesuch": 3}), json!({}));
        assert!(unlike.ends_with("'nonesuch' not allowed"), "{unlike}");
    }

    #[test]
    fn a_schema_that_is_none_is_refused() {
        assert!(check(b"{", &json!({})).is_err_and(|error| error.contains("not JSON")));
        assert!(check(br#"{"type": 3}"#, &json!({})).is_err_and(|error| error.contains("not valid")));
        let elsewhere = br#"{"$ref": "https://example.com/s.json"}"#;
        assert!(check(elsewhere, &json!({})).is_err_and(|error| error.contains("not loaded from elsewhere")));
    }
}
