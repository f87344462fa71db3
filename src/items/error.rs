//! Input that is no item.

use std::path::PathBuf;

use super::Position;

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
    /// Something that is not JSON.
    #[error("{position}: not JSON: {reason}")]
    Json {
        /// Where it stands.
        position: Position,
        /// What is wrong with it.
        reason: String,
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

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> String {
        match self {
        Self::Empty { .. } => "remove the empty line; items before it are in the queue".to_owned(),
        Self::TooLarge { .. } => {
            "put the data where the workers can read it and enqueue its address; a larger limit is set with \
             --max-item-size, and must fit the broker's max_message_size"
                .to_owned()
        }
        Self::Json { .. } => "write one value a line, or one array; items before it are in the queue".to_owned(),
        Self::Open { .. } | Self::Read { .. } => "items before it are in the queue".to_owned(),
    }
    }
}
