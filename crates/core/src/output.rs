//! What items wrote to their standard output, as messages of `QUEUE.outputs.RUN`: one or several entries to
//! a message, and no entry in two messages.

use serde::{Deserialize, Serialize};

use crate::record::{ResultRecord, Status};

/// The content type of a message with entries.
pub const OUTPUTS: &str = "application/vnd.kubectl-workqueue.outputs";

/// The most bytes of one output that can be kept: with its header and item it has to fit into RabbitMQ's
/// default for the largest message, 16 MiB.
pub const LARGEST_OUTPUT: u64 = 15 * 1024 * 1024;

/// Items with more bytes than this are left out of the entry of their output.
pub const LARGEST_ITEM: usize = 64 * 1024;

/// What became of an item, and what its program wrote to standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputEntry {
    /// The item's id.
    pub id: String,
    /// How it ended.
    pub status: Status,
    /// The item, unless it is large.
    pub item: Option<Vec<u8>>,
    /// The size of everything that its last attempt wrote, in bytes.
    pub written: u64,
    /// What is kept of it: everything, unless it was cut; nothing if the item failed.
    pub output: Vec<u8>,
}

/// The line before the bytes of an entry. Readers ignore fields that they do not know.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    id: String,
    status: Status,
    /// Bytes of the item that follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    item: Option<usize>,
    written: u64,
    /// Bytes of the output that follow.
    kept: usize,
}

/// A message that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("a message of outputs cannot be read: {0}")]
pub struct OutputError(String);

impl OutputEntry {
    /// The entry of an item that has been settled.
    pub fn of(record: &ResultRecord, item: &[u8]) -> Self {
        let is_done = record.status == Status::Done;
        let output = record.stdout.whole.clone().filter(|_| is_done).unwrap_or_default();
        Self {
            id: record.id.clone(),
            status: record.status,
            item: (item.len() <= LARGEST_ITEM).then(|| item.to_vec()),
            written: record.stdout.bytes,
            output,
        }
    }

    /// Whether something is missing that the successful attempt wrote.
    pub fn is_cut(&self) -> bool {
        self.status == Status::Done && self.written > self.output.len() as u64
    }

    /// The same without the output, which is cut then, if there was one.
    #[must_use]
    pub fn without_output(self) -> Self {
        Self { output: Vec::new(), ..self }
    }

    /// Its size in a message, about.
    pub fn size(&self) -> usize {
        self.output.len() + self.item.as_ref().map_or(0, Vec::len) + self.id.len() + 80
    }

    fn put(&self, to: &mut Vec<u8>) {
        let header = Header {
            id: self.id.clone(),
            status: self.status,
            item: self.item.as_ref().map(Vec::len),
            written: self.written,
            kept: self.output.len(),
        };
        // Only a map with keys that are no strings could fail.
        to.extend(serde_json::to_vec(&header).unwrap_or_default());
        to.push(b'\n');
        to.extend_from_slice(self.item.as_deref().unwrap_or_default());
        to.extend_from_slice(&self.output);
    }

    /// Reads the entry at the front of some bytes; `None` if they end within it. Returns its size, too.
    ///
    /// # Errors
    /// [`OutputError`] for anything but an entry.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, OutputError> {
        let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
        let header: Header =
            serde_json::from_slice(&bytes[..end]).map_err(|error| OutputError(error.to_string()))?;
        let (item_at, item_size) = (end + 1, header.item.unwrap_or(0));
        let sizes = item_at.checked_add(item_size).and_then(|at| Some((at, at.checked_add(header.kept)?)));
        let Some((output_at, end)) = sizes else { return Err(OutputError("a size is wrong".to_owned())) };
        let (Some(item), Some(output)) = (bytes.get(item_at..output_at), bytes.get(output_at..end)) else {
            return Ok(None);
        };
        let entry = Self {
            id: header.id,
            status: header.status,
            item: header.item.map(|_| item.to_vec()),
            written: header.written,
            output: output.to_vec(),
        };
        Ok(Some((entry, end)))
    }
}

/// Entries as the body of a message.
pub fn to_message(entries: &[OutputEntry]) -> Vec<u8> {
    let mut body = Vec::with_capacity(entries.iter().map(OutputEntry::size).sum());
    entries.iter().for_each(|entry| entry.put(&mut body));
    body
}

/// The entries of a message; none for one without a body.
///
/// # Errors
/// [`OutputError`] for anything but whole entries.
pub fn from_message(mut body: &[u8]) -> Result<Vec<OutputEntry>, OutputError> {
    let mut entries = Vec::new();
    while !body.is_empty() {
        let (entry, size) =
            OutputEntry::read(body)?.ok_or_else(|| OutputError("it ends within an entry".to_owned()))?;
        entries.push(entry);
        body = &body[size..];
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, item: Option<&[u8]>, output: &[u8]) -> OutputEntry {
        OutputEntry {
            id: id.to_owned(),
            status: Status::Done,
            item: item.map(<[u8]>::to_vec),
            written: output.len() as u64,
            output: output.to_vec(),
        }
    }

    #[test]
    fn what_is_written_is_read_whatever_its_bytes() {
        let entries =
            [entry("b.1", Some(b"a\nb"), b"\0\n{\xff"), entry("b.2", Some(b""), b""), entry("x", None, b"z")];
        let body = to_message(&entries);
        assert_eq!(from_message(&body).expect("what was written"), entries);
        assert_eq!(from_message(b"").expect("an empty message"), []);
        for end in 1..body.len() {
            if let Ok(read) = from_message(&body[..end]) {
                assert!(read.len() < entries.len(), "it was cut at {end}");
            }
        }
        assert!(from_message(b"apple\n").is_err());
        assert!(
            from_message(br#"{"id":"a","status":"done","written":1,"kept":18446744073709551615}"#).is_err()
        );
    }

    #[test]
    fn an_output_is_cut_if_less_is_kept_than_was_written() {
        let whole = entry("b.1", None, b"abc");
        assert!(!whole.is_cut());
        assert!(whole.without_output().is_cut());
        assert!(!entry("b.1", None, b"").without_output().is_cut());
    }
}
