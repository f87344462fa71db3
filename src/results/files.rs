//! Writes results to files: a job log, and a directory with the programs' output.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, cannot_write};
use crate::results::joblog;
use workqueue_core::record::ResultRecord;

/// Maximum length of the name of an item's directory. File systems allow 255 bytes.
pub(super) const LONGEST_NAME: usize = 200;

pub(crate) struct ResultFiles {
    log: Option<(PathBuf, BufWriter<File>)>,
    directory: Option<PathBuf>,
    written: u64,
}

impl ResultFiles {
    pub(crate) fn create(log: Option<&Path>, directory: Option<&Path>) -> Result<Self, Error> {
        let log = log.map(|path| {
            let mut file = BufWriter::new(File::create(path).map_err(|source| cannot_write(path, source))?);
            let written = file.write_all(joblog::HEADER.as_bytes());
            written.map_err(|source| cannot_write(path, source))?;
            Ok::<_, Error>((path.to_owned(), file))
        });
        if let Some(directory) = directory {
            std::fs::create_dir_all(directory).map_err(|source| cannot_write(directory, source))?;
        }
        Ok(Self { log: log.transpose()?, directory: directory.map(Path::to_owned), written: 0 })
    }

    pub(crate) fn write(&mut self, record: &ResultRecord) -> Result<(), Error> {
        self.written += 1;
        if let Some((path, file)) = &mut self.log {
            let (sequence, place) = (self.written.to_string(), &record.location);
            let host = place.pod.as_deref().unwrap_or(&place.host);
            // Records do not contain the command, so the item's id takes its place.
            let written = joblog::write_line(file, &sequence, host, record, &one_line(&record.id));
            written.map_err(|source| cannot_write(path, source))?;
        }
        if let Some(directory) = &self.directory {
            let item = directory.join(file_name(&record.id));
            std::fs::create_dir_all(&item).map_err(|source| cannot_write(&item, source))?;
            for (name, text) in
                [("seq", &record.id), ("stdout", &record.stdout.tail), ("stderr", &record.stderr.tail)]
            {
                let path = item.join(name);
                std::fs::write(&path, text).map_err(|source| cannot_write(&path, source))?;
            }
        }
        Ok(())
    }

    /// Flushes the job log.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let Some((path, mut file)) = self.log else { return Ok(()) };
        file.flush().map_err(|source| cannot_write(&path, source))
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// An id may be any text that the publisher set. Bytes that do not belong in a file name are
/// percent-encoded, and a long name is shortened and ends in a hash of the id.
pub(super) fn file_name(id: &str) -> String {
    let mut name = String::new();
    for (index, byte) in id.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"-_+=,:@".contains(&byte) || (byte == b'.' && index > 0);
        if plain {
            name.push(byte.into());
        } else {
            // Writing to a String cannot fail.
            write!(name, "%{byte:02X}").ok();
        }
    }
    if name.len() > LONGEST_NAME {
        let hash = workqueue_core::names::fnv1a(id.as_bytes());
        name.truncate(LONGEST_NAME);
        write!(name, "~{hash:08x}").ok();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_id_is_a_file_name() {
        assert_eq!(file_name("k2x9.7"), "k2x9.7");
        assert_eq!(file_name("../etc/pass wd"), "%2E.%2Fetc%2Fpass%20wd");
        assert_eq!(file_name("."), "%2E");
        assert_eq!(file_name("ü\0"), "%C3%BC%00");
        let (one, other) = (file_name(&format!("{}1", "/".repeat(250))), file_name(&"/".repeat(250)));
        assert!(one.len() < 255 && one != other, "{one}");
    }
}
