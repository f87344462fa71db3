//! The values that templates work on: Go's dynamic types, as far as templates can tell them apart.

mod collections;

use std::rc::Rc;

pub(crate) use collections::{Entries, List, ListKind, Map, MapKind};

use super::capabilities::Capabilities;
use super::golang::time::Time;
use super::kube_version::KubeVersion;
use super::semver::Version;

/// A value of the template language.
#[derive(Debug, Clone, Default)]
pub(crate) enum Value {
    /// No value: a missing key, a YAML null.
    #[default]
    Nil,
    Bool(bool),
    /// Go's `int`: literals, lengths and indexes.
    Int(i64),
    /// Go's `int64`: numbers of `--set`, results of arithmetic.
    Int64(i64),
    /// Go's `uint64`: parts of a semantic version.
    Uint64(u64),
    /// Go's `float64`: every number that was read from YAML or JSON.
    Float(f64),
    String(Rc<str>),
    /// A Go string that is not valid UTF-8.
    RawString(Rc<[u8]>),
    /// Go's `[]byte`: contents of `.Files`.
    Bytes(Rc<[u8]>),
    List(List),
    Map(Map),
    Time(Time),
    Version(Rc<Version>),
    Capabilities(Rc<Capabilities>),
    KubeVersion(Rc<KubeVersion>),
    HelmVersion,
}

impl Value {
    pub(crate) fn string(text: impl Into<Rc<str>>) -> Self {
        Self::String(text.into())
    }

    /// A Go string of any bytes.
    pub(crate) fn string_of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::String(text.into()),
            Err(_) => Self::RawString(bytes.into()),
        }
    }

    pub(crate) fn string_of_bytes(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::string(text),
            Err(error) => Self::RawString(error.into_bytes().into()),
        }
    }

    pub(crate) fn list(items: Vec<Value>) -> Self {
        Self::List(List::new(ListKind::Any, items))
    }

    pub(crate) fn strings<S: Into<Rc<str>>>(items: impl IntoIterator<Item = S>) -> Self {
        let items = items.into_iter().map(Value::string).collect();
        Self::List(List::new(ListKind::Strings, items))
    }

    pub(crate) fn map(entries: Entries) -> Self {
        Self::Map(Map::new(MapKind::Any, entries))
    }

    /// `.Capabilities.APIVersions`.
    pub(crate) fn api_versions() -> Self {
        let versions = Capabilities::api_versions().map(Self::from);
        Self::List(List::new(ListKind::ApiVersions, versions.collect()))
    }

    /// A map with the given entries, for objects such as `.Release`.
    pub(crate) fn object<const N: usize>(entries: [(&str, Value); N]) -> Self {
        Self::map(entries.map(|(key, value)| (key.into(), value)).into())
    }

    pub(crate) fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// Whether it is nil, or a list or a map that is.
    pub(crate) fn is_any_nil(&self) -> bool {
        match self {
            Self::Nil => true,
            Self::List(list) => list.is_nil(),
            Self::Map(map) => map.is_nil(),
            _ => false,
        }
    }

    /// The list of `items`, or Go's nil if there are none.
    pub(crate) fn list_or_nil(kind: ListKind, items: Vec<Value>) -> Self {
        Self::List(if items.is_empty() { List::nil(kind) } else { List::new(kind, items) })
    }

    /// Go's `reflect.Kind` of the value, as `kindOf` prints it.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Self::Nil => "invalid",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Int64(_) => "int64",
            Self::Uint64(_) => "uint64",
            Self::Float(_) => "float64",
            Self::String(_) | Self::RawString(_) => "string",
            Self::Bytes(_) | Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Time(_) | Self::KubeVersion(_) | Self::HelmVersion => "struct",
            Self::Version(_) | Self::Capabilities(_) => "ptr",
        }
    }

    /// Go's type of the value, as `typeOf` prints it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bytes(_) => "[]uint8",
            Self::List(list) => match list.kind() {
                ListKind::Any => "[]interface {}",
                ListKind::Strings => "[]string",
                ListKind::Ints => "[]int",
                ListKind::Lists => "[][]interface {}",
                ListKind::ApiVersions => "common.VersionSet",
            },
            Self::Map(map) => match map.kind() {
                MapKind::Any => "map[string]interface {}",
                MapKind::Values => "common.Values",
                MapKind::Strings => "map[string]string",
                MapKind::Files => "engine.files",
            },
            Self::Time(_) => "time.Time",
            Self::Version(_) => "*semver.Version",
            Self::Capabilities(_) => "*common.Capabilities",
            Self::KubeVersion(_) => "common.KubeVersion",
            Self::HelmVersion => "version.BuildInfo",
            other => other.kind_name(),
        }
    }

    /// Whether `if` takes the value for true.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) | Self::Int64(value) => *value != 0,
            Self::Uint64(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::String(text) => !text.is_empty(),
            Self::RawString(bytes) | Self::Bytes(bytes) => !bytes.is_empty(),
            Self::List(list) => !list.items().is_empty(),
            Self::Map(map) => map.len() > 0,
            Self::Time(_)
            | Self::Version(_)
            | Self::Capabilities(_)
            | Self::KubeVersion(_)
            | Self::HelmVersion => true,
        }
    }

    /// The members of a list or of bytes; none for anything else.
    pub(crate) fn items(&self) -> Option<Vec<Value>> {
        match self {
            Self::List(list) => Some(list.items().to_vec()),
            Self::Bytes(bytes) => Some(bytes.iter().map(|b| Value::Int(i64::from(*b))).collect()),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::string(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
