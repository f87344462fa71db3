//! The arguments of one call, which have been checked against the function's types.

use std::borrow::Cow;

use crate::limits::Budget;
use crate::value::{Entries, Map, MapKind, Value};

/// The arguments of one call.
pub(crate) struct Call<'a> {
    args: &'a [Value],
    budget: &'a Budget,
}

impl<'a> Call<'a> {
    pub(crate) fn new(args: &'a [Value], budget: &'a Budget) -> Self {
        Self { args, budget }
    }

    pub(crate) fn args(&self) -> &'a [Value] {
        self.args
    }

    /// The arguments from an index on.
    pub(crate) fn rest(&self, from: usize) -> &'a [Value] {
        self.args.get(from..).unwrap_or_default()
    }

    pub(crate) fn arg(&self, index: usize) -> &'a Value {
        // The count of arguments was checked before, so the default is never seen.
        self.args.get(index).unwrap_or(&const { Value::Nil })
    }

    /// A string argument; invalid UTF-8 is replaced.
    pub(crate) fn text(&self, index: usize) -> Cow<'a, str> {
        match self.arg(index) {
            Value::String(text) => Cow::Borrowed(text),
            Value::RawString(bytes) => String::from_utf8_lossy(bytes),
            _ => Cow::Borrowed(""),
        }
    }

    /// The bytes of a string argument.
    pub(crate) fn bytes(&self, index: usize) -> &'a [u8] {
        match self.arg(index) {
            Value::String(text) => text.as_bytes(),
            Value::RawString(bytes) => bytes,
            _ => &[],
        }
    }

    pub(crate) fn int(&self, index: usize) -> i64 {
        if let Value::Int(value) = self.arg(index) { *value } else { 0 }
    }

    pub(crate) fn flag(&self, index: usize) -> bool {
        matches!(self.arg(index), Value::Bool(true))
    }

    /// A map argument; no value at all is an empty map.
    pub(crate) fn map(&self, index: usize) -> Map {
        match self.arg(index) {
            Value::Map(map) => map.clone(),
            _ => Map::new(MapKind::Any, Entries::new()),
        }
    }

    /// Accounts for a result before it is made, so that no result is too large.
    pub(crate) fn will_produce(&self, bytes: usize) -> Result<(), String> {
        self.budget.produce(bytes)
    }
}
