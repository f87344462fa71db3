//! How far the outputs of a run have been printed, saved on disk after each item: whoever attaches goes on
//! there, and no item is printed twice.
//!
//! The file starts with the items that were printed, as one line of JSON. A line that begins with `+` and an
//! id follows before an item is printed, and one with `=` after it. So a process that is killed leaves at
//! most one item of which nobody knows whether it was printed, and that one is known.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

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
    /// Whether an earlier process has left it.
    is_continued: bool,
    /// The item that an earlier process began to print.
    in_doubt: Option<String>,
}

impl Position {
    /// The position of a run.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub(crate) fn open(run: &str) -> Result<Self, Error> {
        match state_dir() {
            Some(directory) => Self::open_in(&directory, run),
            None => Ok(Self::nowhere()),
        }
    }

    /// A position that is not saved.
    pub(crate) fn nowhere() -> Self {
        let (path, printed) = (PathBuf::new(), WrittenItems::default());
        Self { path, file: None, lines: 0, printed, is_continued: false, in_doubt: None }
    }

    pub(crate) fn open_in(directory: &Path, run: &str) -> Result<Self, Error> {
        let path = directory.join(format!("map-{run}"));
        let failed = |source| cannot_write(&path, source);
        std::fs::create_dir_all(directory).map_err(failed)?;
        let text = match std::fs::read(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let (printed, in_doubt) = text.as_deref().map(read).unwrap_or_default();
        let mut position = Self { path, printed, is_continued: text.is_some(), in_doubt, ..Self::nowhere() };
        position.rewrite()?;
        Ok(position)
    }

    /// Where it is saved; `None` if it is not.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|_| self.path.as_path())
    }

    /// Whether an earlier process has left it here.
    pub(crate) fn is_continued(&self) -> bool {
        self.is_continued
    }

    /// The item that an earlier process began to print, and nobody knows how far it came.
    pub(crate) fn in_doubt(&self) -> Option<&str> {
        self.in_doubt.as_deref()
    }

    /// The items that were printed.
    pub(crate) fn printed(&self) -> &WrittenItems {
        &self.printed
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
        self.printed.insert(id);
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
        let mut text = serde_json::to_vec(&self.printed).unwrap_or_default();
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
    }
}

/// What a file says. A line that a crash has cut off was not written.
fn read(text: &[u8]) -> (WrittenItems, Option<String>) {
    let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(&[][..], |end| &text[..end]);
    let mut lines = whole.split(|&byte| byte == b'\n');
    let printed = lines.next().and_then(|line| serde_json::from_slice::<WrittenItems>(line).ok());
    let (mut printed, mut begun) = (printed.unwrap_or_default(), None);
    for line in lines {
        let Some((kind, id)) = line.split_first() else { continue };
        let Ok(id) = serde_json::from_slice::<String>(id) else { continue };
        if *kind == b'+' {
            begun = Some(id);
        } else {
            printed.insert(&id);
            begun = None;
        }
    }
    (printed, begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_found_again_and_tells_what_is_in_doubt() {
        let directory = std::env::temp_dir().join(format!("workqueue-position-{}", std::process::id()));
        let open = || Position::open_in(&directory, "h4f2c").expect("writable");
        let mut position = open();
        assert!(!position.is_continued());
        for id in ["k2x9bcdf.1", "order\n7"] {
            position.begin(id).expect("writable");
            position.end(id).expect("writable");
        }
        position.begin("k2x9bcdf.2").expect("writable");
        drop(position);
        let position = open();
        assert!(position.is_continued());
        assert!(position.printed().contains("k2x9bcdf.1") && position.printed().contains("order\n7"));
        assert!(!position.printed().contains("k2x9bcdf.2"));
        assert_eq!(position.in_doubt(), Some("k2x9bcdf.2"));
        let mut position = open();
        assert_eq!((position.in_doubt(), position.printed().len()), (None, 2), "it was told once");
        position.end("k2x9bcdf.2").expect("writable");
        open().remove();
        assert!(!open().is_continued());
        std::fs::remove_dir_all(&directory).expect("removable");
    }

    #[test]
    fn a_line_that_was_cut_off_was_not_written() {
        let text = b"{\"known\":{},\"others\":[]}\n+\"a\"\n=\"a\"\n+\"b\"\n=\"b";
        let (printed, in_doubt) = read(text);
        assert_eq!((printed.len(), in_doubt.as_deref()), (1, Some("b")));
        assert_eq!(read(b""), (WrittenItems::default(), None));
    }
}
