//! The sources of the user's values, and their precedence.

use super::strvals::{self, Mode};
use crate::error::{Error, ErrorKind, Result};
use crate::json;
use crate::value::{Entries, Map, MapKind, Value};
use crate::yaml::{self, Numbers};

/// A values file that has been read.
#[derive(Debug, Clone, Default)]
pub struct ValuesFile {
    /// Its name, for messages.
    pub name: String,
    /// Its YAML text.
    pub text: String,
}

/// The user's values. What comes later in this list wins: presets, files, then the arguments of
/// `--set-json`, `--set`, `--set-string` and `--set-file`, then overrides.
#[derive(Debug, Clone, Default)]
pub struct ValueSources {
    /// Objects of the calling program that the user's values override.
    pub presets: Vec<serde_json::Value>,
    /// Values files, in the order of `--values`.
    pub files: Vec<ValuesFile>,
    /// Arguments of `--set-json`: an object, or `path=json`.
    pub set_json: Vec<String>,
    /// Arguments of `--set`: `path=value,path=value`.
    pub set: Vec<String>,
    /// Arguments of `--set-string`: as `--set`, but every value is a string.
    pub set_string: Vec<String>,
    /// Arguments of `--set-file`: as `--set`, but every value is the path of a file to read.
    pub set_file: Vec<String>,
    /// Objects of the calling program that override the user's values.
    pub overrides: Vec<serde_json::Value>,
}

impl ValueSources {
    /// All sources merged, without the chart's defaults. A null in it deletes a default.
    ///
    /// # Errors
    /// If a source cannot be read.
    pub fn merged(&self) -> Result<serde_json::Value> {
        Ok(json::to_serde(&Value::Map(self.merge()?)))
    }

    /// Merges all sources. A null is kept: it deletes a default later on.
    pub(crate) fn merge(&self) -> Result<Map> {
        let base = Map::new(MapKind::Any, Entries::new());
        for preset in &self.presets {
            merge_maps(&base, &object(preset.clone())?);
        }
        for file in &self.files {
            let values = read(&file.text)
                .map_err(|message| Error::new(ErrorKind::Values, message).on(file.name.as_str()))?;
            merge_maps(&base, &values);
        }
        for argument in &self.set_json {
            set_json(argument, &base)?;
        }
        for (arguments, mode) in
            [(&self.set, Mode::Typed), (&self.set_string, Mode::Strings), (&self.set_file, Mode::Files)]
        {
            for argument in arguments {
                strvals::parse(argument, &base, mode)
                    .map_err(|message| argument_error(mode.flag(), argument, &message))?;
            }
        }
        for value in &self.overrides {
            merge_maps(&base, &object(value.clone())?);
        }
        Ok(base)
    }
}

fn argument_error(flag: &str, argument: &str, message: &str) -> Error {
    let message = format!("cannot parse {argument:?}: {message}");
    Error::new(ErrorKind::Values, message).on(flag)
}

fn object(value: serde_json::Value) -> Result<Map> {
    match json::from_serde(value) {
        Value::Map(map) => Ok(map),
        _ => Err(Error::new(ErrorKind::Values, "values must be an object")),
    }
}

fn set_json(argument: &str, base: &Map) -> Result<()> {
    let failed = |message: &str| argument_error(Mode::Json.flag(), argument, message);
    let trimmed = argument.trim();
    if !trimmed.starts_with('{') {
        return strvals::parse(argument, base, Mode::Json).map_err(|message| failed(&message));
    }
    match json::parse(trimmed) {
        Ok(Value::Map(map)) => {
            merge_maps(base, &map);
            Ok(())
        }
        Ok(_) => Err(failed("not an object")),
        Err(message) => Err(failed(&message)),
    }
}

/// Reads a values file, whose documents are merged.
pub(super) fn read(text: &str) -> Result<Map, String> {
    let values = Map::new(MapKind::Any, Entries::new());
    for document in yaml::documents(text)? {
        match yaml::parse(&document, Numbers::Float)? {
            Value::Map(map) => merge_maps(&values, &map),
            Value::Nil => {}
            other => return Err(format!("values must be a map, not a {}", other.kind_name())),
        }
    }
    Ok(values)
}

/// Merges a map into another one and overrides its values.
fn merge_maps(target: &Map, source: &Map) {
    for (key, value) in source.entries() {
        match (target.get(&key), &value) {
            (Some(Value::Map(own)), Value::Map(other)) => merge_maps(&own, other),
            _ => target.insert(key, value),
        }
    }
}
