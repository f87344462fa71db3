//! Input that is not a valid item.

use std::path::PathBuf;

use super::Position;
use super::json::AFTER_ARRAY;
use super::kind::Cure;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{position}: the item is empty")]
    Empty { position: Position },
    /// `limit` is in bytes.
    #[error("{position}: the item is larger than {limit} bytes")]
    TooLarge { position: Position, limit: usize },
    #[error("{position}: not JSON: {reason}")]
    Json { position: Position, reason: String },
    /// `kind` completes "it is".
    #[error("{input}: it is {kind}")]
    Kind { input: String, kind: &'static str, cure: Cure },
    #[error("{position}: the input ends with a NUL byte instead of a newline")]
    NotText { position: Position },
    #[error("{position}: the lines of the input end with CR alone, without newlines")]
    NoNewlines { position: Position },
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
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Kind { input, cure, .. } => return Some(cure.hint(input)),
            Self::Empty { position: Position::Argument(_) } => "leave out the empty argument",
            Self::Empty { .. } => "remove it, or leave out `--blank-lines refuse` to have it skipped",
            Self::NotText { .. } => {
                "split at NUL bytes with -0, as `find -print0` writes them; or take the bytes as they are with --raw"
            }
            Self::NoNewlines { .. } => {
                "split at CR with --delimiter '\\r'; or take the bytes as they are, as one item, with --raw"
            }
            Self::TooLarge { .. } => {
                "store the data where the workers can read it and enqueue its address; or raise the limit with \
                 --max-item-size, up to the broker's max_message_size"
            }
            Self::Json { reason, .. } if reason == AFTER_ARRAY => {
                "wrap it into one array: `jq -s .` makes an item of each value, `jq -s add` joins arrays"
            }
            Self::Json { .. } => "write JSON values one after the other, or one array",
            Self::Open { .. } | Self::Read { .. } | Self::Panicked => return None,
        };
        Some(hint.to_owned())
    }
}
