//! The values of scalars and the names of keys.

use base64::Engine as _;

use super::events;
use super::scalar::{self, Scalar};
use crate::golang::float;
use crate::value::Value;

/// How numbers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// All as floats, as helm reads values.
    Float,
    /// Integers as integers, for objects that go to a cluster.
    Exact,
}

const YAML_TAGS: &str = "tag:yaml.org,2002:";

/// The value of a scalar.
pub(super) fn value(scalar: &events::Scalar, numbers: Numbers) -> Result<Value, String> {
    let text = scalar.text.as_str();
    let kind = scalar.tag.as_ref().map(|tag| tag.strip_prefix(YAML_TAGS));
    let resolved = match kind {
        None if scalar.plain => scalar::resolve(text),
        Some(Some("binary")) => return binary(text),
        Some(Some(kind @ ("null" | "bool" | "int" | "float" | "timestamp"))) => tagged(text, kind)?,
        // Tags that go-yaml does not know leave the text as it is.
        _ => Scalar::String,
    };
    let exact = numbers == Numbers::Exact;
    Ok(match resolved {
        Scalar::Null => Value::Nil,
        Scalar::Bool(value) => Value::Bool(value),
        Scalar::Int(value) if exact => Value::Int64(value),
        Scalar::Uint(value) if exact => Value::Uint64(value),
        Scalar::Int(value) => Value::Float(value as f64),
        Scalar::Uint(value) => Value::Float(value as f64),
        Scalar::Float(value) if value.is_finite() => Value::Float(value),
        Scalar::Float(_) => return Err(format!("unsupported number {text}")),
        Scalar::Timestamp | Scalar::String => Value::string(text),
    })
}

fn tagged(text: &str, wanted: &str) -> Result<Scalar, String> {
    let resolved = scalar::resolve(text);
    let kind = match resolved {
        Scalar::Null => "null",
        Scalar::Bool(_) => "bool",
        Scalar::Int(_) | Scalar::Uint(_) => "int",
        Scalar::Float(_) => "float",
        Scalar::Timestamp => "timestamp",
        Scalar::String => "str",
    };
    match resolved {
        Scalar::Int(value) if wanted == "float" => Ok(Scalar::Float(value as f64)),
        _ if kind == wanted => Ok(resolved),
        _ => Err(format!("cannot decode !!{kind} `{text}` as a !!{wanted}")),
    }
}

fn binary(text: &str) -> Result<Value, String> {
    let packed: String = text.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(packed)
        .map_err(|_| "!!binary value contains invalid base64 data")?;
    Ok(Value::string(String::from_utf8_lossy(&bytes)))
}

/// Whether a key is `<<`.
pub(super) fn is_merge(scalar: &events::Scalar) -> bool {
    let is_tagged = scalar.tag.as_deref().is_some_and(|tag| tag == "!" || tag == "tag:yaml.org,2002:merge");
    scalar.text == "<<" && (scalar.plain || is_tagged)
}

/// The name that a key has in JSON.
pub(super) fn key_name(value: &Value, text: &str, plain: bool) -> Result<String, String> {
    Ok(match value {
        Value::String(text) => text.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Int64(value) => value.to_string(),
        Value::Uint64(value) => value.to_string(),
        Value::Float(value) => match scalar::resolve(text) {
            Scalar::Int(value) if plain => value.to_string(),
            // Go writes such keys with the precision of 32 bits.
            _ => match *value as f32 {
                f32::INFINITY => ".inf".into(),
                f32::NEG_INFINITY => "-.inf".into(),
                narrow => float::general_narrow(narrow),
            },
        },
        _ => return Err(format!("unsupported map key {text:?}")),
    })
}
