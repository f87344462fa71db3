//! Checks values against `values.schema.json`.

use boon::{Compiler, UrlLoader, ValidationError};

use super::error::{Error, ErrorKind, Result};
use super::values::Node;

/// Where a chart's schema stands, as far as its own references can tell.
const SCHEMA_URL: &str = "file:///values.schema.json";

/// The same for the bundled chart, whose schema a test has checked. boon (0.6, `Roots::create_root`)
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

/// Checks the values of a chart and of its dependencies.
///
/// Works on plain data, so that it can be done on a thread of its own.
pub(crate) fn validate(schemas: &Schemas<'_>, values: &serde_json::Value) -> Result<()> {
    if let Some(schema) = schemas.own {
        let url = if schemas.is_checked { CHECKED_SCHEMA_URL } else { SCHEMA_URL };
        check(schema, url, values).map_err(|message| {
            let message = format!("values do not meet the schema:\n{message}");
            Error::new(ErrorKind::Schema, message).on(format!("{}/values.schema.json", schemas.name))
        })?;
    }
    for dependency in &schemas.dependencies {
        match &values[dependency.name] {
            serde_json::Value::Null => {}
            values if values.is_object() => validate(dependency, values)?,
            _ => {
                let message = "values of a dependency must be a map";
                return Err(Error::new(ErrorKind::Schema, message).on(dependency.name));
            }
        }
    }
    Ok(())
}

/// The schemas of a chart and of its dependencies.
pub(crate) struct Schemas<'a> {
    name: &'a str,
    own: Option<&'a [u8]>,
    is_checked: bool,
    dependencies: Vec<Schemas<'a>>,
}

impl<'a> Schemas<'a> {
    /// The schemas of the charts that are in use.
    pub(crate) fn of(chart: &'a Node<'_>) -> Self {
        Self {
            name: &chart.name,
            own: chart.chart.schema.as_deref(),
            is_checked: chart.chart.is_bundled,
            dependencies: chart.dependencies.iter().map(Self::of).collect(),
        }
    }
}

fn check(schema: &[u8], url: &str, values: &serde_json::Value) -> Result<(), String> {
    let schema: serde_json::Value =
        serde_json::from_slice(schema).map_err(|error| format!("schema is not JSON: {error}"))?;
    let mut compiler = Compiler::new();
    compiler.use_loader(Box::new(NoLoader));
    let mut compiled = boon::Schemas::new();
    compiler.add_resource(url, schema).map_err(|error| error.to_string())?;
    let index =
        compiler.compile(url, &mut compiled).map_err(|error| format!("schema is not valid: {error:#}"))?;
    compiled.validate(values, index).map_err(|error| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::Chart;

    #[test]
    fn the_bundled_schema_is_one() {
        let schema = Chart::bundled().expect("it is part of the build").schema.expect("it has one");
        let values = serde_json::json!({"broker": {"replicas": "three"}});
        let refused = |url| check(&schema, url, &values).expect_err("three is no number");
        assert_eq!(refused(SCHEMA_URL), "- at /broker/replicas: want integer, but got string");
        assert_eq!(refused(CHECKED_SCHEMA_URL), refused(SCHEMA_URL));
        assert_eq!(check(&schema, SCHEMA_URL, &serde_json::json!({})), Ok(()));
    }
}
