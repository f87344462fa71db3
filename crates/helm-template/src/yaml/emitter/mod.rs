//! Writes YAML exactly as go-yaml does: its quoting, its folding at 80 columns, its order of keys.

mod text;

use super::scalar;
use super::sort::sort_keys;
use super::style::{self, Style, Version};
use crate::golang::float;
use crate::json;
use crate::limits::{MAX_DATA_DEPTH, MAX_LENGTH};
use crate::value::Value;

/// How far a level is indented.
const INDENT: usize = 2;
/// Longer keys cannot be read back from the intermediate JSON.
const MAX_KEY: usize = 1024;

/// `toYaml`; an error if the value has no YAML form.
pub(crate) fn to_yaml(value: &Value) -> Result<String, String> {
    emit(value, Version::V2)
}

/// Writes a value and a final line break.
pub(super) fn emit(value: &Value, version: Version) -> Result<String, String> {
    let mut emitter = Emitter { out: String::new(), column: 0, whitespace: true, indention: true, version };
    emitter.node(value, None, Place::Root, 0)?;
    emitter.indent(0);
    Ok(emitter.out)
}

/// The context of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    Value,
}

struct Emitter {
    out: String,
    column: usize,
    /// The last character was white space.
    whitespace: bool,
    /// Only indentation and indicators are on this line so far.
    indention: bool,
    version: Version,
}

impl Emitter {
    /// Writes a node inside a collection that is indented by `indent`.
    fn node(
        &mut self,
        value: &Value,
        indent: Option<usize>,
        place: Place,
        depth: usize,
    ) -> Result<(), String> {
        if depth > MAX_DATA_DEPTH {
            return Err("value is nested too deeply for YAML".into());
        }
        if self.out.len() > MAX_LENGTH {
            return Err(format!("YAML is longer than the limit of {MAX_LENGTH} bytes"));
        }
        let inner = indent.map_or(0, |indent| indent + INDENT);
        match value {
            // Values that went through JSON have no nil lists or maps.
            value if value.is_any_nil() && self.version == Version::V2 => {
                self.plain("null", inner, true);
                Ok(())
            }
            Value::Map(map) if map.len() > 0 => self.map(&map.entries(), inner, depth),
            Value::Map(_) => {
                self.indicator("{}", true);
                Ok(())
            }
            Value::List(list) if list.items().is_empty() => {
                self.indicator("[]", true);
                Ok(())
            }
            Value::List(list) => {
                // A list that is a map's value is not indented further than its key, unless it
                // starts on the line of an explicit `:`.
                let after_key = place == Place::Value && !self.indention;
                let indentless = after_key && self.version == Version::V2;
                self.list(list.items(), if indentless { indent.unwrap_or(0) } else { inner }, depth)
            }
            scalar => match json::structure_fields(scalar).filter(|_| self.version == Version::V2) {
                Some(fields) => {
                    let entries: Vec<_> =
                        fields.into_iter().map(|(key, value)| (key.into(), value)).collect();
                    self.map(&entries, inner, depth)
                }
                None => self.scalar(scalar, indent.map_or(INDENT, |indent| indent + INDENT)),
            },
        }
    }

    fn list(&mut self, items: &[Value], indent: usize, depth: usize) -> Result<(), String> {
        for item in items {
            self.indent(indent);
            self.mark("-");
            self.node(item, Some(indent), Place::Item, depth + 1)?;
        }
        Ok(())
    }

    fn map(
        &mut self,
        entries: &[(std::rc::Rc<str>, Value)],
        indent: usize,
        depth: usize,
    ) -> Result<(), String> {
        let entries = entries.iter().map(|(key, value)| (key.to_string(), value));
        for (key, value) in sort_keys(entries.collect(), self.version) {
            if json::quote(&key, true).len() > MAX_KEY && self.version == Version::V2 {
                return Err("a map key is too long for YAML".into());
            }
            self.indent(indent);
            if style::is_simple_key(&key) {
                self.string(&key, indent + INDENT, true)?;
                self.indicator(":", false);
            } else {
                self.mark("?");
                self.string(&key, indent + INDENT, false)?;
                self.indent(indent);
                self.mark(":");
            }
            self.node(value, Some(indent), Place::Value, depth + 1)?;
        }
        Ok(())
    }

    fn scalar(&mut self, value: &Value, indent: usize) -> Result<(), String> {
        let text = match value {
            Value::Nil => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) | Value::Int64(value) => value.to_string(),
            Value::Uint64(value) => value.to_string(),
            Value::Float(value) => self.float(*value)?,
            Value::String(text) => return self.string(text, indent, false),
            other => match json::scalar_text(other) {
                json::Text::Bare(text) => text,
                json::Text::Quoted(text) => return self.string(&text, indent, false),
                json::Text::None => return Err("value has no YAML form".into()),
            },
        };
        self.plain(&text, indent, true);
        Ok(())
    }

    fn float(&self, value: f64) -> Result<String, String> {
        if !value.is_finite() {
            return Err(format!("unsupported value: {}", float::shortest(value)));
        }
        // Going through JSON turns whole numbers into integers.
        let text = float::json(value);
        if self.version == Version::V2 && value.fract() == 0.0 && scalar::integer(&text).is_some() {
            return Ok(if value == 0.0 { "0".into() } else { text });
        }
        Ok(float::general(value, None, 'g'))
    }

    fn string(&mut self, text: &str, indent: usize, simple_key: bool) -> Result<(), String> {
        if self.version == Version::V2 && text.contains(is_unreadable) {
            return Err("control characters are not allowed".into());
        }
        match style::choose(text, scalar::needs_quotes(text), simple_key, self.version) {
            Style::Plain => self.plain(text, indent, !simple_key),
            Style::Single => self.single(text, indent, !simple_key),
            Style::Double => self.double(text, indent, !simple_key),
            Style::Literal => self.literal(text, indent),
        }
        Ok(())
    }
}

/// Characters that go-yaml refuses to read from the intermediate JSON.
fn is_unreadable(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')
}
