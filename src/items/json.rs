//! Splits JSON into items: the elements of one array, or one value per line.

use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};

use super::framing::{ItemSender, Splitter, Step};
use super::json_value::{decode, is_space};
use super::{Error, Position};

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
    /// One value per line.
    Lines,
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
    Inside { depth: u32, in_string: bool, escaped: bool },
    /// After a value.
    Comma,
    /// After `]`.
    End,
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

    fn split_lines(&mut self, buffer: &mut BytesMut, at_end: bool, out: &mut ItemSender) -> Step {
        while let Some(end) = memchr::memchr(b'\n', &buffer[self.seen..]) {
            let line = buffer.split_to(self.seen + end + 1).freeze();
            self.seen = 0;
            self.push_line(line, out)?;
        }
        self.seen = buffer.len();
        self.check_size(buffer, out)?;
        if at_end {
            self.push_line(buffer.split().freeze(), out)?;
        }
        Ok(())
    }

    fn push_line(&mut self, line: Bytes, out: &mut ItemSender) -> Step {
        let value = trim(&line);
        self.line += 1;
        if value.is_empty() {
            return Ok(());
        }
        let position = self.at_line(self.line - 1);
        match decode(&value) {
            Ok(body) => out.push(body, position),
            Err((_, reason)) => Err(Error::Json { position, reason }.into()),
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
            if !matches!(state, ArrayState::Inside { .. }) {
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
                    ArrayState::Inside { depth: 0, in_string: false, escaped: false }
                }
                (ArrayState::Inside { .. }, _) => match self.scan(state, buffer, at_end) {
                    Ok(end) => {
                        self.push_element(buffer.split_to(end).freeze(), out)?;
                        ArrayState::Comma
                    }
                    Err(state) => {
                        self.shape = Shape::Array(state);
                        return self.check_size(buffer, out);
                    }
                },
                (ArrayState::Comma | ArrayState::End, _) => return self.unexpected(byte),
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
    fn scan(&mut self, state: ArrayState, buffer: &[u8], at_end: bool) -> Result<usize, ArrayState> {
        let ArrayState::Inside { mut depth, mut in_string, mut escaped } = state else { return Err(state) };
        for (index, &byte) in buffer.iter().enumerate().skip(self.seen) {
            if in_string {
                match byte {
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
                b'"' => in_string = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' | b',' if depth == 0 => return Ok(index),
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(index + 1);
                    }
                }
                _ if depth == 0 && is_space(byte) => return Ok(index),
                _ => {}
            }
        }
        self.seen = buffer.len();
        if at_end { Ok(buffer.len()) } else { Err(ArrayState::Inside { depth, in_string, escaped }) }
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
                Some(_) => self.shape = Shape::Lines,
            }
        }
        match self.shape {
            Shape::Array(state) => self.split_array(state, buffer, at_end, out),
            Shape::Unknown | Shape::Lines => self.split_lines(buffer, at_end, out),
        }
    }

    fn position(&self) -> Position {
        match self.shape {
            Shape::Array(_) => self.element(self.line),
            Shape::Unknown | Shape::Lines => self.at_line(self.line - 1),
        }
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

fn trim(line: &Bytes) -> Bytes {
    let start = line.iter().take_while(|byte| is_space(**byte)).count();
    let end = line.len() - line[start..].iter().rev().take_while(|byte| is_space(**byte)).count();
    line.slice(start..end)
}
