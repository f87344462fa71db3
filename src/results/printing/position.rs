//! How far the outputs of a run have been printed, saved on disk after each item: whoever attaches goes on
//! there, and no item is printed twice.
//!
//! The file starts with the items that were printed, as one line of JSON. A line that begins with `+` and an
//! id follows before an item is printed, and one with `=` after it. So a process that is killed leaves at
//! most one item of which nobody knows whether it was printed, and that one is known.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, cannot_write};
use crate::queue::state_dir::state_dir;
use crate::results::written::WrittenItems;

/// Lines after which the file is written again, with one line.
const MOST_LINES: u64 = 100_000;

/// How far the printing has come.
pub(crate) struct Position {
    path: PathBuf,
    /// None if there is no directory for it.
    file: Option<File>,
    lines: u64,
    printed: WrittenItems,
    /// How many these are.
    count: u64,
    /// Whether another process has started the run, so that outputs may have gone elsewhere.
    is_attached: bool,
    /// Held for as long as this process prints.
    lock: Option<Lock>,
    /// The item that an earlier process began to print.
    in_doubt: Option<String>,
}

impl Position {
    /// The position of a run, which an `attached` process has not started.
    ///
    /// # Errors
    /// Those of [`check`](Self::check); [`Error::AlreadyCollected`] if another process on this machine prints;
    /// a file that is damaged, or cannot be read or written.
    pub(crate) fn open(run: &str, attached: bool) -> Result<Self, Error> {
        Self::open_in(&Self::check()?, run, attached)
    }

    /// Makes sure that positions can be saved on this machine, before anything is started. Returns where.
    ///
    /// # Errors
    /// [`Error::NoHome`], [`Error::NoPosition`].
    pub(crate) fn check() -> Result<PathBuf, Error> {
        let directory = state_dir().ok_or(Error::NoHome)?;
        let probe = directory.join(format!("probe-{}", std::process::id()));
        let written = std::fs::create_dir_all(&directory).and_then(|()| File::create(&probe));
        let written = written.and_then(|_| std::fs::remove_file(&probe));
        let failed = |source| Error::NoPosition { directory: directory.display().to_string(), source };
        written.map_err(failed)?;
        Ok(directory)
    }

    /// A position that is not saved, as the user wants it.
    pub(crate) fn unsaved(attached: bool) -> Self {
        Self { is_attached: attached, ..Self::nowhere() }
    }

    /// A position that is not saved.
    pub(crate) fn nowhere() -> Self {
        let (path, printed) = (PathBuf::new(), WrittenItems::default());
        Self { path, file: None, lines: 0, printed, count: 0, is_attached: false, lock: None, in_doubt: None }
    }

    pub(crate) fn open_in(directory: &Path, run: &str, attached: bool) -> Result<Self, Error> {
        let path = directory.join(format!("map-{run}"));
        let failed = |source| cannot_write(&path, source);
        std::fs::create_dir_all(directory).map_err(failed)?;
        let lock = Some(Lock::take(path.with_extension("lock"), run)?);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        let (head, in_doubt) = match text.as_slice() {
            [] => (Head { attached, printed: WrittenItems::default() }, None),
            text => read(text).map_err(|error| failed(error.into()))?,
        };
        let Head { attached: is_attached, printed } = head;
        let count = printed.len();
        let mut position = Self { path, printed, count, is_attached, lock, in_doubt, ..Self::nowhere() };
        position.rewrite()?;
        Ok(position)
    }

    /// Where it is saved; `None` if it is not.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|_| self.path.as_path())
    }

    /// Whether all outputs of the run went here, as far as this machine knows.
    pub(crate) fn is_of_the_start(&self) -> bool {
        !self.is_attached
    }

    /// The item that an earlier process began to print, and nobody knows how far it came.
    pub(crate) fn in_doubt(&self) -> Option<&str> {
        self.in_doubt.as_deref()
    }

    /// The items that were printed.
    pub(crate) fn printed(&self) -> &WrittenItems {
        &self.printed
    }

    /// How many these are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Notes that an item is about to be printed.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn begin(&mut self, id: &str) -> Result<(), Error> {
        self.append('+', id)
    }

    /// Notes that an item was printed, or that there is nothing to print of it.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub(crate) fn end(&mut self, id: &str) -> Result<(), Error> {
        self.count += u64::from(self.printed.insert(id));
        self.append('=', id)?;
        if self.lines > MOST_LINES { self.rewrite() } else { Ok(()) }
    }

    fn append(&mut self, kind: char, id: &str) -> Result<(), Error> {
        let Some(file) = &mut self.file else { return Ok(()) };
        self.lines += 1;
        let line = format!("{kind}{}\n", serde_json::Value::from(id));
        file.write_all(line.as_bytes()).map_err(|source| cannot_write(&self.path, source))
    }

    /// Writes the file again, as one line.
    fn rewrite(&mut self) -> Result<(), Error> {
        let draft = self.path.with_extension("tmp");
        let head = Head { attached: self.is_attached, printed: self.printed.clone() };
        let mut text = serde_json::to_vec(&head).unwrap_or_default();
        text.push(b'\n');
        let written = File::create(&draft).and_then(|mut file| {
            file.write_all(&text)?;
            std::fs::rename(&draft, &self.path)?;
            Ok(file)
        });
        self.file = Some(written.map_err(|source| cannot_write(&self.path, source))?);
        self.lines = 0;
        Ok(())
    }

    /// Deletes the file: everything was printed.
    pub(crate) fn remove(self) {
        if self.file.is_some() {
            std::fs::remove_file(&self.path).ok();
        }
        if let Some(lock) = self.lock {
            std::fs::remove_file(&lock.path).ok();
        }
    }
}

/// A file that one process at a time has locked.
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(path: PathBuf, run: &str) -> Result<Self, Error> {
        let opened = File::options().create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(|source| cannot_write(&path, source))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(Error::AlreadyCollected(run.to_owned())),
            // Not every file system has locks.
            Err(TryLockError::Error(error)) if error.kind() != std::io::ErrorKind::Unsupported => {
                Err(cannot_write(&path, error))
            }
            _ => Ok(Self { path, _file: file }),
        }
    }
}

/// The first line of the file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    attached: bool,
    printed: WrittenItems,
}

/// What a file says. A line that a crash has cut off was not written; the first one never is.
fn read(text: &[u8]) -> Result<(Head, Option<String>), serde_json::Error> {
    let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(&[][..], |end| &text[..end]);
    let mut lines = whole.split(|&byte| byte == b'\n');
    let mut head: Head = serde_json::from_slice(lines.next().unwrap_or_default())?;
    let mut begun = None;
    for line in lines {
        let Some((kind, id)) = line.split_first() else { continue };
        let Ok(id) = serde_json::from_slice::<String>(id) else { continue };
        if *kind == b'+' {
            begun = Some(id);
        } else {
            head.printed.insert(&id);
            begun = None;
        }
    }
    Ok((head, begun))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_found_again_and_tells_what_is_in_doubt() {
        let directory = std::env::temp_dir().join(format!("workqueue-position-{}", std::process::id()));
        let open = || Position::open_in(&directory, "h4f2c", false).expect("writable");
        let mut position = open();
        for id in ["k2x9bcdf.1", "order\n7"] {
            position.begin(id).expect("writable");
            position.end(id).expect("writable");
        }
        position.begin("k2x9bcdf.2").expect("writable");
        drop(position);
        let position = Position::open_in(&directory, "h4f2c", true).expect("writable");
        assert!(position.is_of_the_start(), "whoever continues");
        assert!(position.printed().contains("k2x9bcdf.1") && position.printed().contains("order\n7"));
        assert!(!position.printed().contains("k2x9bcdf.2"));
        assert_eq!(position.in_doubt(), Some("k2x9bcdf.2"));
        drop(position);
        let mut position = open();
        assert_eq!((position.in_doubt(), position.printed().len()), (None, 2), "it was told once");
        position.end("k2x9bcdf.2").expect("writable");
        drop(position);
        open().remove();
        assert_eq!(std::fs::read_dir(&directory).expect("it is there").count(), 0, "nothing stays");
        let position = Position::open_in(&directory, "h4f2c", true).expect("writable");
        assert!(position.printed().is_empty() && !position.is_of_the_start());
        std::fs::remove_dir_all(&directory).expect("removable");
    }

    #[test]
    fn a_line_that_was_cut_off_was_not_written() {
        let text =
            b"{\"attached\":false,\"printed\":{\"known\":{},\"others\":[]}}\n+\"a\"\n=\"a\"\n+\"b\"\n=\"b";
        let (head, in_doubt) = read(text).expect("whole");
        assert_eq!((head.printed.len(), in_doubt.as_deref()), (1, Some("b")));
    }

    #[test]
    fn one_process_prints_at_a_time_and_a_damaged_file_is_no_empty_one() {
        let directory = std::env::temp_dir().join(format!("workqueue-locked-{}", std::process::id()));
        let open = || Position::open_in(&directory, "h4f2c", false);
        let position = open().expect("writable");
        assert!(matches!(open(), Err(Error::AlreadyCollected(run)) if run == "h4f2c"));
        drop(position);
        std::fs::write(directory.join("map-h4f2c"), "{\"known\"\n").expect("writable");
        assert!(open().is_err());
        let kept = std::fs::read_to_string(directory.join("map-h4f2c")).expect("readable");
        assert_eq!(kept, "{\"known\"\n", "it is as it was");
        std::fs::remove_dir_all(&directory).expect("removable");
    }
}
