//! Splits input at a delimiter of one or more bytes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

use super::framing::{ItemSender, Splitter, Step};
use super::{Error, Position};

/// Whether items are lines of text.
#[derive(PartialEq)]
enum Text {
    No,
    Lines,
    /// Lines, of which the last must not end with a NUL byte in the place of a newline.
    Checked,
}

/// Splits input into items that end with a delimiter. The last one may lack it.
pub(super) struct Delimited {
    finder: Finder<'static>,
    text: Text,
    input: Arc<str>,
    /// Items so far.
    number: u64,
    /// Bytes at the front of the buffer in which no delimiter starts.
    searched: usize,
    /// Where the items in the buffer end, without their delimiters. Kept to reuse the allocation.
    ends: Vec<usize>,
}

impl Delimited {
    /// `delimiter` has at least one byte.
    pub(super) fn new(delimiter: &[u8], input: Arc<str>) -> Self {
        let finder = Finder::new(delimiter).into_owned();
        Self { finder, text: Text::No, input, number: 0, searched: 0, ends: Vec::new() }
    }

    /// Lines, which are expected to be text unless they are taken as they are.
    pub(super) fn lines(input: Arc<str>, raw: bool) -> Self {
        let text = if raw { Text::Lines } else { Text::Checked };
        Self { text, ..Self::new(b"\n", input) }
    }

    fn push(&mut self, item: Bytes, out: &mut ItemSender) -> Step {
        self.number += 1;
        let position = self.position();
        if self.text == Text::No {
            return out.push(item, position);
        }
        out.push_line(item, position)
    }

    fn find_ends(&mut self, buffer: &[u8]) {
        let width = self.finder.needle().len();
        let mut from = self.searched;
        self.ends.clear();
        if let [byte] = *self.finder.needle() {
            self.ends.extend(memchr::memchr_iter(byte, &buffer[from..]).map(|at| from + at));
        } else {
            while let Some(at) = self.finder.find(&buffer[from..]) {
                self.ends.push(from + at);
                from += at + width;
            }
        }
    }
}

impl Splitter for Delimited {
    fn split(&mut self, buffer: &mut BytesMut, at_end: bool, out: &mut ItemSender) -> Step {
        let width = self.finder.needle().len();
        self.find_ends(buffer);
        if let Some(last) = self.ends.last() {
            let items = buffer.split_to(last + width).freeze();
            let mut start = 0;
            let ends = std::mem::take(&mut self.ends);
            for &end in &ends {
                self.push(items.slice(start..end), out)?;
                start = end + width;
            }
            self.ends = ends;
        }
        // A delimiter may be split across two reads.
        self.searched = buffer.len().saturating_sub(width - 1);
        if buffer.len() > out.max_size + width {
            let position = Position::Record { input: self.input.clone(), number: self.number + 1 };
            return Err(Error::TooLarge { position, limit: out.max_size }.into());
        }
        if at_end && !buffer.is_empty() {
            // As `find -print0` writes it, and text in UTF-16.
            if self.text == Text::Checked && buffer.last() == Some(&0) {
                self.number += 1;
                return Err(Error::NotText { position: self.position() }.into());
            }
            if self.text == Text::Checked && self.number == 0 && ends_with_cr_alone(buffer) {
                self.number += 1;
                return Err(Error::NoNewlines { position: self.position() }.into());
            }
            self.push(buffer.split().freeze(), out)?;
        }
        Ok(())
    }

    fn position(&self) -> Position {
        Position::Record { input: self.input.clone(), number: self.number }
    }
}

/// Whether an input without any newline has lines that end with CR: one that is not at the end.
fn ends_with_cr_alone(input: &[u8]) -> bool {
    memchr::memchr(b'\r', input).is_some_and(|at| at + 1 < input.len())
}
