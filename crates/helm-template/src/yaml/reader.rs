//! Reads YAML 1.1: the events of a YAML parser, with go-yaml's meaning of scalars.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::repair;
use super::scalar::{self, Scalar};
use super::stream;
use super::tabs::Tabs;
use crate::golang::float;
use crate::limits::{MAX_DATA_DEPTH, MAX_YAML_NODES};
use crate::value::{Entries, Value};

/// How numbers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// All as floats, as helm reads values.
    Float,
    /// Integers as integers, for objects that go to a cluster.
    Exact,
}

const NEXT_LINE: char = '\u{85}';

/// How often a text is repaired before its errors count.
const MAX_REPAIRS: usize = 1_000;

/// Reads the first document of a text; the others are not looked at.
pub(crate) fn parse(text: &str, numbers: Numbers) -> Result<Value, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    stream::check_directives(text)?;
    if let Some(refused) = text.chars().find(|c| !is_allowed(*c)) {
        return Err(format!("control characters are not allowed: U+{:04X}", u32::from(refused)));
    }
    // A line break of YAML 1.1, and none of 1.2.
    let mut text =
        if text.contains(NEXT_LINE) { text.replace(NEXT_LINE, "\n").into() } else { Cow::Borrowed(text) };
    for _ in 0..MAX_REPAIRS {
        match read(&text, numbers) {
            Ok(value) => return Ok(value),
            Err(Failure::Syntax(error, in_flow)) => match repair::repair(&text, &error, in_flow) {
                Some(repaired) => text = Cow::Owned(repaired),
                None => return Err(describe(&error)),
            },
            Err(Failure::Meaning(message)) => return Err(message),
        }
    }
    Err("too many lines with unusual indentation".into())
}

/// What YAML 1.1 calls printable; a byte order mark has its own rules.
/// <https://yaml.org/spec/1.1/#c-printable>
fn is_allowed(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' | ' '..='~' | NEXT_LINE => true,
        _ => c >= '\u{a0}' && !matches!(c, '\u{fffe}' | '\u{ffff}'),
    }
}

/// Why a text could not be read.
enum Failure {
    /// The error, and whether it arose between braces or brackets.
    Syntax(ScanError, bool),
    Meaning(String),
}

fn read(text: &str, numbers: Numbers) -> Result<Value, Failure> {
    let mut reader = Reader { numbers, stack: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None };
    let cut = ends_within_line(text);
    let mut tabs = Tabs::new(text);
    let mut parser = Parser::new_from_str(text);
    // What follows the first node is not looked at.
    while reader.root.is_none()
        && let Some(event) = parser.next_event()
    {
        let (mut event, span) = event.map_err(|error| Failure::Syntax(error, tabs.in_flow()))?;
        match &mut event {
            Event::DocumentEnd | Event::StreamEnd => break,
            Event::Scalar(text, ScalarStyle::Literal | ScalarStyle::Folded, ..)
                if cut.is_some_and(|end| span.end.index() >= end) && text.ends_with('\n') =>
            {
                text.to_mut().pop();
            }
            _ => {}
        }
        tabs.event(&event, span);
        reader
            .event(event)
            .map_err(|message| Failure::Meaning(format!("line {}: {message}", span.start.line())))?;
    }
    tabs.check().map_err(Failure::Meaning)?;
    Ok(reader.root.unwrap_or_default())
}

/// The text's length in characters if its last line is not ended by a line break: then go-yaml
/// gives a block scalar that ends there no line break either, and the parser does.
fn ends_within_line(text: &str) -> Option<usize> {
    let last_line = text.rsplit('\n').next().unwrap_or("");
    (!last_line.trim().is_empty()).then(|| text.chars().count())
}

/// The message in go-yaml's words as far as they are known: without the context, and for errors of
/// its parser with lines counted from 0.
fn describe(error: &ScanError) -> String {
    let (info, line) = (error.info(), error.marker().line());
    match info.split_once(", ") {
        Some((context, problem)) if context.starts_with("while parsing") => match line {
            0 | 1 => problem.to_owned(),
            _ => format!("line {}: {problem}", line - 1),
        },
        _ => format!("line {line}: {info}"),
    }
}

/// A collection that has been opened and not yet closed.
enum Open {
    List { items: Vec<Value>, anchor: usize },
    Map { entries: Entries, key: Option<Key>, anchor: usize },
}

enum Key {
    Name(String),
    /// `<<`: the value's entries become entries of this map.
    Merge,
}

struct Reader {
    numbers: Numbers,
    stack: Vec<Open>,
    anchors: HashMap<usize, Value>,
    nodes: usize,
    root: Option<Value>,
}

impl Reader {
    fn event(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let merges = tag.as_ref().is_some_and(|tag| tag.suffix == "merge");
                let value = self.scalar(&text, style, tag.as_deref())?;
                if self.wants_key() {
                    let key = if (plain || merges) && text == "<<" {
                        Key::Merge
                    } else {
                        Key::Name(key_name(&value, &text, plain)?)
                    };
                    self.remember(anchor, &value);
                    return self.set_key(key);
                }
                self.finish(value, anchor)
            }
            Event::SequenceStart(anchor, _) => self.open(Open::List { items: Vec::new(), anchor }),
            Event::MappingStart(anchor, _) => {
                self.open(Open::Map { entries: Entries::new(), key: None, anchor })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Open::List { items, anchor }) => self.finish(Value::list(items), anchor),
                Some(Open::Map { entries, anchor, .. }) => self.finish(Value::map(entries), anchor),
                None => Ok(()),
            },
            Event::Alias(anchor) => self.alias(anchor),
            _ => Ok(()),
        }
    }

    fn open(&mut self, open: Open) -> Result<(), String> {
        if self.wants_key() {
            return Err("a map key must be a scalar".into());
        }
        if self.stack.len() >= MAX_DATA_DEPTH {
            return Err(format!("nested deeper than {MAX_DATA_DEPTH} levels"));
        }
        self.stack.push(open);
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

    fn remember(&mut self, anchor: usize, value: &Value) {
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
    }

    fn alias(&mut self, anchor: usize) -> Result<(), String> {
        let value = self.anchors.get(&anchor).cloned().ok_or("an anchor's value contains itself")?;
        if self.wants_key() {
            let text = match &value {
                Value::String(text) => text.to_string(),
                _ => String::new(),
            };
            let name = key_name(&value, &text, false)?;
            return self.set_key(Key::Name(name));
        }
        let copy = self.copy(&value, self.stack.len())?;
        self.finish(copy, 0)
    }

    /// A copy that shares nothing: `set` on one use of an anchor must not change the others.
    fn copy(&mut self, value: &Value, depth: usize) -> Result<Value, String> {
        if depth > MAX_DATA_DEPTH {
            return Err(format!("nested deeper than {MAX_DATA_DEPTH} levels"));
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
    fn finish(&mut self, value: Value, anchor: usize) -> Result<(), String> {
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
                None => return Err("a map key must be a scalar".into()),
            },
        }
        Ok(())
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
        let tag = tag.map(|tag| (tag.is_yaml_core_schema(), tag.suffix.as_str()));
        let resolved = match tag {
            None if style == ScalarStyle::Plain => scalar::resolve(text),
            None | Some((true, "str")) => Scalar::String,
            Some((true, "binary")) => return binary(text),
            Some((true, "timestamp")) => match scalar::resolve(text) {
                Scalar::Timestamp => Scalar::Timestamp,
                _ => return Err(format!("cannot decode `{text}` as a !!timestamp")),
            },
            Some((true, kind)) => tagged(text, kind)?,
            // Tags that go-yaml does not know leave the text as it is.
            Some((false, _)) => Scalar::String,
        };
        self.value(text, resolved)
    }

    fn value(&self, text: &str, scalar: Scalar) -> Result<Value, String> {
        let exact = self.numbers == Numbers::Exact;
        Ok(match scalar {
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
}

fn tagged(text: &str, kind: &str) -> Result<Scalar, String> {
    let resolved = scalar::resolve(text);
    let fits = match (&resolved, kind) {
        (Scalar::Int(value), "float") => return Ok(Scalar::Float(*value as f64)),
        (Scalar::Null, "null") | (Scalar::Bool(_), "bool") | (Scalar::Float(_), "float") => true,
        (Scalar::Int(_) | Scalar::Uint(_), "int") => true,
        (_, "null" | "bool" | "float" | "int") => false,
        _ => return Ok(Scalar::String),
    };
    fits.then_some(resolved).ok_or_else(|| format!("cannot decode `{text}` as a !!{kind}"))
}

fn binary(text: &str) -> Result<Value, String> {
    let packed: String = text.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(packed)
        .map_err(|_| "!!binary value contains invalid base64 data")?;
    Ok(Value::string(String::from_utf8_lossy(&bytes)))
}

/// The name that a key has in JSON.
fn key_name(value: &Value, text: &str, plain: bool) -> Result<String, String> {
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

fn merge(entries: &mut Entries, value: &Value) -> Result<(), String> {
    let wanted = || "map merge requires map or sequence of maps as the value".to_owned();
    match value {
        Value::Map(map) => entries.extend(map.entries()),
        Value::List(list) => {
            // Earlier maps take precedence.
            for item in list.items().iter().rev() {
                let Value::Map(map) = item else {
                    return Err(wanted());
                };
                entries.extend(map.entries());
            }
        }
        _ => return Err(wanted()),
    }
    Ok(())
}
