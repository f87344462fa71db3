//! Items, the units of work, and where they are read from.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// One unit of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What the worker's program gets on its standard input.
    pub body: Bytes,
    /// Where it was read from.
    pub position: Position,
}

/// The position of an item in its source, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// The n-th argument.
    Argument(u64),
    /// The n-th line (or record) of an input.
    Record {
        /// A file's path, or `stdin`.
        input: Arc<str>,
        /// Its number.
        number: u64,
    },
    /// An element of a JSON array.
    Element {
        /// A file's path, or `stdin`.
        input: Arc<str>,
        /// The line that it starts in.
        line: u64,
        /// Its number in the array.
        number: u64,
    },
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(number) => write!(f, "argument {number}"),
            Self::Record { input, number } => write!(f, "{input}:{number}"),
            Self::Element { input, line, number } => write!(f, "{input}:{line} (element {number})"),
        }
    }
}

/// A source of items, read one by one.
pub trait ItemSource: Send {
    /// An error that ends the source early.
    type Error: Error + Send;

    /// The next item, or `None` after the last one. Safe to cancel.
    fn next(&mut self) -> impl Future<Output = Result<Option<Item>, Self::Error>> + Send;
}
