//! Items, the units of work, as a stream: from arguments, files and standard input.
//!
//! An item is a sequence of bytes, at least one, of any value. A thread reads, and cuts what it
//! read into batches of slices: no allocation an item, and never the whole input in memory.

mod delimited;
mod error;
mod framing;
mod json;
mod open;
mod reader;
mod value;

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

pub use error::Error;
use workqueue_core::item::{Item, ItemSource, Position};

/// The largest item by default, in bytes: what RabbitMQ 4 accepts unless it is told otherwise
/// (`max_message_size`, 16 MiB).
pub const DEFAULT_MAX_SIZE: usize = 16 * 1024 * 1024;

/// Batches that may wait for their publisher. More would not make it faster, only larger.
const BATCHES_AHEAD: usize = 2;

/// How a file or standard input is cut into items.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Framing {
    /// Each ends with a newline; the last one may lack it.
    #[default]
    Lines,
    /// Each ends with a NUL byte, as `find -print0` writes it; the last one may lack it.
    Nul,
    /// Each ends with these bytes, at least one; the last one may lack them.
    Delimiter(Arc<[u8]>),
    /// One JSON array, or one JSON value a line. Strings become items without their quotes,
    /// everything else as compact JSON.
    Json,
}

/// Where items come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Arguments(Vec<Vec<u8>>),
    /// Files in turn; the path `-` is standard input.
    Files {
        /// The files, read one after the other.
        paths: Vec<PathBuf>,
        /// How they are cut.
        framing: Framing,
    },
}

impl Source {
    /// Looks whether all files can be read, before any of them is: of a second one that is missing
    /// one should hear before the items of the first are sent.
    ///
    /// # Errors
    /// [`Error::Open`] with the first that cannot be read.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Arguments(_) => Ok(()),
            Self::Files { paths, .. } => paths.iter().try_for_each(|path| open::check(path)),
        }
    }
}

/// A stream of items.
pub struct Items {
    batches_rx: mpsc::Receiver<Result<Vec<Item>, Error>>,
    /// What is left of the last batch, for callers that take one item at a time.
    current: std::vec::IntoIter<Item>,
    /// Bytes of files that have been read, and of all of them.
    meter: Arc<AtomicU64>,
    total: Option<u64>,
}

impl Items {
    /// Starts to read `source`; items over `max_size` bytes are refused.
    ///
    /// # Errors
    /// A bad argument is found here, before anything is read or sent.
    pub fn open(source: Source, max_size: usize) -> Result<Self, Error> {
        match source {
            Source::Arguments(arguments) => {
                let item = |(number, body)| {
                    let item = Item { body: Bytes::from(body), position: Position::Argument(number) };
                    check(&item, max_size).map(|()| item)
                };
                let items: Vec<Item> = (1..).zip(arguments).map(item).collect::<Result<_, _>>()?;
                let (_, batches_rx) = mpsc::channel(1);
                Ok(Self { batches_rx, current: items.into_iter(), meter: Arc::default(), total: None })
            }
            Source::Files { paths, framing } => {
                let total = open::total_size(&paths);
                let items = Self::spawn(move |out| reader::read_files(&paths, &framing, out), max_size);
                Ok(Self { total, ..items })
            }
        }
    }

    /// Starts to read something that is open already; `name` stands for it in messages.
    pub fn from_reader(
        input: impl Read + Send + 'static,
        name: &str,
        framing: Framing,
        max_size: usize,
    ) -> Self {
        let name = name.to_owned();
        Self::spawn(move |out| reader::read_one(Box::new(input), &name, &framing, out), max_size)
    }

    fn spawn(
        read: impl FnOnce(&mut framing::Output) -> framing::Step + Send + 'static,
        max_size: usize,
    ) -> Self {
        let (batches_tx, batches_rx) = mpsc::channel(BATCHES_AHEAD);
        // Not one of the runtime's threads: a read of a terminal cannot be cancelled.
        let meter = Arc::new(AtomicU64::new(0));
        let out = framing::Output::new(batches_tx, max_size, Arc::clone(&meter));
        std::thread::spawn(move || out.run(read));
        Self { batches_rx, current: Vec::new().into_iter(), meter, total: None }
    }

    /// The share of the input that has been read, from 0 to 1; `None` where its size is not known.
    pub fn share_read(&self) -> Option<f64> {
        let total = self.total.filter(|total| *total > 0)?;
        Some((self.meter.load(Ordering::Relaxed) as f64 / total as f64).min(1.0))
    }

    /// The next items, at least one, or `None` at the end. Safe to cancel: nothing read is lost.
    ///
    /// # Errors
    /// See [`Error`]; after one the stream is not to be used again.
    pub async fn next_batch(&mut self) -> Result<Option<Vec<Item>>, Error> {
        if self.current.len() > 0 {
            return Ok(Some(std::mem::take(&mut self.current).collect()));
        }
        self.batches_rx.recv().await.transpose()
    }
}

impl ItemSource for Items {
    type Error = Error;

    async fn next(&mut self) -> Result<Option<Item>, Error> {
        if self.current.len() == 0 {
            let Some(batch) = self.batches_rx.recv().await.transpose()? else { return Ok(None) };
            self.current = batch.into_iter();
        }
        Ok(self.current.next())
    }
}

fn check(item: &Item, limit: usize) -> Result<(), Error> {
    if item.body.is_empty() {
        return Err(Error::Empty { position: item.position.clone() });
    }
    if item.body.len() > limit {
        return Err(Error::TooLarge { position: item.position.clone(), limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
