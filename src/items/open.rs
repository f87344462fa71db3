//! Opens input: a file, which must not shrink while it is read, or standard input. Input in gzip or
//! zstd format is recognized by its first bytes and decompressed.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::Error;

/// Bytes per read of compressed input.
const COMPRESSED_BUFFER: usize = 64 * 1024;

/// The first bytes that identify a format.
struct Magic {
    bytes: &'static [u8],
    /// Mask of the bits of the first byte that matter.
    first: u8,
}

/// RFC 1952.
const GZIP: Magic = Magic { bytes: &[0x1f, 0x8b], first: 0xff };

/// A zstd frame, and a skippable frame, which parallel compressors write first (RFC 8878).
const ZSTD: Magic = Magic { bytes: &[0x28, 0xb5, 0x2f, 0xfd], first: 0xff };
const ZSTD_SKIPPABLE: Magic = Magic { bytes: &[0x50, 0x2a, 0x4d, 0x18], first: 0xf0 };

impl Magic {
    /// Whether input that starts with `head` may be in this format.
    fn agrees(&self, head: &[u8]) -> bool {
        let mut masks = [self.first].into_iter().chain(std::iter::repeat(0xff));
        head.iter().zip(self.bytes).zip(&mut masks).all(|((byte, own), mask)| (byte ^ own) & mask == 0)
    }

    /// Whether input that starts with `head` is in this format.
    fn starts(&self, head: &[u8]) -> bool {
        head.len() >= self.bytes.len() && self.agrees(head)
    }
}

/// Opens a file, or standard input for the path `-`. `meter` counts the bytes read from files.
pub(super) fn open(path: &Path, meter: &Arc<AtomicU64>) -> Result<Box<dyn Read>, Error> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let open = || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        refuse_directory(&metadata)?;
        let expected = if metadata.is_file() { metadata.len() } else { 0 };
        Ok(Box::new(UnshrunkFile { file, read: 0, expected, meter: Arc::clone(meter) }) as Box<dyn Read>)
    };
    open().map_err(|source| Error::Open { path: path.to_owned(), source })
}

/// Checks whether a path can be opened. Does not open pipes: opening one may consume its data.
pub(super) fn check(path: &Path) -> Result<(), Error> {
    let check = || {
        let metadata = std::fs::metadata(path)?;
        refuse_directory(&metadata)?;
        if metadata.is_file() { File::open(path).map(|_| ()) } else { Ok(()) }
    };
    if path == Path::new("-") {
        return Ok(());
    }
    check().map_err(|source| Error::Open { path: path.to_owned(), source })
}

/// Opening a directory succeeds, and the error of the first read then does not name the path.
fn refuse_directory(metadata: &std::fs::Metadata) -> io::Result<()> {
    if metadata.is_dir() { Err(ErrorKind::IsADirectory.into()) } else { Ok(()) }
}

/// The total size in bytes; `None` if one of the files is not a regular file.
pub(super) fn total_size(paths: &[PathBuf]) -> Option<u64> {
    let size = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some(metadata.len())
    };
    paths.iter().map(size).sum()
}

/// A file that has to yield at least as many bytes as it had when it was opened. If it shrinks,
/// reading fails, because the last item may be incomplete.
struct UnshrunkFile {
    file: File,
    read: u64,
    expected: u64,
    meter: Arc<AtomicU64>,
}

impl Read for UnshrunkFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read += read as u64;
        self.meter.fetch_add(read as u64, Ordering::Relaxed);
        if read == 0 && !buffer.is_empty() && self.read < self.expected {
            let message = format!(
                "the file shrank while it was read: it ends after {} of {} bytes",
                self.read, self.expected
            );
            return Err(io::Error::new(ErrorKind::UnexpectedEof, message));
        }
        Ok(read)
    }
}

/// Decompresses gzip and zstd, and passes all other input on. Reads no more bytes ahead than needed
/// to recognize a format, so that the first line of a slow pipe is not delayed.
pub(super) fn unpack(mut input: Box<dyn Read>) -> io::Result<Box<dyn Read>> {
    let mut head = Vec::new();
    let mut byte = [0];
    let formats = [&GZIP, &ZSTD, &ZSTD_SKIPPABLE];
    while formats.iter().any(|magic| magic.bytes.len() > head.len() && magic.agrees(&head)) {
        match input.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => head.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let (gzip, zstd) = (GZIP.starts(&head), ZSTD.starts(&head) || ZSTD_SKIPPABLE.starts(&head));
    let input = Cursor::new(head).chain(input);
    if !gzip && !zstd {
        return Ok(Box::new(input));
    }
    let input: Compressed = BufReader::with_capacity(COMPRESSED_BUFFER, Box::new(input));
    Ok(if gzip { Box::new(MultiGzDecoder::new(input)) } else { Box::new(Zstd::new(input)) })
}

type Compressed = BufReader<Box<dyn Read>>;

/// A sequence of zstd frames, as written by parallel compressors or `cat`.
struct Zstd {
    input: Compressed,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl Zstd {
    fn new(input: Compressed) -> Self {
        Self { input, decoder: FrameDecoder::new(), in_frame: false }
    }

    /// Starts the next frame that contains data; `false` at the end of the input.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.input.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.input) {
                Ok(()) => {
                    self.in_frame = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let skipped = io::copy(&mut (&mut self.input).take(length.into()), &mut io::sink())?;
                    if skipped < length.into() {
                        return Err(damaged("it ends inside a frame"));
                    }
                }
                Err(error) => return Err(damaged(error)),
            }
        }
        Ok(false)
    }

    /// Ends a frame and verifies its checksum.
    fn end(&mut self) -> io::Result<()> {
        self.in_frame = false;
        let (stored, computed) =
            (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
        if stored.is_some() && stored != computed {
            Err(damaged("its checksum does not match"))
        } else {
            Ok(())
        }
    }
}

fn damaged(reason: impl std::fmt::Display) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("zstd: {reason}"))
}

impl Read for Zstd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.in_frame || self.begin()? {
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.input, one).map_err(damaged)?;
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.end()?;
        }
        Ok(0)
    }
}
