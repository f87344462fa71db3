//! `toYamlPretty`: go-yaml 3, which indents lists and does not fold.

use super::emitter;
use super::style::Version;
use crate::value::Value;

/// Writes a value with its lists indented by two columns.
pub(crate) fn to_yaml_pretty(value: &Value) -> Result<String, String> {
    emitter::emit(value, Version::V3)
}
