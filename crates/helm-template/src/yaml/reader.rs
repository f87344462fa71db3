//! Builds the value of a YAML document from its events.

use std::collections::HashMap;

use super::events::{Event, Events, Scalar};
use super::typed::{self, Numbers};
use crate::limits::{MAX_DATA_DEPTH, MAX_YAML_NODES};
use crate::value::{Entries, Value};

/// Reads the first document of a text; the others are not looked at. Errors are worded as in go-yaml,
/// which helm reads YAML with.
pub(crate) fn parse(text: &str, numbers: Numbers) -> Result<Value, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.chars().all(is_allowed) {
        return Err("control characters are not allowed".into());
    }
    let mut reader = Reader { numbers, stack: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None };
    let mut events = Events::new(text);
    while let Some(event) = events.next()? {
        if let Event::Alias(name) = &event
            && !reader.anchors.contains_key(name)
        {
            return Err(format!("unknown anchor '{name}' referenced"));
        }
        if let Err(message) = reader.event(event) {
            // go-yaml looks for errors of syntax in the whole document first.
            while events.next()?.is_some() {}
            return Err(message);
        }
    }
    Ok(reader.root.unwrap_or_default())
}

/// What YAML 1.1 calls printable.
/// <https://yaml.org/spec/1.1/#c-printable>
fn is_allowed(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' => true,
        _ => c >= '\u{a0}' && !matches!(c, '\u{fffe}' | '\u{ffff}'),
    }
}

/// A collection that has been opened and not yet closed.
enum Open {
    List { items: Vec<Value>, anchor: Option<String> },
    Map { entries: Entries, key: Option<Key>, anchor: Option<String> },
}

enum Key {
    Name(String),
    /// `<<`: the value's entries become entries of this map.
    Merge,
}

struct Reader {
    numbers: Numbers,
    stack: Vec<Open>,
    /// The values by their anchors; none while a value is not complete.
    anchors: HashMap<String, Option<Value>>,
    nodes: usize,
    root: Option<Value>,
}

impl Reader {
    fn event(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Scalar(scalar) => self.scalar(scalar),
            Event::SequenceStart(anchor) => {
                self.open(anchor, |anchor| Open::List { items: Vec::new(), anchor })
            }
            Event::MappingStart(anchor) => {
                self.open(anchor, |anchor| Open::Map { entries: Entries::new(), key: None, anchor })
            }
            Event::End => match self.stack.pop() {
                Some(Open::List { items, anchor }) => self.finish(Value::list(items), anchor),
                Some(Open::Map { entries, anchor, .. }) => self.finish(Value::map(entries), anchor),
                None => Ok(()),
            },
            Event::Alias(name) => self.alias(&name),
        }
    }

    fn scalar(&mut self, scalar: Scalar) -> Result<(), String> {
        let value = typed::value(&scalar, self.numbers)?;
        if !self.wants_key() {
            return self.finish(value, scalar.anchor);
        }
        let key = if typed::is_merge(&scalar) {
            Key::Merge
        } else {
            Key::Name(typed::key_name(&value, &scalar.text, scalar.plain)?)
        };
        self.remember(scalar.anchor, &value);
        self.set_key(key)
    }

    fn open(
        &mut self,
        anchor: Option<String>,
        collection: impl FnOnce(Option<String>) -> Open,
    ) -> Result<(), String> {
        if self.wants_key() {
            return Err("invalid map key: it is a list or a map".into());
        }
        if let Some(name) = &anchor {
            self.anchors.insert(name.clone(), None);
        }
        self.stack.push(collection(anchor));
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.stack.last(), Some(Open::Map { key: None, .. }))
    }

    fn set_key(&mut self, new: Key) -> Result<(), String> {
        if let Some(Open::Map { key, .. }) = self.stack.last_mut() {
            *key = Some(new);
        }
        self.count(1)
    }

    fn count(&mut self, nodes: usize) -> Result<(), String> {
        self.nodes += nodes;
        if self.nodes > MAX_YAML_NODES {
            return Err(format!("document has more than {MAX_YAML_NODES} nodes"));
        }
        Ok(())
    }

    fn remember(&mut self, anchor: Option<String>, value: &Value) {
        if let Some(name) = anchor {
            self.anchors.insert(name, Some(value.clone()));
        }
    }

    fn alias(&mut self, name: &str) -> Result<(), String> {
        let value = match self.anchors.get(name) {
            Some(Some(value)) => value.clone(),
            _ => return Err(format!("anchor '{name}' value contains itself")),
        };
        if self.wants_key() {
            let text = match &value {
                Value::String(text) => text.to_string(),
                _ => String::new(),
            };
            let name = typed::key_name(&value, &text, false)?;
            return self.set_key(Key::Name(name));
        }
        // A list of maps may be merged, but not an alias of one.
        if let Some(Open::Map { key: Some(Key::Merge), .. }) = self.stack.last()
            && !matches!(value, Value::Map(_))
        {
            return Err(NOT_MERGEABLE.into());
        }
        let copy = self.copy(&value, self.stack.len())?;
        self.finish(copy, None)
    }

    /// A copy that shares nothing: `set` on one use of an anchor must not change the others.
    fn copy(&mut self, value: &Value, depth: usize) -> Result<Value, String> {
        if depth > MAX_DATA_DEPTH {
            return Err(format!("exceeded max depth of {MAX_DATA_DEPTH}"));
        }
        Ok(match value {
            Value::List(list) => {
                self.count(list.items().len())?;
                let items = list.items().iter().map(|item| self.copy(item, depth + 1));
                Value::list(items.collect::<Result<_, _>>()?)
            }
            Value::Map(map) => {
                let mut entries = Entries::new();
                for (key, item) in map.entries() {
                    self.count(1)?;
                    entries.insert(key, self.copy(&item, depth + 1)?);
                }
                Value::map(entries)
            }
            other => other.clone(),
        })
    }

    /// Puts a complete value where it belongs.
    fn finish(&mut self, value: Value, anchor: Option<String>) -> Result<(), String> {
        self.count(1)?;
        self.remember(anchor, &value);
        match self.stack.last_mut() {
            None => self.root = Some(value),
            Some(Open::List { items, .. }) => items.push(value),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                Some(Key::Name(name)) => {
                    entries.insert(name.into(), value);
                }
                Some(Key::Merge) => merge(entries, &value)?,
                None => return Err("invalid map key: it is a list or a map".into()),
            },
        }
        Ok(())
    }
}

const NOT_MERGEABLE: &str = "map merge requires map or sequence of maps as the value";

fn merge(entries: &mut Entries, value: &Value) -> Result<(), String> {
    match value {
        Value::Map(map) => entries.extend(map.entries()),
        Value::List(list) => {
            // Earlier maps take precedence.
            for item in list.items().iter().rev() {
                let Value::Map(map) = item else {
                    return Err(NOT_MERGEABLE.into());
                };
                entries.extend(map.entries());
            }
        }
        _ => return Err(NOT_MERGEABLE.into()),
    }
    Ok(())
}
