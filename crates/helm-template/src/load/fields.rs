//! The fields of a structure in `Chart.yaml` as Go reads them: names match in any case, and
//! text may be given as another scalar, such as `appVersion: 1.16`.

use std::collections::BTreeMap;

use crate::golang::float;
use crate::value::Value;
use crate::yaml::{self, Numbers};

/// A structure's fields by their names in lower case.
pub(super) struct Fields(BTreeMap<String, Value>);

impl Fields {
    /// The fields of a YAML document; integers stay integers.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        Self::of(&yaml::parse(text, Numbers::Exact)?)
    }

    /// The fields of a map; of names that differ only in case the last one counts.
    pub(super) fn of(value: &Value) -> Result<Self, String> {
        let entries = match value {
            Value::Nil => Vec::new(),
            Value::Map(map) => map.entries(),
            _ => return Err("a map is wanted".into()),
        };
        // Go leaves a field that is null unchanged.
        let given = entries.into_iter().filter(|(_, value)| !value.is_nil());
        Ok(Self(given.map(|(name, value)| (folded(&name), value)).collect()))
    }

    fn get(&self, name: &str) -> &Value {
        self.0.get(&folded(name)).unwrap_or(&const { Value::Nil })
    }

    /// A string; empty if there is none.
    pub(super) fn text(&self, name: &str) -> Result<String, String> {
        text(self.get(name)).map_err(|message| format!("{name}: {message}"))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        match self.get(name) {
            Value::Nil => Ok(false),
            Value::Bool(value) => Ok(*value),
            _ => Err(format!("{name}: true or false is wanted")),
        }
    }

    /// A map of strings, if there is one.
    pub(super) fn map(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, String> {
        let entries = match self.get(name) {
            Value::Nil => return Ok(None),
            Value::Map(map) => map.entries(),
            _ => return Err(format!("{name}: a map is wanted")),
        };
        let texts = entries.iter().map(|(key, value)| Ok((key.to_string(), text(value)?)));
        texts.collect::<Result<_, _>>().map(Some).map_err(|message: String| format!("{name}: {message}"))
    }

    /// A list of what `read` makes of each item; empty if there is none.
    pub(super) fn list<T>(
        &self,
        name: &str,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let items = match self.get(name) {
            Value::Nil => &[],
            Value::List(list) => list.items(),
            _ => return Err(format!("{name}: a list is wanted")),
        };
        let items: Result<_, _> = items.iter().map(read).collect();
        items.map_err(|message| format!("{name}: {message}"))
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        self.list(name, text)
    }

    /// A list of structures, none of which may be null.
    pub(super) fn structures<T>(
        &self,
        name: &str,
        read: impl Fn(&Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        self.list(name, |item| match item {
            Value::Nil => Err("an entry is empty".into()),
            item => read(&Self::of(item)?),
        })
    }
}

/// A name in lower case, with the two letters that Go also folds to ASCII.
fn folded(name: &str) -> String {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    name.chars().map(fold).collect()
}

/// A scalar as text; null is empty.
fn text(value: &Value) -> Result<String, String> {
    Ok(match value {
        Value::Nil => String::new(),
        Value::String(text) => text.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Int64(value) => value.to_string(),
        Value::Uint64(value) => value.to_string(),
        // Go writes such numbers with the precision of 32 bits.
        Value::Float(value) => match *value as f32 {
            f32::INFINITY => "+Inf".into(),
            f32::NEG_INFINITY => "-Inf".into(),
            narrow => float::general_narrow(narrow),
        },
        _ => return Err("a string is wanted".into()),
    })
}
