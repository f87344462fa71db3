//! Lists and maps of values, which refer to [`Value`] as it refers to them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::Value;

/// The Go type of a list's items. Only functions such as `typeOf` can see it.
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

/// The Go type of a map, which determines its methods.
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

    /// Whether both are the same list in memory.
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

    /// The entries as they are now, sorted by key; later changes do not affect them.
    pub(crate) fn entries(&self) -> Vec<(Rc<str>, Value)> {
        self.data.entries.borrow().iter().map(|(key, value)| (Rc::clone(key), value.clone())).collect()
    }

    /// A copy whose values are shared with the original.
    pub(crate) fn shallow_copy(&self, kind: MapKind) -> Self {
        Self::new(kind, self.data.entries.borrow().clone())
    }

    /// Whether both are the same map in memory.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.data, &other.data)
    }
}

// Values can be nested deeper than the stack can unwind, so both containers hand
// their contents to a loop instead of dropping them recursively.
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
