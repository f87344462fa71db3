//! Items, the units of work, as a stream: from arguments, files and standard input.
//!
//! An item is a sequence of bytes, at least one, of any value. Readers hold one buffer and the
//! item at hand, never the whole input.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader};

/// Bytes that one read asks for.
const BUFFER_SIZE: usize = 256 * 1024;

/// The largest item by default, in bytes: what RabbitMQ 4 accepts unless it is told otherwise
/// (`max_message_size`, 16 MiB).
pub const DEFAULT_MAX_SIZE: usize = 16 * 1024 * 1024;

/// One unit of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What the worker's program gets on its standard input.
    pub body: Vec<u8>,
    /// Where it was read.
    pub position: Position,
}

/// Where an item stands in its source, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// The n-th argument.
    Argument(u64),
    /// The n-th line (or NUL-terminated record) of an input.
    Record {
        /// A file's path, or `stdin`.
        input: Arc<str>,
        /// Its number.
        number: u64,
    },
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(number) => write!(f, "argument {number}"),
            Self::Record { input, number } => write!(f, "{input}:{number}"),
        }
    }
}

/// What ends an item in a file or on standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// A newline; the last one may lack it.
    #[default]
    Lines,
    /// A NUL byte, as `find -print0` writes it; the last one may lack it.
    Nul,
}

impl Framing {
    fn delimiter(self) -> u8 {
        match self {
            Self::Lines => b'\n',
            Self::Nul => 0,
        }
    }
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
        /// What ends an item in them.
        framing: Framing,
    },
}

/// Input that is no item.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An item without a byte.
    #[error("{position}: the item is empty")]
    Empty {
        /// Where it stands.
        position: Position,
    },
    /// An item over the limit.
    #[error("{position}: the item is larger than {limit} bytes")]
    TooLarge {
        /// Where it starts.
        position: Position,
        /// The limit in bytes.
        limit: usize,
    },
    /// A file that cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// An input that cannot be read on.
    #[error("cannot read on after {position}")]
    Read {
        /// The last record that was complete.
        position: Position,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// A stream of items.
pub struct Items {
    arguments: VecDeque<Vec<u8>>,
    argument_number: u64,
    files: VecDeque<PathBuf>,
    current: Option<Records>,
    framing: Framing,
    max_size: usize,
}

impl Items {
    /// Starts to read `source`; items over `max_size` bytes are refused.
    ///
    /// # Errors
    /// A bad argument is found here, before anything is read or sent.
    pub fn open(source: Source, max_size: usize) -> Result<Self, Error> {
        let mut items = Self {
            arguments: VecDeque::new(),
            argument_number: 0,
            files: VecDeque::new(),
            current: None,
            framing: Framing::default(),
            max_size,
        };
        match source {
            Source::Arguments(arguments) => {
                for (number, body) in (1..).zip(&arguments) {
                    check(body, max_size, || Position::Argument(number))?;
                }
                items.arguments = arguments.into();
            }
            Source::Files { paths, framing } => {
                items.files = paths.into();
                items.framing = framing;
            }
        }
        Ok(items)
    }

    /// The next item, or `None` at the end. Safe to cancel: nothing read is lost.
    ///
    /// # Errors
    /// See [`Error`]; after one the stream is not to be used again.
    pub async fn next(&mut self) -> Result<Option<Item>, Error> {
        if let Some(body) = self.arguments.pop_front() {
            self.argument_number += 1;
            return Ok(Some(Item { body, position: Position::Argument(self.argument_number) }));
        }
        loop {
            if let Some(records) = &mut self.current {
                if let Some(item) = records.next(self.max_size).await? {
                    return Ok(Some(item));
                }
                self.current = None;
            }
            let Some(path) = self.files.front() else { return Ok(None) };
            self.current = Some(Records::open(path, self.framing).await?);
            self.files.pop_front();
        }
    }
}

fn check(body: &[u8], limit: usize, position: impl FnOnce() -> Position) -> Result<(), Error> {
    if body.is_empty() {
        return Err(Error::Empty { position: position() });
    }
    if body.len() > limit {
        return Err(Error::TooLarge { position: position(), limit });
    }
    Ok(())
}

/// The records of one input.
struct Records {
    reader: Pin<Box<dyn AsyncBufRead + Send>>,
    input: Arc<str>,
    delimiter: u8,
    number: u64,
    partial: Vec<u8>,
}

impl Records {
    async fn open(path: &Path, framing: Framing) -> Result<Self, Error> {
        if path == Path::new("-") {
            let stdin = BufReader::with_capacity(BUFFER_SIZE, tokio::io::stdin());
            return Ok(Self::new(Box::pin(stdin), "stdin", framing));
        }
        let open = async {
            let file = tokio::fs::File::open(path).await?;
            // Opening a directory succeeds, and the first read then names no path.
            if file.metadata().await?.is_dir() {
                return Err(std::io::ErrorKind::IsADirectory.into());
            }
            Ok(file)
        };
        let mut file = open.await.map_err(|source| Error::Open { path: path.to_owned(), source })?;
        file.set_max_buf_size(BUFFER_SIZE);
        let reader = BufReader::with_capacity(BUFFER_SIZE, file);
        Ok(Self::new(Box::pin(reader), &path.display().to_string(), framing))
    }

    fn new(reader: Pin<Box<dyn AsyncBufRead + Send>>, input: &str, framing: Framing) -> Self {
        let input = Arc::from(input);
        Self { reader, input, delimiter: framing.delimiter(), number: 0, partial: Vec::new() }
    }

    fn position(&self, number: u64) -> Position {
        Position::Record { input: self.input.clone(), number }
    }

    async fn next(&mut self, max_size: usize) -> Result<Option<Item>, Error> {
        loop {
            let chunk = match self.reader.fill_buf().await {
                Ok(chunk) => chunk,
                Err(source) => return Err(Error::Read { position: self.position(self.number), source }),
            };
            let at_end = chunk.is_empty();
            if at_end && self.partial.is_empty() {
                return Ok(None);
            }
            let found = memchr::memchr(self.delimiter, chunk);
            let taken = found.unwrap_or(chunk.len());
            self.partial.extend_from_slice(&chunk[..taken]);
            self.reader.as_mut().consume(found.map_or(taken, |end| end + 1));
            if self.partial.len() > max_size {
                return Err(Error::TooLarge { position: self.position(self.number + 1), limit: max_size });
            }
            if found.is_some() || at_end {
                self.number += 1;
                let body = std::mem::take(&mut self.partial);
                check(&body, max_size, || self.position(self.number))?;
                return Ok(Some(Item { body, position: self.position(self.number) }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(input: &'static [u8], framing: Framing, limit: usize) -> (Vec<Vec<u8>>, Option<String>) {
        // A buffer of 3 bytes puts delimiters and items across the borders of chunks.
        let reader = BufReader::with_capacity(3, input);
        let mut records = Records::new(Box::pin(reader), "items.txt", framing);
        let mut bodies = Vec::new();
        loop {
            match records.next(limit).await {
                Ok(Some(item)) => bodies.push(item.body),
                Ok(None) => return (bodies, None),
                Err(error) => return (bodies, Some(error.to_string())),
            }
        }
    }

    #[tokio::test]
    async fn lines_end_at_newlines_and_the_last_may_lack_one() {
        let expected = vec![b"apple".to_vec(), b"a b\tc".to_vec(), b"\xff\xfe\r".to_vec()];
        assert_eq!(read(b"apple\na b\tc\n\xff\xfe\r\n", Framing::Lines, 99).await, (expected.clone(), None));
        assert_eq!(read(b"apple\na b\tc\n\xff\xfe\r", Framing::Lines, 99).await, (expected, None));
        assert_eq!(read(b"", Framing::Lines, 99).await, (vec![], None));
    }

    #[tokio::test]
    async fn nul_framing_keeps_newlines() {
        let expected = vec![b"two\nlines".to_vec(), b"x".to_vec()];
        assert_eq!(read(b"two\nlines\0x\0", Framing::Nul, 99).await, (expected, None));
    }

    #[tokio::test]
    async fn bad_records_are_named_by_file_and_line() {
        let (bodies, error) = read(b"a\n\nb\n", Framing::Lines, 99).await;
        assert_eq!(bodies, [b"a".to_vec()]);
        assert_eq!(error.as_deref(), Some("items.txt:2: the item is empty"));
        let (bodies, error) = read(b"a\nabcdef\nb\n", Framing::Lines, 5).await;
        assert_eq!(bodies, [b"a".to_vec()]);
        assert_eq!(error.as_deref(), Some("items.txt:2: the item is larger than 5 bytes"));
    }

    #[tokio::test]
    async fn an_item_at_the_limit_passes() {
        assert_eq!(read(b"abcde\n", Framing::Lines, 5).await, (vec![b"abcde".to_vec()], None));
    }

    #[tokio::test]
    async fn arguments_are_checked_before_any_is_handed_out() {
        let source = Source::Arguments(vec![b"apple".to_vec(), b"".to_vec()]);
        let error = Items::open(source, 99).err().expect("the second is empty");
        assert_eq!(error.to_string(), "argument 2: the item is empty");
    }

    #[tokio::test]
    async fn files_are_read_in_turn_and_a_directory_is_refused() {
        let dir = std::env::temp_dir().join(format!("workqueue-items-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        let (first, second) = (dir.join("1"), dir.join("2"));
        std::fs::write(&first, "a\nb").expect("writable");
        std::fs::write(&second, "c\n").expect("writable");
        let paths = vec![first, second.clone(), dir.clone()];
        let mut items = Items::open(Source::Files { paths, framing: Framing::Lines }, 99)
            .expect("no arguments to refuse");
        for expected in ["a", "b", "c"] {
            let item = items.next().await.expect("readable").expect("an item");
            assert_eq!(item.body, expected.as_bytes());
            if expected == "c" {
                assert_eq!(item.position.to_string(), format!("{}:1", second.display()));
            }
        }
        let error = items.next().await.expect_err("a directory has no items");
        assert_eq!(error.to_string(), format!("cannot open {}", dir.display()));
        std::fs::remove_dir_all(&dir).expect("ours");
    }
}
