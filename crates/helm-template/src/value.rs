//! The values that templates work on: Go's dynamic types, as far as templates can tell them apart.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::capabilities::{Capabilities, KubeVersion};
use super::golang::time::Time;
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

/// The Go type of a list's items; only `typeOf` and its kin can see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ListKind {
    #[default]
    Any,
    Strings,
    Ints,
    Lists,
    ApiVersions,
}

/// A list. Templates cannot change one in place, so clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct List(Rc<ListData>);

#[derive(Debug, Default)]
struct ListData {
    kind: ListKind,
    nil: bool,
    items: Vec<Value>,
}

/// The Go type of a map; it decides which methods the map has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum MapKind {
    #[default]
    Any,
    /// `common.Values`, with methods such as `AsMap`.
    Values,
    /// `map[string]string`.
    Strings,
    /// `.Files`.
    Files,
}

/// A map. As in Go, clones share it: `set` is seen through every one of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    kind: MapKind,
    nil: bool,
    data: Rc<MapData>,
}

pub(crate) type Entries = BTreeMap<Rc<str>, Value>;

#[derive(Debug, Default)]
struct MapData {
    entries: RefCell<Entries>,
}

impl List {
    pub(crate) fn new(kind: ListKind, items: Vec<Value>) -> Self {
        Self(Rc::new(ListData { kind, nil: false, items }))
    }

    /// Go's nil of a list's type: an empty list, but one that JSON has `null` for.
    pub(crate) fn nil(kind: ListKind) -> Self {
        Self(Rc::new(ListData { kind, nil: true, items: Vec::new() }))
    }

    pub(crate) fn is_nil(&self) -> bool {
        self.0.nil
    }

    pub(crate) fn kind(&self) -> ListKind {
        self.0.kind
    }

    pub(crate) fn items(&self) -> &[Value] {
        &self.0.items
    }

    /// Tells whether both are the same list in memory.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Map {
    pub(crate) fn new(kind: MapKind, entries: Entries) -> Self {
        let entries = RefCell::new(entries);
        let data = Rc::new(MapData { entries });
        Self { kind, nil: false, data }
    }

    /// Go's nil of a map's type: an empty map, but one that JSON has `null` for.
    pub(crate) fn nil(kind: MapKind) -> Self {
        Self { kind, nil: true, data: Rc::default() }
    }

    pub(crate) fn is_nil(&self) -> bool {
        self.nil && self.len() == 0
    }

    pub(crate) fn kind(&self) -> MapKind {
        self.kind
    }

    /// The same map under another type.
    pub(crate) fn with_kind(&self, kind: MapKind) -> Self {
        let data = Rc::clone(&self.data);
        Self { kind, nil: self.nil, data }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Value> {
        self.data.entries.borrow().get(key).cloned()
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.data.entries.borrow().contains_key(key)
    }

    pub(crate) fn insert(&self, key: impl Into<Rc<str>>, value: Value) {
        let old = self.data.entries.borrow_mut().insert(key.into(), value);
        // Dropped after the borrow has ended: the old value may own this very map.
        drop(old);
    }

    pub(crate) fn remove(&self, key: &str) -> Option<Value> {
        self.data.entries.borrow_mut().remove(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.data.entries.borrow().len()
    }

    /// The entries as they are now, sorted by key; changes made meanwhile do not disturb the caller.
    pub(crate) fn entries(&self) -> Vec<(Rc<str>, Value)> {
        self.data.entries.borrow().iter().map(|(key, value)| (Rc::clone(key), value.clone())).collect()
    }

    /// A copy whose values are shared with the original.
    pub(crate) fn shallow_copy(&self, kind: MapKind) -> Self {
        Self::new(kind, self.data.entries.borrow().clone())
    }

    /// Tells whether both are the same map in memory.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.data, &other.data)
    }
}

// Values can be nested deeper than the stack can unwind, so both containers hand
// their contents to a loop instead of letting them drop one inside the other.
impl Drop for ListData {
    fn drop(&mut self) {
        drop_flat(std::mem::take(&mut self.items));
    }
}

impl Drop for MapData {
    fn drop(&mut self) {
        let entries = std::mem::take(self.entries.get_mut());
        drop_flat(entries.into_values().collect());
    }
}

fn drop_flat(mut pending: Vec<Value>) {
    while let Some(value) = pending.pop() {
        match value {
            Value::List(List(data)) => {
                if let Ok(mut data) = Rc::try_unwrap(data) {
                    pending.append(&mut data.items);
                }
            }
            Value::Map(Map { data, .. }) => {
                if let Ok(mut data) = Rc::try_unwrap(data) {
                    pending.extend(std::mem::take(data.entries.get_mut()).into_values());
                }
            }
            _ => {}
        }
    }
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

    /// A map with the given entries, for the objects that the engine makes itself.
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
