//! The methods that templates can call: `.Files.Get`, `.Capabilities.APIVersions.Has`.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::files;
use crate::functions::{Call, Type};
use crate::golang::time::Time;
use crate::golang::time_layout;
use crate::semver::Version;
use crate::value::{ListKind, MapKind, Value};
use crate::yaml;

type MethodBody = fn(&Value, &Call<'_>) -> Result<Value, String>;

/// A method: its name and parameters, and what it does.
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) params: &'static [Type],
    pub(super) body: MethodBody,
}

const fn method(name: &'static str, params: &'static [Type], body: MethodBody) -> Method {
    Method { name, params, body }
}

/// The method of that name, if the value has it.
pub(super) fn find(receiver: &Value, name: &str) -> Option<&'static Method> {
    let methods = match receiver {
        Value::Map(map) => match map.kind() {
            MapKind::Files => FILES,
            MapKind::Values => VALUES,
            MapKind::Any | MapKind::Strings => return None,
        },
        Value::List(list) if list.kind() == ListKind::ApiVersions => API_VERSIONS,
        Value::KubeVersion(_) => KUBE_VERSION,
        Value::Version(_) => VERSION,
        Value::Time(_) => TIME,
        _ => return None,
    };
    methods.iter().find(|method| method.name == name)
}

const FILES: &[Method] = &[
    method("Get", &[Type::String], |files, call| Ok(Value::string_of(&files::get(files, &call.text(0))))),
    method("GetBytes", &[Type::String], |files, call| Ok(Value::Bytes(files::get(files, &call.text(0))))),
    method("Glob", &[Type::String], |files, call| files::glob(files, &call.text(0))),
    method("AsConfig", &[], |files, _| files::as_config(files)),
    method("AsSecrets", &[], |files, _| files::as_secrets(files)),
    method("Lines", &[Type::String], |files, call| files::lines(files, &call.text(0))),
];

const VALUES: &[Method] = &[
    method("AsMap", &[], |values, _| match values {
        Value::Map(map) => Ok(Value::Map(map.with_kind(MapKind::Any))),
        _ => Ok(Value::Nil),
    }),
    method("YAML", &[], |values, _| Ok(yaml::to_yaml(values)?.into())),
    method("Table", &[Type::String], |values, call| {
        let name = call.text(0);
        match follow(values, &name) {
            Value::Map(map) => Ok(Value::Map(map.with_kind(MapKind::Values))),
            _ => Err(format!("{name:?} is not a table")),
        }
    }),
    method("PathValue", &[Type::String], |values, call| {
        let path = call.text(0);
        match follow(values, &path) {
            Value::Nil | Value::Map(_) => Err(format!("{path:?} is not a value")),
            value => Ok(value),
        }
    }),
];

/// Follows a path of names with dots between them.
fn follow(values: &Value, path: &str) -> Value {
    path.split('.').fold(values.clone(), |value, name| match value {
        Value::Map(map) => map.get(name).unwrap_or_default(),
        _ => Value::Nil,
    })
}

const API_VERSIONS: &[Method] = &[method("Has", &[Type::String], |versions, call| {
    let wanted = call.text(0);
    let items = versions.items().unwrap_or_default();
    let is_wanted = |item: &Value| matches!(item, Value::String(text) if **text == *wanted);
    Ok(items.iter().any(is_wanted).into())
})];

const KUBE_VERSION: &[Method] = &[
    method("String", &[], |version, _| match version {
        Value::KubeVersion(version) => Ok(version.normalized().into()),
        _ => Ok(Value::Nil),
    }),
    method("GitVersion", &[], |version, _| match version {
        Value::KubeVersion(version) => Ok(version.version().into()),
        _ => Ok(Value::Nil),
    }),
];

fn version(value: &Value) -> Result<&Version, String> {
    match value {
        Value::Version(version) => Ok(version),
        _ => Err("not a version".into()),
    }
}

fn ordering(receiver: &Value, call: &Call<'_>) -> Result<Ordering, String> {
    Ok(version(receiver)?.compare(version(call.arg(0))?))
}

fn raised(receiver: &Value, part: usize) -> Result<Value, String> {
    Ok(Value::Version(Rc::new(version(receiver)?.raised(part))))
}

const VERSION: &[Method] = &[
    method("Major", &[], |v, _| Ok(Value::Uint64(version(v)?.major))),
    method("Minor", &[], |v, _| Ok(Value::Uint64(version(v)?.minor))),
    method("Patch", &[], |v, _| Ok(Value::Uint64(version(v)?.patch))),
    method("Prerelease", &[], |v, _| Ok(version(v)?.pre.as_str().into())),
    method("Metadata", &[], |v, _| Ok(version(v)?.metadata.as_str().into())),
    method("Original", &[], |v, _| Ok(version(v)?.original.as_str().into())),
    method("String", &[], |v, _| Ok(version(v)?.to_string().into())),
    method("Compare", &[Type::Version], |v, call| Ok(Value::Int(ordering(v, call)? as i64))),
    method("Equal", &[Type::Version], |v, call| Ok(ordering(v, call)?.is_eq().into())),
    method("GreaterThan", &[Type::Version], |v, call| Ok(ordering(v, call)?.is_gt().into())),
    method("GreaterThanEqual", &[Type::Version], |v, call| Ok(ordering(v, call)?.is_ge().into())),
    method("LessThan", &[Type::Version], |v, call| Ok(ordering(v, call)?.is_lt().into())),
    method("LessThanEqual", &[Type::Version], |v, call| Ok(ordering(v, call)?.is_le().into())),
    method("IncMajor", &[], |v, _| raised(v, 0)),
    method("IncMinor", &[], |v, _| raised(v, 1)),
    method("IncPatch", &[], |v, _| raised(v, 2)),
];

fn point(value: &Value) -> Result<Time, String> {
    match value {
        Value::Time(time) => Ok(*time),
        _ => Err("not a time".into()),
    }
}

const TIME: &[Method] = &[
    method("Format", &[Type::String], |t, call| Ok(time_layout::format(point(t)?, &call.text(0)).into())),
    method("Unix", &[], |t, _| Ok(Value::Int64(point(t)?.seconds))),
    method("UnixMilli", &[], |t, _| Ok(Value::Int64(point(t)?.since_1970(1_000)))),
    method("UnixMicro", &[], |t, _| Ok(Value::Int64(point(t)?.since_1970(1_000_000)))),
    method("UnixNano", &[], |t, _| Ok(Value::Int64(point(t)?.since_1970(1_000_000_000)))),
    method("Nanosecond", &[], |t, _| Ok(Value::Int(point(t)?.nanos.into()))),
    method("UTC", &[], |t, _| Ok(Value::Time(point(t)?.at_offset(0)))),
    method("Local", &[], |t, _| Ok(Value::Time(point(t)?.at_offset(0)))),
    method("String", &[], |t, _| Ok(point(t)?.to_string().into())),
    method("Year", &[], |t, _| Ok(Value::Int(point(t)?.civil().year))),
    method("Day", &[], |t, _| Ok(Value::Int(point(t)?.civil().day.into()))),
    method("Hour", &[], |t, _| Ok(Value::Int(point(t)?.civil().hour.into()))),
    method("Minute", &[], |t, _| Ok(Value::Int(point(t)?.civil().minute.into()))),
    method("Second", &[], |t, _| Ok(Value::Int(point(t)?.civil().second.into()))),
    method("YearDay", &[], |t, _| Ok(Value::Int(point(t)?.civil().year_day()))),
    method("IsZero", &[], |t, _| Ok((point(t)?.at_offset(0) == Time::zero()).into())),
];
