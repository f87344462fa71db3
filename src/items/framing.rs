//! What all framings have in common: chunks of bytes in, batches of items out.

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::open::unpack;
use super::{Error, Item, Position, check};

/// Bytes that one read asks for.
const CHUNK: usize = 64 * 1024;

/// With less room than this behind what a buffer holds, the next read gets a new one.
const LEAST_ROOM: usize = 4 * 1024;

/// Items in a batch at most: bounds the memory of inputs whose items are tiny.
const BATCH_ITEMS: usize = 4096;

/// Why reading ends before the input does.
pub(super) enum Stop {
    /// The input is bad.
    Bad(Error),
    /// Nobody takes the items any more.
    Closed,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Bad(error)
    }
}

/// What the steps of reading come to.
pub(super) type Step = Result<(), Stop>;

/// Where items go.
pub(super) struct Output {
    batches_tx: mpsc::Sender<Result<Vec<Item>, Error>>,
    batch: Vec<Item>,
    pub(super) max_size: usize,
    pub(super) meter: Arc<AtomicU64>,
}

impl Output {
    pub(super) fn new(
        batches_tx: mpsc::Sender<Result<Vec<Item>, Error>>,
        max_size: usize,
        meter: Arc<AtomicU64>,
    ) -> Self {
        Self { batches_tx, batch: Vec::new(), max_size, meter }
    }

    /// Reads everything; what was read before an error goes out before the error does.
    pub(super) fn run(mut self, read: impl FnOnce(&mut Self) -> Step) {
        let result = read(&mut self);
        if self.flush().is_ok()
            && let Err(Stop::Bad(error)) = result
        {
            // A receiver that has gone wants no error either.
            self.batches_tx.blocking_send(Err(error)).ok();
        }
    }

    /// Takes an item.
    pub(super) fn push(&mut self, body: Bytes, position: Position) -> Step {
        let item = Item { body, position };
        check(&item, self.max_size)?;
        self.batch.push(item);
        if self.batch.len() >= BATCH_ITEMS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Step {
        if self.batch.is_empty() {
            return Ok(());
        }
        let next = Vec::with_capacity(self.batch.len());
        let batch = std::mem::replace(&mut self.batch, next);
        self.batches_tx.blocking_send(Ok(batch)).map_err(|_| Stop::Closed)
    }
}

/// Cuts complete items off the front of a growing buffer.
pub(super) trait Cut {
    /// Takes every item that is complete; `at_end` means that the buffer grows no more.
    fn cut(&mut self, buffer: &mut BytesMut, at_end: bool, out: &mut Output) -> Step;

    /// Where the last complete item stands.
    fn position(&self) -> Position;

    /// Reads an input to its end.
    fn read(&mut self, input: Box<dyn Read>, out: &mut Output) -> Step {
        let unreadable = |cut: &Self, source| Stop::Bad(Error::Read { position: cut.position(), source });
        let mut input = unpack(input).map_err(|source| unreadable(self, source))?;
        let mut buffer = BytesMut::new();
        loop {
            match fill(&mut buffer, &mut *input) {
                Ok(0) => return self.cut(&mut buffer, true, out),
                Ok(_) => self.cut(&mut buffer, false, out)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(unreadable(self, source)),
            }
            // A slow input's items go out as they come.
            out.flush()?;
        }
    }
}

/// Reads once, behind what the buffer holds. Small reads share a buffer: slices of it that are
/// still in use would keep a large one each.
fn fill(buffer: &mut BytesMut, input: &mut dyn Read) -> std::io::Result<usize> {
    let held = buffer.len();
    if buffer.capacity() - held < LEAST_ROOM {
        buffer.reserve(CHUNK);
    }
    let room = (buffer.capacity() - held).min(CHUNK);
    buffer.resize(held + room, 0);
    let read = input.read(&mut buffer[held..]);
    buffer.truncate(held + *read.as_ref().unwrap_or(&0));
    read
}
