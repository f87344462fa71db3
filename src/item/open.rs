//! Opens an input: a file that must not shrink meanwhile, or standard input; gzip and zstd are
//! told by their first bytes and unpacked on the way.

use std::fs::File;
use std::io::{self, BufReader, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

use super::Error;

/// Bytes of compressed input that are read at one time.
const COMPRESSED_BUFFER: usize = 64 * 1024;

/// First bytes of a gzip file (RFC 1952).
const GZIP: &[u8] = &[0x1f, 0x8b];

/// First bytes of a zstd frame (RFC 8878).
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Opens a file, or standard input for the path `-`. `meter` counts the bytes that are read of it.
pub(super) fn open(path: &Path, meter: &Arc<AtomicU64>) -> Result<Box<dyn Read>, Error> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let open = || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        // Opening a directory succeeds, and the first read then names no path.
        if metadata.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        let expected = if metadata.is_file() { metadata.len() } else { 0 };
        Ok(Box::new(Whole { file, read: 0, expected, meter: Arc::clone(meter) }) as Box<dyn Read>)
    };
    open().map_err(|source| Error::Open { path: path.to_owned(), source })
}

/// The bytes of all files together; `None` if one of them is no regular file.
pub(super) fn total_size(paths: &[PathBuf]) -> Option<u64> {
    let size = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some(metadata.len())
    };
    paths.iter().map(size).sum()
}

/// A file that is read to the length that it had when it was opened, or further. One that shrinks
/// ends in an error: its last record may be half of one.
struct Whole {
    file: File,
    read: u64,
    expected: u64,
    meter: Arc<AtomicU64>,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read += read as u64;
        self.meter.fetch_add(read as u64, Ordering::Relaxed);
        if read == 0 && !buffer.is_empty() && self.read < self.expected {
            let message =
                format!("the file shrank meanwhile: it ends after {} of {} bytes", self.read, self.expected);
            return Err(io::Error::new(ErrorKind::UnexpectedEof, message));
        }
        Ok(read)
    }
}

/// Unpacks what is compressed, and passes everything else on. Reads no further than it must to
/// tell, so that the first line of a slow pipe is not held back.
pub(super) fn unpack(mut input: Box<dyn Read>) -> io::Result<Box<dyn Read>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while [GZIP, ZSTD].iter().any(|magic| magic.len() > head.len() && magic.starts_with(&head)) {
        match input.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => head.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let (gzip, zstd) = (head.starts_with(GZIP), head.starts_with(ZSTD));
    let input = Cursor::new(head).chain(input);
    if !gzip && !zstd {
        return Ok(Box::new(input));
    }
    let input: Compressed = BufReader::with_capacity(COMPRESSED_BUFFER, Box::new(input));
    Ok(if gzip { Box::new(MultiGzDecoder::new(input)) } else { Box::new(Zstd::Between(input)) })
}

type Compressed = BufReader<Box<dyn Read>>;

/// Zstd frames in a row, as parallel compressors and `cat` make them.
enum Zstd {
    Between(Compressed),
    Frame(Box<StreamingDecoder<Compressed, ruzstd::decoding::FrameDecoder>>),
    Ended,
}

impl Read for Zstd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use std::io::BufRead as _;
        loop {
            *self = match std::mem::replace(self, Self::Ended) {
                Self::Ended => return Ok(0),
                Self::Between(mut input) => {
                    if input.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    let invalid = |error| io::Error::new(ErrorKind::InvalidData, format!("zstd: {error}"));
                    Self::Frame(Box::new(StreamingDecoder::new(input).map_err(invalid)?))
                }
                Self::Frame(mut decoder) => {
                    let read = decoder.read(buffer)?;
                    if read > 0 || buffer.is_empty() {
                        *self = Self::Frame(decoder);
                        return Ok(read);
                    }
                    Self::Between(decoder.into_inner())
                }
            };
        }
    }
}
