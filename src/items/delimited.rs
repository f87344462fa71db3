//! Splits input at a delimiter of one or more bytes.

use std::sync::Arc;

use bytes::BytesMut;
use memchr::memmem::Finder;

use super::framing::{ItemSender, Splitter, Step};
use super::{Error, Position};

/// Splits input into items that end with a delimiter. The last one may lack it.
pub(super) struct Delimited {
    finder: Finder<'static>,
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
        Self { finder: Finder::new(delimiter).into_owned(), input, number: 0, searched: 0, ends: Vec::new() }
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
            for &end in &self.ends {
                self.number += 1;
                let position = Position::Record { input: self.input.clone(), number: self.number };
                out.push(items.slice(start..end), position)?;
                start = end + width;
            }
        }
        // A delimiter may be split across two reads.
        self.searched = buffer.len().saturating_sub(width - 1);
        if buffer.len() > out.max_size + width {
            let position = Position::Record { input: self.input.clone(), number: self.number + 1 };
            return Err(Error::TooLarge { position, limit: out.max_size }.into());
        }
        if at_end && !buffer.is_empty() {
            self.number += 1;
            out.push(buffer.split().freeze(), self.position())?;
        }
        Ok(())
    }

    fn position(&self) -> Position {
        Position::Record { input: self.input.clone(), number: self.number }
    }
}
