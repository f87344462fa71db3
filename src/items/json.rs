//! Cuts JSON into items: the elements of one array, or one value a line.

use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};

use super::framing::{Cut, Output, Step};
use super::value::{decode, is_space};
use super::{Error, Position};

/// The items of one JSON input.
pub(super) struct Json {
    input: Arc<str>,
    shape: Shape,
    /// The line in which the buffer starts.
    line: u64,
    /// Elements cut from the array so far.
    number: u64,
    /// Bytes at the buffer's front that the scan has seen.
    seen: usize,
}

/// What the input has turned out to be.
enum Shape {
    /// Nothing but white space so far.
    Unknown,
    /// One value a line.
    Lines,
    /// An array, at this point of it.
    Array(Point),
}

#[derive(Clone, Copy, PartialEq)]
enum Point {
    /// After `[`.
    Start,
    /// After a comma.
    Value,
    /// In a value that starts where the buffer does.
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

    fn cut_lines(&mut self, buffer: &mut BytesMut, at_end: bool, out: &mut Output) -> Step {
        while let Some(end) = memchr::memchr(b'\n', &buffer[self.seen..]) {
            let line = buffer.split_to(self.seen + end + 1).freeze();
            self.seen = 0;
            self.push_line(line, out)?;
        }
        self.seen = buffer.len();
        self.limit(buffer, out)?;
        if at_end {
            self.push_line(buffer.split().freeze(), out)?;
        }
        Ok(())
    }

    fn push_line(&mut self, line: Bytes, out: &mut Output) -> Step {
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

    fn cut_array(&mut self, mut point: Point, buffer: &mut BytesMut, at_end: bool, out: &mut Output) -> Step {
        loop {
            if !matches!(point, Point::Inside { .. }) {
                self.skip_space(buffer);
            }
            let Some(&byte) = buffer.first() else { break };
            point = match (point, byte) {
                (Point::Start | Point::Comma, b']') => {
                    buffer.advance(1);
                    Point::End
                }
                (Point::Comma, b',') => {
                    buffer.advance(1);
                    Point::Value
                }
                (Point::Start | Point::Value, b',' | b']' | b'}') => return self.unexpected(byte),
                (Point::Start | Point::Value, _) => {
                    self.seen = 0;
                    Point::Inside { depth: 0, in_string: false, escaped: false }
                }
                (Point::Inside { .. }, _) => match self.scan(point, buffer, at_end) {
                    Ok(end) => {
                        self.push_element(buffer.split_to(end).freeze(), out)?;
                        Point::Comma
                    }
                    Err(point) => {
                        self.shape = Shape::Array(point);
                        return self.limit(buffer, out);
                    }
                },
                (Point::Comma | Point::End, _) => return self.unexpected(byte),
            };
        }
        self.shape = Shape::Array(point);
        if at_end && point != Point::End {
            let reason = "the array does not end".to_owned();
            return Err(Error::Json { position: self.at_line(self.line), reason }.into());
        }
        Ok(())
    }

    /// Scans a value to its end, or to the buffer's: then tells at which point it is.
    fn scan(&mut self, point: Point, buffer: &[u8], at_end: bool) -> Result<usize, Point> {
        let Point::Inside { mut depth, mut in_string, mut escaped } = point else { return Err(point) };
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
        if at_end { Ok(buffer.len()) } else { Err(Point::Inside { depth, in_string, escaped }) }
    }

    fn push_element(&mut self, value: Bytes, out: &mut Output) -> Step {
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

    /// A value that does not end must not fill the memory. Escapes and white space may make it
    /// longer than its item.
    fn limit(&self, buffer: &[u8], out: &Output) -> Step {
        if buffer.len() <= out.max_size.saturating_add(out.max_size / 2).max(1024) {
            return Ok(());
        }
        Err(Error::TooLarge { position: self.at_line(self.line), limit: out.max_size }.into())
    }
}

impl Cut for Json {
    fn cut(&mut self, buffer: &mut BytesMut, at_end: bool, out: &mut Output) -> Step {
        if let Shape::Unknown = self.shape {
            self.skip_space(buffer);
            match buffer.first() {
                None => return Ok(()),
                Some(b'[') => {
                    buffer.advance(1);
                    self.shape = Shape::Array(Point::Start);
                }
                Some(_) => self.shape = Shape::Lines,
            }
        }
        match self.shape {
            Shape::Array(point) => self.cut_array(point, buffer, at_end, out),
            Shape::Unknown | Shape::Lines => self.cut_lines(buffer, at_end, out),
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
