//! Outputs that wait for their turn, in a file: memory holds only where each of them is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, cannot_write};
use workqueue_core::ledger::ItemId;
use workqueue_core::names::random_suffix;
use workqueue_core::output::{OutputEntry, to_message};
use workqueue_core::record::Status;

/// Bytes of the file that may be of no use any more.
const MOST_DEAD: u64 = 256 << 20;

/// What waits, by number.
pub(crate) struct Spool {
    path: PathBuf,
    file: File,
    end: u64,
    waiting: BTreeMap<u32, Place>,
    /// Bytes of what waits.
    live: u64,
    /// Whether nobody else sees the file.
    is_temporary: bool,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    at: u64,
    size: usize,
    status: Status,
}

impl Spool {
    /// A spool, with what an earlier process has left in its file.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path);
        let file = file.map_err(|source| cannot_write(path, source))?;
        let mut spool = Self {
            path: path.to_owned(),
            file,
            end: 0,
            waiting: BTreeMap::new(),
            live: 0,
            is_temporary: false,
        };
        spool.recover().map_err(|source| cannot_write(path, source))?;
        Ok(spool)
    }

    /// A spool in a file that nobody else sees, and that goes with the process.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub(crate) fn temporary() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("workqueue-{}", random_suffix(16)));
        let spool = Self::open(&path)?;
        std::fs::remove_file(&path).map_err(|source| cannot_write(&path, source))?;
        Ok(Self { is_temporary: true, ..spool })
    }

    /// Finds what is in the file, entry by entry. What a crash has cut off at its end is dropped: it was not
    /// acknowledged, and comes again.
    fn recover(&mut self) -> std::io::Result<()> {
        const BLOCK: usize = 1 << 20;
        let (mut buffer, reader) = (Vec::new(), self.file.try_clone()?);
        loop {
            let before = buffer.len();
            (&reader).take(BLOCK as u64).read_to_end(&mut buffer)?;
            let mut used = 0;
            while let Some((entry, size)) = OutputEntry::read(&buffer[used..]).map_err(damaged)? {
                if let Some(number) = number_of(&entry.id) {
                    self.insert(number, Place { at: self.end, size, status: entry.status });
                }
                (used, self.end) = (used + size, self.end + size as u64);
            }
            buffer.drain(..used);
            if buffer.len() + used == before {
                break;
            }
        }
        self.file.set_len(self.end)
    }

    fn insert(&mut self, number: u32, place: Place) {
        // The first one counts, but done beats failed.
        let earlier = self.waiting.get(&number).copied();
        if earlier.is_some_and(|earlier| earlier.status == Status::Done || place.status == Status::Failed) {
            return;
        }
        self.waiting.insert(number, place);
        self.live += place.size as u64;
        self.live -= earlier.map_or(0, |earlier| earlier.size as u64);
    }

    /// How an item that waits has ended.
    pub(crate) fn status(&self, number: u32) -> Option<Status> {
        self.waiting.get(&number).map(|place| place.status)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// Adds an output. It is safe once [`sync`](Self::sync) returns.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn put(&mut self, number: u32, entry: &OutputEntry) -> Result<(), Error> {
        let bytes = to_message(std::slice::from_ref(entry));
        let written = self.file.seek(SeekFrom::Start(self.end)).and_then(|_| self.file.write_all(&bytes));
        if let Err(source) = written {
            // A part of it must not be taken for the start of the next one.
            self.file.set_len(self.end).ok();
            return Err(cannot_write(&self.path, source));
        }
        self.insert(number, Place { at: self.end, size: bytes.len(), status: entry.status });
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Makes what was added survive a crash of the machine.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|source| cannot_write(&self.path, source))
    }

    /// The first of those that wait.
    pub(crate) fn first(&self) -> Option<u32> {
        self.waiting.keys().next().copied()
    }

    /// Reads an output.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn get(&self, number: u32) -> Result<Option<OutputEntry>, Error> {
        let Some(place) = self.waiting.get(&number) else { return Ok(None) };
        let failed = |source| cannot_write(&self.path, source);
        let (mut bytes, mut file) = (vec![0; place.size], &self.file);
        file.seek(SeekFrom::Start(place.at)).and_then(|_| file.read_exact(&mut bytes)).map_err(failed)?;
        match OutputEntry::read(&bytes) {
            Ok(Some((entry, _))) if number_of(&entry.id) == Some(number) => Ok(Some(entry)),
            _ => Err(failed(damaged("another output is in its place"))),
        }
    }

    /// Forgets an output. The file shrinks from time to time.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn forget(&mut self, number: u32) -> Result<(), Error> {
        if let Some(place) = self.waiting.remove(&number) {
            self.live -= place.size as u64;
        }
        if self.waiting.is_empty() && self.end > 0 {
            self.end = 0;
            return self.file.set_len(0).map_err(|source| cannot_write(&self.path, source));
        }
        if self.end - self.live > MOST_DEAD.max(self.live) { self.compact() } else { Ok(()) }
    }

    /// Copies what waits into a new file.
    fn compact(&mut self) -> Result<(), Error> {
        let draft = self.path.with_extension("tmp");
        let mut fresh = if self.is_temporary { Self::temporary()? } else { Self::empty(&draft)? };
        let numbers: Vec<u32> = self.waiting.keys().copied().collect();
        for number in numbers {
            if let Some(entry) = self.get(number)? {
                fresh.put(number, &entry)?;
            }
        }
        fresh.sync()?;
        if !self.is_temporary {
            std::fs::rename(&draft, &self.path).map_err(|source| cannot_write(&self.path, source))?;
            fresh.path = std::mem::take(&mut self.path);
        }
        *self = fresh;
        Ok(())
    }

    /// A spool in a new file.
    fn empty(path: &Path) -> Result<Self, Error> {
        // One that a crash has left is of no use.
        std::fs::remove_file(path).ok();
        Self::open(path)
    }

    /// Deletes the file.
    pub(crate) fn remove(self) {
        if !self.is_temporary {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

/// A file that is not as it was written. What is in it may be the only copy of an output.
fn damaged(what: impl std::fmt::Display) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, format!("it is damaged: {what}"))
}

/// The number in an id, `BATCH.N` or `N`.
fn number_of(id: &str) -> Option<u32> {
    ItemId::parse(id).map(|item| item.number).or_else(|| id.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u32, size: usize) -> OutputEntry {
        OutputEntry {
            id: format!("k2x9bcdf.{number}"),
            status: Status::Done,
            item: None,
            written: size as u64,
            output: vec![b'\n'; size],
        }
    }

    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("workqueue-spool-{}-{name}", std::process::id()));
        std::fs::remove_file(&path).ok();
        path
    }

    #[test]
    fn what_waits_survives_the_process_and_what_was_cut_off_does_not() {
        let path = path("cut");
        let mut spool = Spool::open(&path).expect("writable");
        for (number, size) in [(7, 3 << 20), (3, 0), (5, 10)] {
            spool.put(number, &entry(number, size)).expect("writable");
        }
        let whole = std::fs::read(&path).expect("readable");
        drop(spool);
        std::fs::write(&path, &whole[..whole.len() - 1]).expect("writable");
        let mut spool = Spool::open(&path).expect("readable");
        assert_eq!((spool.waiting.len(), spool.first(), spool.status(5)), (2, Some(3), None));
        spool.put(5, &entry(5, 10)).expect("writable");
        for (number, size) in [(3, 0), (5, 10), (7, 3 << 20)] {
            assert_eq!(spool.get(number).expect("readable"), Some(entry(number, size)));
            spool.forget(number).expect("writable");
        }
        assert_eq!(std::fs::metadata(&path).expect("it is there").len(), 0, "nothing waits");
        spool.remove();
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_an_empty_one() {
        let path = path("damaged");
        let mut spool = Spool::open(&path).expect("writable");
        spool.put(3, &entry(3, 100)).expect("writable");
        let whole = std::fs::read(&path).expect("readable");
        let damaged = [&b"no entry\n"[..], &whole].concat();
        std::fs::write(&path, &damaged).expect("writable");
        assert!(Spool::open(&path).is_err());
        assert_eq!(std::fs::read(&path).expect("readable"), damaged, "it is as it was");
        // Somebody else has written into it.
        std::fs::write(&path, to_message(&[entry(4, 100)])).expect("writable");
        assert!(spool.get(3).is_err());
        spool.remove();
    }

    #[test]
    fn a_file_of_what_is_gone_is_written_again() {
        let path = path("compact");
        let mut spool = Spool::open(&path).expect("writable");
        spool.put(1_000, &entry(1_000, 10)).expect("writable");
        for number in 1..=20 {
            spool.put(number, &entry(number, 14 << 20)).expect("writable");
            spool.forget(number).expect("writable");
        }
        assert!(std::fs::metadata(&path).expect("it is there").len() < MOST_DEAD);
        assert_eq!(spool.get(1_000).expect("readable"), Some(entry(1_000, 10)));
        spool.remove();
    }
}
