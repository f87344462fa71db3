//! `.Files`: the files of a chart that are not templates.

use std::rc::Rc;

use base64::Engine as _;

use super::glob;
use super::value::{Entries, Map, MapKind, Value};
use super::yaml;

fn entries(files: &Value) -> Vec<(Rc<str>, Rc<[u8]>)> {
    let Value::Map(map) = files else {
        return Vec::new();
    };
    let bytes = |(name, value)| match value {
        Value::Bytes(bytes) => Some((name, bytes)),
        _ => None,
    };
    map.entries().into_iter().filter_map(bytes).collect()
}

/// The content of a file; empty if there is none.
pub(crate) fn get(files: &Value, name: &str) -> Rc<[u8]> {
    let found = match files {
        Value::Map(map) => map.get(name),
        _ => None,
    };
    match found {
        Some(Value::Bytes(bytes)) => bytes,
        _ => Rc::from([]),
    }
}

/// The files whose path matches; all of them if the pattern is malformed.
pub(crate) fn glob(files: &Value, pattern: &str) -> Result<Value, String> {
    let pattern = glob::files_pattern(pattern);
    let mut found = Entries::new();
    for (name, bytes) in entries(files) {
        if pattern.as_ref().is_none_or(|pattern| pattern.is_match(&name)) {
            found.insert(name, Value::Bytes(bytes));
        }
    }
    Ok(Value::Map(Map::new(MapKind::Files, found)))
}

fn base_name(path: &str) -> Rc<str> {
    path.rsplit('/').next().unwrap_or(path).into()
}

/// The files as the data of a ConfigMap.
pub(crate) fn as_config(files: &Value) -> Result<Value, String> {
    let text = |bytes: &[u8]| Value::string(String::from_utf8_lossy(bytes));
    as_data(files, text)
}

/// The files as the data of a Secret.
pub(crate) fn as_secrets(files: &Value) -> Result<Value, String> {
    as_data(files, |bytes| base64::engine::general_purpose::STANDARD.encode(bytes).into())
}

fn as_data(files: &Value, encode: impl Fn(&[u8]) -> Value) -> Result<Value, String> {
    let data: Entries = entries(files).iter().map(|(name, bytes)| (base_name(name), encode(bytes))).collect();
    let text = yaml::to_yaml(&Value::map(data)).unwrap_or_default();
    Ok(text.strip_suffix('\n').unwrap_or(&text).into())
}

/// The lines of a file; none if there is no such file. In helm, an empty file makes the render fail.
pub(crate) fn lines(files: &Value, name: &str) -> Result<Value, String> {
    let exists = matches!(files, Value::Map(map) if map.contains(name));
    let bytes = get(files, name);
    if bytes.is_empty() {
        let none = || Value::strings(Vec::<String>::new());
        return if exists { Err(format!("{name} is empty")) } else { Ok(none()) };
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Value::strings(text.split('\n')))
}
