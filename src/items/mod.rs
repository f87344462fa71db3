//! Items, the units of work, as a stream: from arguments, files and standard input.
//!
//! An item is a sequence of bytes of any value. A thread reads the input and splits it
//! into chunks of items. Items are slices of what was read: there is no allocation per item, and
//! the whole input is never in memory.

mod delimited;
mod error;
mod framing;
mod json;
mod json_value;
mod kind;
mod notes;
mod open;
mod reader;

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

pub use error::Error;
pub use notes::InputNotes;
use workqueue_core::item::{Item, ItemSource, Position};

/// The default limit for the size of an item, in bytes. It is RabbitMQ 4's default for
/// `max_message_size`, 16 MiB.
pub const DEFAULT_MAX_SIZE: usize = 16 * 1024 * 1024;

/// Chunks that may wait for the publisher. More would only take memory.
const CHUNKS_AHEAD: usize = 2;

/// How a file or standard input is split into items.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Framing {
    /// Each item ends with a newline; the last one may lack it.
    #[default]
    Lines,
    /// Each item ends with a NUL byte, as in the output of `find -print0`; the last one may lack it.
    Nul,
    /// Each item ends with these bytes, at least one; the last one may lack them.
    Delimiter(Arc<[u8]>),
    /// One JSON array, or any number of JSON values. Strings lose their quotes; all other values
    /// become compact JSON.
    Json,
}

/// What becomes of items without content: lines of white space, and what is empty in other framings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BlankLines {
    /// They are no items, and are counted.
    #[default]
    Skip,
    /// The first one ends the reading with an error.
    Refuse,
    /// They are items.
    Keep,
}

/// How files are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    pub framing: Framing,
    pub blank_lines: BlankLines,
    /// Take the bytes as they are: nothing is decompressed or stripped, and no kind of file refused.
    pub raw: bool,
}

impl From<Framing> for Reading {
    fn from(framing: Framing) -> Self {
        Self { framing, ..Self::default() }
    }
}

/// Where items come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputSource {
    Arguments(Vec<Vec<u8>>),
    /// Files that are read in this order; the path `-` is standard input.
    Files {
        paths: Vec<PathBuf>,
        reading: Reading,
    },
}

impl InputSource {
    /// Checks that all files can be read before any of them is, so that a missing second file is
    /// reported before the items of the first are sent.
    ///
    /// # Errors
    /// [`Error::Open`] with the first file that cannot be read, and [`Error::Kind`] with one of a kind
    /// that is not supported.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Arguments(_) => Ok(()),
            Self::Files { paths, reading } => {
                paths.iter().try_for_each(|path| open::check(path, reading.raw))
            }
        }
    }
}

/// A stream of items.
pub struct Items {
    chunks_rx: mpsc::Receiver<Result<Vec<Item>, Error>>,
    /// The rest of the last chunk, for callers that take one item at a time.
    current: std::vec::IntoIter<Item>,
    /// Bytes that have been read from files.
    meter: Arc<AtomicU64>,
    /// Bytes of all files; `None` if one of them is not a regular file.
    total: Option<u64>,
    notes: Arc<InputNotes>,
}

impl Items {
    /// Starts to read `source`. Items over `max_size` bytes are refused.
    ///
    /// # Errors
    /// A bad argument is reported here, before anything is read or sent.
    pub fn open(source: InputSource, max_size: usize) -> Result<Self, Error> {
        match source {
            InputSource::Arguments(arguments) => {
                let item = |(number, body)| {
                    let item = Item { body: Bytes::from(body), position: Position::Argument(number) };
                    check(&item, max_size).map(|()| item)
                };
                let items: Vec<Item> = (1..).zip(arguments).map(item).collect::<Result<_, _>>()?;
                let (_, chunks_rx) = mpsc::channel(1);
                let (meter, notes) = (Arc::default(), Arc::default());
                Ok(Self { chunks_rx, current: items.into_iter(), meter, total: None, notes })
            }
            InputSource::Files { paths, reading } => {
                let total = open::total_size(&paths);
                let items = Self::spawn(reading.blank_lines, max_size, move |out| {
                    reader::read_files(&paths, &reading, out)
                });
                Ok(Self { total, ..items })
            }
        }
    }

    /// Starts to read an open input. Messages call it `name`.
    pub fn from_reader(
        input: impl Read + Send + 'static,
        name: &str,
        reading: impl Into<Reading>,
        max_size: usize,
    ) -> Self {
        let (name, reading) = (name.to_owned(), reading.into());
        Self::spawn(reading.blank_lines, max_size, move |out| {
            reader::read_one(Box::new(input), &name, &reading, out)
        })
    }

    fn spawn(
        blank_lines: BlankLines,
        max_size: usize,
        read: impl FnOnce(&mut framing::ItemSender) -> framing::Step + Send + 'static,
    ) -> Self {
        let (chunks_tx, chunks_rx) = mpsc::channel(CHUNKS_AHEAD);
        // Not one of the runtime's threads, because a blocking read from a terminal cannot be cancelled.
        let meter = Arc::new(AtomicU64::new(0));
        let notes = Arc::new(InputNotes::default());
        let sent = (Arc::clone(&meter), Arc::clone(&notes));
        let out = framing::ItemSender::new(chunks_tx, max_size, blank_lines, sent);
        std::thread::spawn(move || out.run(read));
        Self { chunks_rx, current: Vec::new().into_iter(), meter, total: None, notes }
    }

    /// What was noticed about the input so far.
    pub fn notes(&self) -> Arc<InputNotes> {
        Arc::clone(&self.notes)
    }

    /// The share of the input that has been read, from 0 to 1; `None` if its size is unknown.
    pub fn share_read(&self) -> Option<f64> {
        let total = self.total.filter(|total| *total > 0)?;
        Some((self.meter.load(Ordering::Relaxed) as f64 / total as f64).min(1.0))
    }

    /// The next items, at least one, or `None` at the end. Cancel-safe: nothing read is lost.
    ///
    /// # Errors
    /// See [`Error`]. Do not use the stream after an error.
    pub async fn next_chunk(&mut self) -> Result<Option<Vec<Item>>, Error> {
        if self.current.len() > 0 {
            return Ok(Some(std::mem::take(&mut self.current).collect()));
        }
        self.chunks_rx.recv().await.transpose()
    }
}

impl ItemSource for Items {
    type Error = Error;

    async fn next(&mut self) -> Result<Option<Item>, Error> {
        if self.current.len() == 0 {
            let Some(chunk) = self.chunks_rx.recv().await.transpose()? else { return Ok(None) };
            self.current = chunk.into_iter();
        }
        Ok(self.current.next())
    }
}

fn check(item: &Item, limit: usize) -> Result<(), Error> {
    if item.body.is_empty() {
        return Err(Error::Empty { position: item.position.clone() });
    }
    check_size(item, limit)
}

fn check_size(item: &Item, limit: usize) -> Result<(), Error> {
    if item.body.len() > limit {
        return Err(Error::TooLarge { position: item.position.clone(), limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
