//! Opens input: a file, which must not shrink while it is read, or standard input. Input in gzip or
//! zstd format is decompressed, and other input that is not text is refused.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::kind::{Cure, HEAD, Kind};
use super::{Error, Position};

/// Bytes per read of compressed input.
const COMPRESSED_BUFFER: usize = 64 * 1024;

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

/// Checks whether a path can be opened and is not of an unsupported kind. Does not open pipes: opening one may consume its data.
pub(super) fn check(path: &Path, raw: bool) -> Result<(), Error> {
    let open = || {
        let metadata = std::fs::metadata(path)?;
        refuse_directory(&metadata)?;
        if metadata.is_file() { File::open(path).map(Some) } else { Ok(None) }
    };
    if path == Path::new("-") {
        return Ok(());
    }
    let file = open().map_err(|source| Error::Open { path: path.to_owned(), source })?;
    match file {
        Some(file) if !raw => unpack(Box::new(file), &path.display().to_string()).map(drop),
        _ => Ok(()),
    }
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

/// Decompresses gzip and zstd, strips a byte order mark, and passes all other input on. Input called
/// `name` of another kind than text is refused, also inside a compressed one.
pub(super) fn unpack(input: Box<dyn Read>, name: &str) -> Result<Box<dyn Read>, Error> {
    let (input, kind) = sniff(input, name)?;
    let input: Box<dyn Read> = match kind {
        Some(Kind::Gzip) => Box::new(MultiGzDecoder::new(buffered(input))),
        Some(Kind::Zstd) => Box::new(Zstd::new(buffered(input))),
        _ => return text(input, kind, name),
    };
    let (input, kind) = sniff(input, name)?;
    text(input, kind, name)
}

/// Reads no more bytes ahead than needed to recognize a kind, so that the first line of a slow pipe is
/// not delayed.
fn sniff(mut input: Box<dyn Read>, name: &str) -> Result<(Box<dyn Read>, Option<Kind>), Error> {
    let mut head = Vec::new();
    while head.is_empty() || Kind::needs_more(&head) {
        let before = head.len();
        head.resize(before + HEAD, 0);
        let read = input.read(&mut head[before..]);
        head.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => break,
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                let position = Position::Record { input: name.into(), number: 0 };
                return Err(Error::Read { position, source: error });
            }
            _ => {}
        }
    }
    let kind = Kind::of(&head);
    Ok((Box::new(Cursor::new(head).chain(input)), kind))
}

fn text(mut input: Box<dyn Read>, kind: Option<Kind>, name: &str) -> Result<Box<dyn Read>, Error> {
    let refused = |kind, cure| Err(Error::Kind { input: name.to_owned(), kind, cure });
    match kind {
        None => Ok(input),
        // The mark is in memory.
        Some(Kind::Utf8Marked) => match input.read_exact(&mut [0; 3]) {
            Ok(()) => Ok(input),
            Err(source) => Err(Error::Open { path: name.into(), source }),
        },
        Some(Kind::Gzip) => refused("compressed twice", Cure::Filter("gzip -dc")),
        Some(Kind::Zstd) => refused("compressed twice", Cure::Filter("zstd -dc")),
        Some(Kind::Unsupported(kind, cure)) => refused(kind, cure),
    }
}

fn buffered(input: Box<dyn Read>) -> Compressed {
    BufReader::with_capacity(COMPRESSED_BUFFER, input)
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
