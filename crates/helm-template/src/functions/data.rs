//! YAML, JSON and TOML.

use super::Type::{Any, String as Text};
use super::{Call, Function, plain, toml};
use crate::json::{self, Options};
use crate::value::{Entries, List, ListKind, Map, MapKind, Value};
use crate::yaml::{self, Numbers};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("toYaml", &[Any], |c| Ok(yaml_of(c).unwrap_or_default().into())),
    plain("mustToYaml", &[Any], |c| Ok(yaml_of(c)?.into())),
    plain("toYamlPretty", &[Any], |c| {
        let text = yaml::to_yaml_pretty(c.arg(0)).unwrap_or_default();
        Ok(without_line_break(&text).into())
    }),
    plain("fromYaml", &[Text], from_yaml),
    plain("fromYamlArray", &[Text], from_yaml_array),
    plain("toJson", &[Any], |c| Ok(json_of(c, false, true).unwrap_or_default().into())),
    plain("mustToJson", &[Any], |c| Ok(json_of(c, false, true)?.into())),
    plain("toPrettyJson", &[Any], |c| Ok(json_of(c, true, true).unwrap_or_default().into())),
    plain("mustToPrettyJson", &[Any], |c| Ok(json_of(c, true, true)?.into())),
    plain("toRawJson", &[Any], |c| Ok(json_of(c, false, false)?.into())),
    plain("mustToRawJson", &[Any], |c| Ok(json_of(c, false, false)?.into())),
    plain("fromJson", &[Text], from_json),
    plain("mustFromJson", &[Text], |c| json::parse(&c.text(0))),
    plain("fromJsonArray", &[Text], from_json_array),
    plain("fromToml", &[Text], |c| Ok(toml::from_toml(&c.text(0)))),
    plain("toToml", &[Any], |c| Ok(toml::to_toml(c.arg(0)).unwrap_or_else(|e| e).into())),
    plain("mustToToml", &[Any], |c| Ok(toml::to_toml(c.arg(0))?.into())),
];

fn without_line_break(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

fn yaml_of(call: &Call<'_>) -> Result<String, String> {
    let text = yaml::to_yaml(call.arg(0))?;
    Ok(without_line_break(&text).to_owned())
}

fn json_of(call: &Call<'_>, pretty: bool, escape_html: bool) -> Result<String, String> {
    json::to_json(call.arg(0), Options { pretty, escape_html })
}

/// Templates get errors as a value.
fn error_map(message: String) -> Value {
    Value::object([("Error", message.into())])
}

fn from_yaml(call: &Call<'_>) -> Result<Value, String> {
    Ok(match yaml::parse(&call.text(0), Numbers::Float) {
        Ok(map @ Value::Map(_)) => map,
        Ok(Value::Nil) => Value::map(Entries::new()),
        Ok(other) => error_map(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go \
             value of type map[string]interface {{}}",
            json_kind(&other)
        )),
        Err(message) => error_map(format!("error converting YAML to JSON: yaml: {message}")),
    })
}

fn from_yaml_array(call: &Call<'_>) -> Result<Value, String> {
    Ok(match yaml::parse(&call.text(0), Numbers::Float) {
        Ok(list @ Value::List(_)) => list,
        Ok(Value::Nil) => Value::list(Vec::new()),
        Ok(other) => Value::list(vec![
            format!(
                "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go \
                 value of type []interface {{}}",
                json_kind(&other)
            )
            .into(),
        ]),
        Err(message) => Value::list(vec![format!("error converting YAML to JSON: yaml: {message}").into()]),
    })
}

fn from_json(call: &Call<'_>) -> Result<Value, String> {
    Ok(match json::parse(&call.text(0)) {
        Ok(map @ Value::Map(_)) => map,
        Ok(Value::Nil) => Value::Map(Map::nil(MapKind::Any)),
        Ok(other) => error_map(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            json_kind(&other)
        )),
        Err(message) => error_map(message),
    })
}

fn from_json_array(call: &Call<'_>) -> Result<Value, String> {
    Ok(match json::parse(&call.text(0)) {
        Ok(list @ Value::List(_)) => list,
        Ok(Value::Nil) => Value::List(List::nil(ListKind::Any)),
        Ok(other) => Value::list(vec![
            format!("json: cannot unmarshal {} into Go value of type []interface {{}}", json_kind(&other))
                .into(),
        ]),
        Err(message) => Value::list(vec![message.into()]),
    })
}

fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Map(_) => "object",
        Value::List(_) => "array",
        Value::Bool(_) => "bool",
        Value::Float(_) | Value::Int(_) | Value::Int64(_) | Value::Uint64(_) => "number",
        _ => "string",
    }
}
