//! Opens an input: a file that must not shrink meanwhile, or standard input; gzip and zstd are
//! told by their first bytes and unpacked on the way.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::Error;

/// Bytes of compressed input that are read at one time.
const COMPRESSED_BUFFER: usize = 64 * 1024;

/// The first bytes by which a format is told.
struct Magic {
    bytes: &'static [u8],
    /// The bits of the first byte that count.
    first: u8,
}

/// RFC 1952.
const GZIP: Magic = Magic { bytes: &[0x1f, 0x8b], first: 0xff };

/// A frame of zstd, and one to be skipped, with which parallel compressors begin (RFC 8878).
const ZSTD: Magic = Magic { bytes: &[0x28, 0xb5, 0x2f, 0xfd], first: 0xff };
const ZSTD_SKIPPABLE: Magic = Magic { bytes: &[0x50, 0x2a, 0x4d, 0x18], first: 0xf0 };

impl Magic {
    /// Whether an input that starts so may be of this format, as far as can be told.
    fn agrees(&self, head: &[u8]) -> bool {
        let mut masks = [self.first].into_iter().chain(std::iter::repeat(0xff));
        head.iter().zip(self.bytes).zip(&mut masks).all(|((byte, own), mask)| (byte ^ own) & mask == 0)
    }

    /// Whether it is for sure.
    fn starts(&self, head: &[u8]) -> bool {
        head.len() >= self.bytes.len() && self.agrees(head)
    }
}

/// Opens a file, or standard input for the path `-`. `meter` counts the bytes that are read of it.
pub(super) fn open(path: &Path, meter: &Arc<AtomicU64>) -> Result<Box<dyn Read>, Error> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let open = || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        no_directory(&metadata)?;
        let expected = if metadata.is_file() { metadata.len() } else { 0 };
        Ok(Box::new(Whole { file, read: 0, expected, meter: Arc::clone(meter) }) as Box<dyn Read>)
    };
    open().map_err(|source| Error::Open { path: path.to_owned(), source })
}

/// Looks whether a path can be opened. Pipes are left alone: to open one is to take it.
pub(super) fn check(path: &Path) -> Result<(), Error> {
    let check = || {
        let metadata = std::fs::metadata(path)?;
        no_directory(&metadata)?;
        if metadata.is_file() { File::open(path).map(|_| ()) } else { Ok(()) }
    };
    if path == Path::new("-") {
        return Ok(());
    }
    check().map_err(|source| Error::Open { path: path.to_owned(), source })
}

/// Opening a directory succeeds, and the first read then names no path.
fn no_directory(metadata: &std::fs::Metadata) -> io::Result<()> {
    if metadata.is_dir() { Err(ErrorKind::IsADirectory.into()) } else { Ok(()) }
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

/// Zstd frames in a row, as parallel compressors and `cat` make them.
struct Zstd {
    input: Compressed,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl Zstd {
    fn new(input: Compressed) -> Self {
        Self { input, decoder: FrameDecoder::new(), in_frame: false }
    }

    /// Begins the next frame that holds data; `false` at the end of the input.
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
                        return Err(damaged("it ends within a frame"));
                    }
                }
                Err(error) => return Err(damaged(error)),
            }
        }
        Ok(false)
    }

    /// Ends a frame; what its checksum does not fit is damaged.
    fn end(&mut self) -> io::Result<()> {
        self.in_frame = false;
        let (told, counted) = (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
        if told.is_some() && told != counted { Err(damaged("its checksum does not fit")) } else { Ok(()) }
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
