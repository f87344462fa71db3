//! The syntax of `--set`: `a.b=1,list[0]=x,names={x,y}`.

use crate::json;
use crate::limits::MAX_FILE;
use crate::value::{Entries, Map, Value};

/// The largest index of a list.
const MAX_INDEX: usize = 65_536;
/// How many dots a path may have.
const MAX_LEVEL: usize = 30;

/// How values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Numbers, booleans and null are recognized.
    Typed,
    Strings,
    /// Paths of files to read.
    Files,
    Json,
}

impl Mode {
    pub(super) fn flag(self) -> &'static str {
        match self {
            Self::Typed => "--set",
            Self::Strings => "--set-string",
            Self::Files => "--set-file",
            Self::Json => "--set-json",
        }
    }
}

/// Sets the values of one argument.
pub(super) fn parse(argument: &str, target: &Map, mode: Mode) -> Result<(), String> {
    let mut parser = Parser { rest: argument, mode };
    while parser.key(target, 0)? == Step::More {}
    Ok(())
}

/// Whether there is more to read of the argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    More,
    End,
}

struct Parser<'a> {
    rest: &'a str,
    mode: Mode,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn skip(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Reads up to and including one of the stops; a backslash escapes it.
    fn until(&mut self, stops: &str) -> (String, Option<char>) {
        let mut text = String::new();
        loop {
            match self.next() {
                None => return (text, None),
                Some('\\') if !stops.contains('\\') => match self.next() {
                    Some(c) => text.push(c),
                    None => return (text, None),
                },
                Some(c) if stops.contains(c) => return (text, Some(c)),
                Some(c) => text.push(c),
            }
        }
    }

    /// Reads one `key=value`, or one step of a path.
    fn key(&mut self, data: &Map, level: usize) -> Result<Step, String> {
        let (key, stop) = self.until("=[,.");
        match stop {
            None if key.is_empty() => Ok(Step::End),
            None => Err(format!("key {key:?} has no value")),
            Some('[') => {
                let Some(index) = self.index()? else {
                    return Ok(Step::End);
                };
                let list = match data.get(&key) {
                    None => Vec::new(),
                    Some(Value::List(list)) => list.items().to_vec(),
                    Some(_) => return Err(format!("unable to parse key: {key:?} is not a list")),
                };
                let (list, step) = self.item(list, index, level)?;
                set(data, key, Value::list(list));
                Ok(step)
            }
            Some('=') => {
                let (value, step) = self.value()?;
                set(data, key, value);
                Ok(step)
            }
            Some(',') => Err(format!("key {key:?} has no value (cannot end with ,)")),
            Some(_) => self.nested_key(data, key, level + 1),
        }
    }

    /// Reads what follows a dot.
    fn nested_key(&mut self, data: &Map, key: String, level: usize) -> Result<Step, String> {
        if level > MAX_LEVEL {
            return Err(format!("path is nested deeper than {MAX_LEVEL} levels"));
        }
        let inner = match data.get(&key) {
            None => new_map(),
            Some(Value::Map(map)) => map,
            Some(_) => return Err(format!("unable to parse key: {key:?} is not a map")),
        };
        let step = self.key(&inner, level)?;
        if inner.len() > 0 {
            set(data, key, Value::Map(inner));
        } else if step == Step::More {
            return Err(format!("key map {key:?} has no value"));
        }
        Ok(step)
    }

    /// Reads an index; `None` if the argument ends within it, which sets nothing.
    fn index(&mut self) -> Result<Option<usize>, String> {
        let (text, stop) = self.until("]");
        if stop.is_none() {
            return Ok(None);
        }
        let index: i64 = text.parse().map_err(|_| format!("error parsing index {text:?}"))?;
        let position = usize::try_from(index);
        position.map(Some).map_err(|_| format!("negative {index} index not allowed"))
    }

    /// Reads what follows an index.
    fn item(
        &mut self,
        mut list: Vec<Value>,
        index: usize,
        level: usize,
    ) -> Result<(Vec<Value>, Step), String> {
        let (extra, stop) = self.until("[.=");
        if !extra.is_empty() {
            return Err(format!("unexpected data at end of array index: {extra:?}"));
        }
        let value = match stop {
            None => None,
            Some('=') => Some(self.value()?.0),
            Some('[') => self.inner_list(list.get(index), index, level)?,
            Some(_) => {
                let inner = match list.get(index) {
                    Some(Value::Map(map)) => map.clone(),
                    _ => new_map(),
                };
                // A map replaces any other value even if nothing follows.
                if let Some(item) = list.get_mut(index) {
                    *item = Value::Map(inner.clone());
                }
                (self.key(&inner, level)? != Step::End).then_some(Value::Map(inner))
            }
        };
        let Some(value) = value else {
            return Ok((list, Step::End));
        };
        if index > MAX_INDEX {
            return Err(format!("index of {index} is greater than {MAX_INDEX}"));
        }
        if list.len() <= index {
            list.resize(index + 1, Value::Nil);
        }
        list[index] = value;
        Ok((list, Step::More))
    }

    /// Reads an index of a list within a list, and what follows; `None` if it sets nothing.
    fn inner_list(
        &mut self,
        old: Option<&Value>,
        index: usize,
        level: usize,
    ) -> Result<Option<Value>, String> {
        let Some(inner_index) = self.index()? else {
            return Ok(None);
        };
        let inner = match old {
            None | Some(Value::Nil) => Vec::new(),
            Some(Value::List(inner)) => inner.items().to_vec(),
            Some(_) => return Err(format!("item {index} is not a list")),
        };
        let (inner, step) = self.item(inner, inner_index, level)?;
        Ok((step != Step::End).then(|| Value::list(inner)))
    }

    fn value(&mut self) -> Result<(Value, Step), String> {
        if self.mode == Mode::Json {
            return self.json_value().map(|value| (value, Step::More));
        }
        if self.rest.is_empty() {
            return Ok(("".into(), Step::End));
        }
        if self.skip('{') {
            return self.braces().map(|list| (list, Step::More));
        }
        let (text, _) = self.until(",");
        Ok((self.typed(text)?, Step::More))
    }

    /// The items of `{a,b}`.
    fn braces(&mut self) -> Result<Value, String> {
        let mut items = Vec::new();
        loop {
            let (text, stop) = self.until(",}");
            match stop {
                None => return Err("list must terminate with '}'".into()),
                Some('}') => {
                    self.skip(',');
                    items.push(self.typed(text)?);
                    return Ok(Value::list(items));
                }
                Some(_) => items.push(self.typed(text)?),
            }
        }
    }

    /// A JSON value; only spaces mean null.
    fn json_value(&mut self) -> Result<Value, String> {
        if self.separator() {
            return Ok(Value::Nil);
        }
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter();
        let value: serde_json::Value = match values.next() {
            Some(value) => value.map_err(|error| error.to_string())?,
            None => return Err("missing JSON value".into()),
        };
        self.rest = &self.rest[values.byte_offset()..];
        self.separator();
        Ok(json::from_serde(value))
    }

    /// Skips spaces and a comma after them; returns whether the value is missing.
    fn separator(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        self.rest.is_empty() || self.skip(',')
    }

    fn typed(&self, text: String) -> Result<Value, String> {
        match self.mode {
            Mode::Typed => Ok(typed(text)),
            Mode::Strings | Mode::Json => Ok(text.into()),
            Mode::Files => read_file(&text),
        }
    }
}

fn typed(text: String) -> Value {
    match text.to_ascii_lowercase().as_str() {
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        "null" => return Value::Nil,
        "0" => return Value::Int64(0),
        _ => {}
    }
    // A leading zero makes it a string, such as a mode or a postal code.
    if !text.starts_with('0')
        && let Ok(number) = text.parse()
    {
        return Value::Int64(number);
    }
    text.into()
}

fn read_file(path: &str) -> Result<Value, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    if bytes.len() > MAX_FILE {
        return Err(format!("{path} is larger than the limit of {MAX_FILE} bytes"));
    }
    Ok(Value::string_of_bytes(bytes))
}

fn new_map() -> Map {
    Map::new(Default::default(), Entries::new())
}

/// Sets a value; an empty key sets nothing.
fn set(data: &Map, key: String, value: Value) {
    if !key.is_empty() {
        data.insert(key, value);
    }
}
