//! Checks values against `values.schema.json`.

use std::sync::mpsc::Receiver;

use boon::{Compiler, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

use super::bundled::is_bundled;
use super::error::{Error, ErrorKind, Result};
use super::json;
use super::load::Chart;
use super::value::{self, Map};
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
    values: Value,
    /// The outermost chart's defaults, if a test has held them against its schema.
    defaults: Option<Value>,
}

/// A chart under its name in this release, and the charts in it that are in use.
struct Charts<'a> {
    name: String,
    chart: &'a Chart,
    dependencies: Vec<Charts<'a>>,
}

impl<'a> Checks<'a> {
    /// All of a render's; `values` are those of the outermost chart.
    pub(crate) fn new(root: &Node<'a>, values: &Map) -> Self {
        let plain = |map: &Map| json::to_serde(&value::Value::Map(map.clone()));
        let defaults = has_checked_defaults(root.chart).then(|| plain(&root.values));
        Self { chart: Charts::of(root), values: plain(values), defaults }
    }
}

/// Whether a test has held a chart's defaults against its schema: those of the bundled chart, which
/// most charts that were made from it share.
fn has_checked_defaults(chart: &Chart) -> bool {
    has_checked_schema(chart) && is_bundled("values.yaml", chart.values.as_bytes())
}

fn has_checked_schema(chart: &Chart) -> bool {
    chart.schema.as_deref().is_some_and(|schema| is_bundled("values.schema.json", schema))
}

impl<'a> Charts<'a> {
    fn of(node: &Node<'a>) -> Self {
        let dependencies = node.dependencies.iter().map(Self::of).collect();
        Self { name: node.name.clone(), chart: node.chart, dependencies }
    }
}

/// Waits for what has to be checked, checks it and returns the values; a schema that is needed whole
/// is compiled meanwhile. Without anything to check the render has failed.
pub(crate) fn check(root: &Chart, checks: &Receiver<Checks<'_>>) -> Result<Value> {
    let whole = if has_checked_defaults(root) { None } else { Schema::of(root) };
    let Ok(Checks { chart, values, defaults }) = checks.recv() else { return Ok(Value::Null) };
    let schema = match defaults {
        Some(defaults) => Schema::of_changes(root, &defaults, &values),
        None => whole,
    };
    validate(&chart, schema, &values)?;
    Ok(values)
}

/// Checks the values of a chart and of its dependencies.
fn validate(charts: &Charts<'_>, schema: Option<Result<Schema, String>>, values: &Value) -> Result<()> {
    if let Some(schema) = schema {
        schema.and_then(|schema| schema.validate(values)).map_err(|message| {
            let message = format!("values do not meet the schema:\n{message}");
            Error::new(ErrorKind::Schema, message).on(format!("{}/values.schema.json", charts.name))
        })?;
    }
    for dependency in &charts.dependencies {
        match &values[&dependency.name] {
            Value::Null => {}
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
        let url = if has_checked_schema(chart) { CHECKED_SCHEMA_URL } else { SCHEMA_URL };
        read(chart).map(|schema| Self::compile(schema?, url))
    }

    /// What a schema says of values that are not the chart's checked defaults: they are few, and to
    /// compile all of a schema takes as long as to execute all templates.
    fn of_changes(chart: &Chart, defaults: &Value, values: &Value) -> Option<Result<Self, String>> {
        read(chart).map(|schema| {
            let mut schema = schema?;
            leave_out_unchanged(&mut schema, defaults, values);
            Self::compile(schema, CHECKED_SCHEMA_URL)
        })
    }

    fn compile(schema: Value, url: &str) -> Result<Self, String> {
        let mut compiler = Compiler::new();
        compiler.use_loader(Box::new(NoLoader));
        let mut schemas = Schemas::new();
        compiler.add_resource(url, schema).map_err(|error| error.to_string())?;
        let compiled = compiler.compile(url, &mut schemas);
        let index = compiled.map_err(|error| format!("schema is not valid: {error:#}"))?;
        Ok(Self { schemas, index })
    }

    fn validate(&self, values: &Value) -> Result<(), String> {
        self.schemas.validate(values, self.index).map_err(|error| {
            let mut lines = Vec::new();
            describe(&error, &mut lines);
            lines.join("\n")
        })
    }
}

/// The schema in a chart's file.
fn read(chart: &Chart) -> Option<Result<Value, String>> {
    let parse =
        |text: &[u8]| serde_json::from_slice(text).map_err(|error| format!("schema is not JSON: {error}"));
    chart.schema.as_deref().map(parse)
}

/// Accepts, in the place of what a schema asks of them, properties that are as in the defaults, and
/// those that are not there. All else that the schema says is left as it is.
fn leave_out_unchanged(schema: &mut Value, defaults: &Value, values: &Value) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, schema) in properties {
        match (defaults.get(name), values.get(name)) {
            (Some(default), Some(value)) if default != value => leave_out_unchanged(schema, default, value),
            (None, Some(_)) => {}
            _ => *schema = true.into(),
        }
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

    fn bundled() -> (Chart, Value) {
        let chart = Chart::bundled().expect("it is part of the build");
        let defaults = serde_yaml::from_str(&chart.values).expect("YAML");
        (chart, defaults)
    }

    #[test]
    fn the_bundled_schema_is_one_and_the_defaults_meet_it() {
        let (chart, defaults) = bundled();
        let schema = read(&chart).expect("it has one").expect("JSON");
        let held_against_all_schemas = Schema::compile(schema, SCHEMA_URL).expect("it is valid");
        assert_eq!(held_against_all_schemas.validate(&defaults), Ok(()));
        assert!(has_checked_defaults(&chart));
    }

    /// Replaces what stands at a pointer, or removes it; makes the tables on the way.
    fn with(values: &Value, pointer: &str, value: Option<Value>) -> Value {
        let mut values = values.clone();
        let mut at = &mut values;
        let (path, name) = pointer.rsplit_once('/').expect("a slash");
        for name in path.split('/').skip(1) {
            at = &mut at[name];
        }
        match value {
            Some(value) => at[name] = value,
            None => _ = at.as_object_mut().expect("a table").remove(name),
        }
        values
    }

    #[test]
    fn the_schema_of_changes_judges_as_the_whole_does() {
        let (chart, defaults) = bundled();
        let whole = Schema::of(&chart).expect("it has one").expect("it compiles");
        let mut pointers =
            vec!["/surplus".to_owned(), "/broker/surplus".to_owned(), "/worker/surplus".to_owned()];
        list_pointers(&defaults, "", &mut pointers);
        assert!(pointers.len() > 100, "{}", pointers.len());
        let others =
            [json!(null), json!(true), json!(3), json!(-1.5), json!("No Name!"), json!([1]), json!({"a": 1})];
        let mut refused = 0;
        for pointer in pointers {
            let changes = others.iter().cloned().map(Some).chain([None]);
            for values in changes.filter_map(|change| {
                let reached = pointer
                    .rsplit_once('/')
                    .is_some_and(|(path, _)| defaults.pointer(path).is_some_and(Value::is_object));
                reached.then(|| with(&defaults, &pointer, change))
            }) {
                let changes =
                    Schema::of_changes(&chart, &defaults, &values).expect("it has one").expect("it compiles");
                let judged = changes.validate(&values);
                assert_eq!(judged, whole.validate(&values), "{pointer}");
                refused += usize::from(judged.is_err());
            }
        }
        assert!(refused > 500, "{refused}");
    }

    fn list_pointers(value: &Value, path: &str, pointers: &mut Vec<String>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let path = format!("{path}/{name}");
            list_pointers(value, &path, pointers);
            pointers.push(path);
        }
    }

    #[test]
    fn a_refusal_names_the_value() {
        let (chart, defaults) = bundled();
        let values = with(&defaults, "/broker/replicas", Some(json!("three")));
        let changes =
            Schema::of_changes(&chart, &defaults, &values).expect("it has one").expect("it compiles");
        let refused = Err("- at /broker/replicas: want integer, but got string".to_owned());
        assert_eq!(changes.validate(&values), refused);
    }
}
