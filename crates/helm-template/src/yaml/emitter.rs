//! Writes YAML exactly as go-yaml does: its quoting, its folding at 80 columns, its order of keys.

use super::scalar;
use super::sort::sort_keys;
use super::style::{self, Style, Version, is_break, is_printable};
use crate::golang::float;
use crate::json;
use crate::limits::{MAX_DATA_DEPTH, MAX_LENGTH};
use crate::value::Value;

/// The column after which text is folded.
const WIDTH: usize = 80;
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
                let behind_key = place == Place::Value && !self.indention;
                let indentless = behind_key && self.version == Version::V2;
                let inner = if indentless { indent.unwrap_or(0) } else { inner };
                for item in list.items() {
                    self.indent(inner);
                    self.mark("-");
                    self.node(item, Some(inner), Place::Item, depth + 1)?;
                }
                Ok(())
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

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column = if is_break(c) { 0 } else { self.column + 1 };
    }

    /// Writes an indicator, after a space if one is needed.
    fn indicator(&mut self, text: &str, needs_whitespace: bool) {
        if needs_whitespace && !self.whitespace {
            self.put(' ');
        }
        for c in text.chars() {
            self.put(c);
        }
        self.whitespace = false;
        self.indention = false;
    }

    /// Writes an indicator that counts as indentation: `-`, `?`, `:`.
    fn mark(&mut self, text: &str) {
        let indention = self.indention;
        self.indicator(text, true);
        self.indention = indention;
    }

    /// Moves to a column on a new line, or on this one if it has only indentation.
    fn indent(&mut self, indent: usize) {
        let fresh = self.indention && (self.column < indent || (self.column == indent && self.whitespace));
        if !fresh {
            self.put('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn may_fold(&self, allowed: bool, spaces: bool) -> bool {
        allowed && !spaces && self.column > WIDTH && self.version == Version::V2
    }

    fn plain(&mut self, text: &str, indent: usize, fold: bool) {
        if !self.whitespace && !text.is_empty() {
            self.put(' ');
        }
        self.flowing(text, indent, fold, None);
    }

    fn single(&mut self, text: &str, indent: usize, fold: bool) {
        self.indicator("'", true);
        self.flowing(text, indent, fold, Some('\''));
        self.indicator("'", false);
    }

    /// The text of a plain or a single-quoted scalar.
    fn flowing(&mut self, text: &str, indent: usize, fold: bool, quote: Option<char>) {
        let (mut spaces, mut breaks) = (false, false);
        let last = text.chars().count().saturating_sub(1);
        let mut chars = text.chars().enumerate().peekable();
        while let Some((index, c)) = chars.next() {
            let next_is_space = chars.peek().is_some_and(|(_, next)| *next == ' ');
            if c == ' ' {
                let inside = quote.is_none() || (index > 0 && index < last);
                if self.may_fold(fold, spaces) && inside && !next_is_space {
                    self.indent(indent);
                } else {
                    self.put(c);
                }
                spaces = true;
            } else if is_break(c) {
                if !breaks && c == '\n' {
                    self.put('\n');
                }
                self.put(c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                if quote == Some(c) {
                    self.put(c);
                }
                self.put(c);
                self.indention = false;
                (spaces, breaks) = (false, false);
            }
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn double(&mut self, text: &str, indent: usize, fold: bool) {
        self.indicator("\"", true);
        let mut spaces = false;
        let last = text.chars().count().saturating_sub(1);
        let mut chars = text.chars().enumerate().peekable();
        while let Some((index, c)) = chars.next() {
            if c == '\u{feff}' || is_break(c) || !is_printable(c) || matches!(c, '"' | '\\') {
                self.escape(c);
                spaces = false;
            } else if c == ' ' && self.may_fold(fold, spaces) && index > 0 && index < last {
                self.indent(indent);
                if chars.peek().is_some_and(|(_, next)| *next == ' ') {
                    self.put('\\');
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = c == ' ';
            }
        }
        self.indicator("\"", false);
    }

    fn escape(&mut self, c: char) {
        let escape = match c {
            '\0' => "0".to_owned(),
            '\u{7}' => "a".to_owned(),
            '\u{8}' => "b".to_owned(),
            '\t' => "t".to_owned(),
            '\n' => "n".to_owned(),
            '\u{b}' => "v".to_owned(),
            '\u{c}' => "f".to_owned(),
            '\r' => "r".to_owned(),
            '\u{1b}' => "e".to_owned(),
            '"' | '\\' => c.to_string(),
            '\u{85}' => "N".to_owned(),
            '\u{a0}' => "_".to_owned(),
            '\u{2028}' => "L".to_owned(),
            '\u{2029}' => "P".to_owned(),
            c if c <= '\u{ff}' => format!("x{:02X}", u32::from(c)),
            c if c <= '\u{ffff}' => format!("u{:04X}", u32::from(c)),
            c => format!("U{:08X}", u32::from(c)),
        };
        self.put('\\');
        for c in escape.chars() {
            self.put(c);
        }
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.indicator("|", true);
        let first = text.chars().next();
        if first.is_some_and(|c| c == ' ' || is_break(c)) {
            self.indicator(&INDENT.to_string(), false);
        }
        let mut ending = text.chars().rev();
        let ends_in_break = ending.next().is_some_and(is_break);
        match (ends_in_break, ending.next()) {
            (false, _) => self.indicator("-", false),
            (true, before) if before.is_none_or(is_break) => self.indicator("+", false),
            _ => {}
        }
        self.put('\n');
        self.whitespace = true;
        self.indention = true;
        let mut breaks = true;
        for c in text.chars() {
            if is_break(c) {
                self.put(c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                self.put(c);
                self.indention = false;
                breaks = false;
            }
        }
    }
}

/// Characters that go-yaml refuses to read from the intermediate JSON.
fn is_unreadable(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')
}
