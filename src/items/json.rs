//! Splits JSON into items: the elements of one array, or values one after the other, as `jq` prints them.

use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};

use super::framing::{ItemSender, Splitter, Step};
use super::json_value::{decode, is_space, mistake};
use super::{Error, Position};

/// Why input that starts with an array may hold nothing else: are its elements the items, or itself?
pub(super) const AFTER_ARRAY: &str = "something follows the array";

const RECORD_SEPARATOR: u8 = 0x1e;

pub(super) struct Json {
    input: Arc<str>,
    shape: Shape,
    /// The line at which the buffer starts.
    line: u64,
    /// Elements of the array so far.
    number: u64,
    /// Bytes at the front of the buffer that have been scanned.
    seen: usize,
}

/// What the input consists of.
enum Shape {
    /// Only white space so far.
    Unknown,
    /// Values one after the other; in one of them, the parser's state in it.
    Values(Option<Inside>),
    /// An array, and the parser's state in it.
    Array(ArrayState),
}

#[derive(Clone, Copy, PartialEq)]
enum ArrayState {
    /// After `[`.
    Start,
    /// After a comma.
    Value,
    /// In a value that starts at the front of the buffer.
    Inside(Inside),
    /// After a value.
    Comma,
    /// After `]`.
    End,
}

/// In a value that starts at the front of the buffer.
#[derive(Clone, Copy, PartialEq, Default)]
struct Inside {
    depth: u32,
    in_string: bool,
    escaped: bool,
}

impl Json {
    pub(super) fn new(input: Arc<str>) -> Self {
        Self { input, shape: Shape::Unknown, line: 1, number: 0, seen: 0 }
    }

    fn at_line(&self, line: u64) -> Position {
        Position::Record { input: self.input.clone(), number: line }
    }

    fn element(&self, line: u64) -> Position {
        Position::Element { input: self.input.clone(), line, number: self.number }
    }

    fn skip_space(&mut self, buffer: &mut BytesMut) {
        let space = buffer.iter().take_while(|byte| is_space(**byte)).count();
        self.line += newlines(&buffer[..space]);
        buffer.advance(space);
    }

    fn split_values(
        &mut self,
        mut inside: Option<Inside>,
        buffer: &mut BytesMut,
        at_end: bool,
        out: &mut ItemSender,
    ) -> Step {
        loop {
            if inside.is_none() {
                self.skip_space(buffer);
                self.seen = 0;
            }
            match buffer.first() {
                None => break,
                // `jq --seq` and RFC 7464 put it before each value.
                Some(&RECORD_SEPARATOR) if inside.is_none() => {
                    buffer.advance(1);
                    continue;
                }
                Some(&byte @ (b',' | b':' | b']' | b'}')) => return self.unexpected(byte),
                Some(_) => {}
            }
            match self.scan(inside.unwrap_or_default(), buffer, at_end) {
                Ok(end) => self.push_value(buffer.split_to(end).freeze(), out)?,
                Err(state) => {
                    self.shape = Shape::Values(Some(state));
                    return self.check_size(buffer, out);
                }
            }
            inside = None;
        }
        self.shape = Shape::Values(None);
        Ok(())
    }

    fn push_value(&mut self, value: Bytes, out: &mut ItemSender) -> Step {
        let line = self.line;
        self.line += newlines(&value);
        match decode(&value) {
            Ok(body) => out.push(body, self.at_line(line)),
            Err((0, reason)) => Err(Error::Json { position: self.at_line(line), reason }.into()),
            Err((below, reason)) => {
                let reason = format!("{reason}, in the value that starts in line {line}");
                Err(Error::Json { position: self.at_line(line + below), reason }.into())
            }
        }
    }

    fn split_array(
        &mut self,
        mut state: ArrayState,
        buffer: &mut BytesMut,
        at_end: bool,
        out: &mut ItemSender,
    ) -> Step {
        loop {
            if !matches!(state, ArrayState::Inside(_)) {
                self.skip_space(buffer);
            }
            let Some(&byte) = buffer.first() else { break };
            state = match (state, byte) {
                (ArrayState::Start | ArrayState::Comma, b']') => {
                    buffer.advance(1);
                    ArrayState::End
                }
                (ArrayState::Comma, b',') => {
                    buffer.advance(1);
                    ArrayState::Value
                }
                (ArrayState::Start | ArrayState::Value, b',' | b']' | b'}') => return self.unexpected(byte),
                (ArrayState::Start | ArrayState::Value, _) => {
                    self.seen = 0;
                    ArrayState::Inside(Inside::default())
                }
                (ArrayState::Inside(inside), _) => match self.scan(inside, buffer, at_end) {
                    Ok(end) => {
                        self.push_element(buffer.split_to(end).freeze(), out)?;
                        ArrayState::Comma
                    }
                    Err(inside) => {
                        self.shape = Shape::Array(ArrayState::Inside(inside));
                        return self.check_size(buffer, out);
                    }
                },
                (ArrayState::Comma, _) => return self.unexpected(byte),
                (ArrayState::End, _) => {
                    let (position, reason) = (self.at_line(self.line), AFTER_ARRAY.to_owned());
                    return Err(Error::Json { position, reason }.into());
                }
            };
        }
        self.shape = Shape::Array(state);
        if at_end && state != ArrayState::End {
            let reason = "the array is not closed".to_owned();
            return Err(Error::Json { position: self.at_line(self.line), reason }.into());
        }
        Ok(())
    }

    /// Scans a value. Returns where it ends, or the parser's state if the buffer ends before it does.
    fn scan(&mut self, inside: Inside, buffer: &[u8], at_end: bool) -> Result<usize, Inside> {
        let Inside { mut depth, mut in_string, mut escaped } = inside;
        for (index, &byte) in buffer.iter().enumerate().skip(self.seen) {
            if in_string {
                match byte {
                    // No string may hold one. Where a quote is missing, this is the line to name.
                    b'\n' => return Ok(index),
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => {
                        in_string = false;
                        if depth == 0 {
                            return Ok(index + 1);
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                // A number may be followed by another value without white space.
                b'"' | b'{' | b'[' if depth == 0 && index > 0 => return Ok(index),
                b'"' => in_string = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' | b',' if depth == 0 => return Ok(index),
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(index + 1);
                    }
                }
                _ if depth == 0 && (is_space(byte) || byte == RECORD_SEPARATOR) => return Ok(index),
                _ => {}
            }
        }
        self.seen = buffer.len();
        if at_end { Ok(buffer.len()) } else { Err(Inside { depth, in_string, escaped }) }
    }

    fn push_element(&mut self, value: Bytes, out: &mut ItemSender) -> Step {
        self.number += 1;
        let line = self.line;
        self.line += newlines(&value);
        match decode(&value) {
            Ok(body) => out.push(body, self.element(line)),
            Err((below, reason)) => Err(Error::Json { position: self.element(line + below), reason }.into()),
        }
    }

    fn unexpected(&self, byte: u8) -> Step {
        let reason = format!("unexpected {:?}", char::from(byte));
        Err(Error::Json { position: self.at_line(self.line), reason }.into())
    }

    /// Keeps an endless value from filling the memory. Escapes and white space may make the text
    /// longer than its item.
    fn check_size(&self, buffer: &[u8], out: &ItemSender) -> Step {
        if buffer.len() <= out.max_size.saturating_add(out.max_size / 2).max(1024) {
            return Ok(());
        }
        // Where a bracket is missing, everything behind it seems to be one value.
        if let Some((below, reason)) = mistake(buffer) {
            return Err(Error::Json { position: self.at_line(self.line + below), reason }.into());
        }
        Err(Error::TooLarge { position: self.at_line(self.line), limit: out.max_size }.into())
    }
}

impl Splitter for Json {
    fn split(&mut self, buffer: &mut BytesMut, at_end: bool, out: &mut ItemSender) -> Step {
        if let Shape::Unknown = self.shape {
            self.skip_space(buffer);
            match buffer.first() {
                None => return Ok(()),
                Some(b'[') => {
                    buffer.advance(1);
                    self.shape = Shape::Array(ArrayState::Start);
                }
                Some(_) => self.shape = Shape::Values(None),
            }
        }
        match self.shape {
            Shape::Array(state) => self.split_array(state, buffer, at_end, out),
            Shape::Values(inside) => self.split_values(inside, buffer, at_end, out),
            Shape::Unknown => Ok(()),
        }
    }

    fn position(&self) -> Position {
        match self.shape {
            Shape::Array(_) => self.element(self.line),
            Shape::Unknown | Shape::Values(_) => self.at_line(self.line),
        }
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
