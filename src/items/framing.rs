//! What all framings have in common: they read bytes and send chunks of items.

use std::io::{ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::{BlankLines, Error, InputNotes, Item, Position, check_size};

/// Bytes that one read requests.
const READ_SIZE: usize = 64 * 1024;

/// With less free capacity than this at the end of a buffer, the next read gets a new buffer.
const LEAST_ROOM: usize = 4 * 1024;

/// Maximum items in a chunk: bounds the memory for inputs with tiny items.
const CHUNK_ITEMS: usize = 4096;

/// Why reading stops before the end of the input.
pub(super) enum Stop {
    Bad(Error),
    /// The receiver is gone.
    Closed,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Bad(error)
    }
}

pub(super) type Step = Result<(), Stop>;

/// Collects items into chunks and sends them.
pub(super) struct ItemSender {
    chunks_tx: mpsc::Sender<Result<Vec<Item>, Error>>,
    chunk: Vec<Item>,
    pub(super) max_size: usize,
    pub(super) meter: Arc<AtomicU64>,
    blank_lines: BlankLines,
    notes: Arc<InputNotes>,
}

impl ItemSender {
    pub(super) fn new(
        chunks_tx: mpsc::Sender<Result<Vec<Item>, Error>>,
        max_size: usize,
        blank_lines: BlankLines,
        (meter, notes): (Arc<AtomicU64>, Arc<InputNotes>),
    ) -> Self {
        Self { chunks_tx, chunk: Vec::new(), max_size, meter, blank_lines, notes }
    }

    /// Runs `read` to its end. Items read before an error are sent before the error. A panic is one:
    /// a channel that just closes would look like the end of the input.
    pub(super) fn run(mut self, read: impl FnOnce(&mut Self) -> Step) {
        let result = catch_unwind(AssertUnwindSafe(|| read(&mut self)));
        let result = result.unwrap_or(Err(Stop::Bad(Error::Panicked)));
        if self.flush().is_ok()
            && let Err(Stop::Bad(error)) = result
        {
            // A receiver that is gone needs no error either.
            self.chunks_tx.blocking_send(Err(error)).ok();
        }
    }

    pub(super) fn push(&mut self, body: Bytes, position: Position) -> Step {
        if body.is_empty() {
            match self.blank_lines {
                BlankLines::Skip => {
                    self.notes.count_blank();
                    return Ok(());
                }
                BlankLines::Refuse => return Err(Error::Empty { position }.into()),
                BlankLines::Keep => {}
            }
        }
        let item = Item { body, position };
        check_size(&item, self.max_size)?;
        self.chunk.push(item);
        if self.chunk.len() >= CHUNK_ITEMS { self.flush() } else { Ok(()) }
    }

    /// A line of text: one of white space only is blank, and one that ends with CR is noted.
    pub(super) fn push_line(&mut self, line: Bytes, position: Position) -> Step {
        if self.blank_lines != BlankLines::Keep && line.trim_ascii().is_empty() {
            return self.push(Bytes::new(), position);
        }
        if line.ends_with(b"\r") {
            self.notes.found_crlf(&position);
        }
        self.push(line, position)
    }

    fn flush(&mut self) -> Step {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let next = Vec::with_capacity(self.chunk.len());
        let chunk = std::mem::replace(&mut self.chunk, next);
        self.chunks_tx.blocking_send(Ok(chunk)).map_err(|_| Stop::Closed)
    }
}

/// Splits complete items off the front of a growing buffer.
pub(super) trait Splitter {
    /// Takes every complete item. `at_end` means that no more input follows.
    fn split(&mut self, buffer: &mut BytesMut, at_end: bool, out: &mut ItemSender) -> Step;

    /// The position of the last complete item.
    fn position(&self) -> Position;

    /// Reads input to its end.
    fn read(&mut self, mut input: Box<dyn Read>, out: &mut ItemSender) -> Step {
        let unreadable = |cut: &Self, source| Stop::Bad(Error::Read { position: cut.position(), source });
        let mut buffer = BytesMut::new();
        loop {
            match fill(&mut buffer, &mut *input) {
                Ok(0) => return self.split(&mut buffer, true, out),
                Ok(_) => self.split(&mut buffer, false, out)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(unreadable(self, source)),
            }
            // Items of slow input are sent as they arrive.
            out.flush()?;
        }
    }
}

/// Reads once and appends to the buffer. Small reads share a buffer, since each slice that is still
/// in use keeps its whole buffer alive.
fn fill(buffer: &mut BytesMut, input: &mut dyn Read) -> std::io::Result<usize> {
    let held = buffer.len();
    if buffer.capacity() - held < LEAST_ROOM {
        buffer.reserve(READ_SIZE);
    }
    let room = (buffer.capacity() - held).min(READ_SIZE);
    buffer.resize(held + room, 0);
    let read = input.read(&mut buffer[held..]);
    buffer.truncate(held + *read.as_ref().unwrap_or(&0));
    read
}
