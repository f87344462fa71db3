//! Input that is not a valid item.

use std::path::PathBuf;

use super::Position;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{position}: the item is empty")]
    Empty { position: Position },
    /// `limit` is in bytes.
    #[error("{position}: the item is larger than {limit} bytes")]
    TooLarge { position: Position, limit: usize },
    #[error("{position}: not JSON: {reason}")]
    Json { position: Position, reason: String },
    #[error("cannot open {}", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    /// `position` is the last complete item.
    #[error("cannot continue reading after {position}")]
    Read { position: Position, source: std::io::Error },
    #[error("reading the items failed because of a bug; not all of them were read")]
    Panicked,
}

impl Error {
    /// What the user can do about it. How many items were taken is in the command's report.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Empty { position: Position::Argument(_) } => Some("leave out the empty argument"),
            Self::Empty { .. } => Some("remove the empty line"),
            Self::TooLarge { .. } => Some(
                "store the data where the workers can read it and enqueue its address; or raise the limit with \
                 --max-item-size, up to the broker's max_message_size",
            ),
            Self::Json { .. } => Some("write one value per line, or one array"),
            Self::Open { .. } | Self::Read { .. } | Self::Panicked => None,
        }
    }
}
