//! What programs write: passed on at once, and its end kept for the record.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Mutex, mpsc};

use super::held_output::HeldOutput;
use workqueue_core::record::CapturedOutput;

/// Bytes that one read takes from a program.
const CHUNK: usize = 32 * 1024;

/// Chunks on their way to the console. A console that is slower than the programs slows them
/// down, so that memory stays flat.
const CHUNKS: usize = 16;

/// The longest part of a line that is held back until the line ends; longer lines are cut there.
const LONGEST_LINE: usize = 64 * 1024;

/// Bytes of each output that the record keeps: two of them, escaped, fit one frame of a message's
/// headers.
const TAIL_LIMIT: usize = 4096;

/// Which of a program's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Bytes for the console.
#[derive(Debug)]
pub struct Chunk {
    /// The output they belong to.
    pub stream: OutputStream,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Where people read what programs write.
#[derive(Debug, Clone)]
pub struct Console {
    chunks_tx: mpsc::Sender<Chunk>,
    /// Held by who writes several chunks that belong together.
    turn: Arc<Mutex<()>>,
}

/// A console, and the receiver of what has to be written.
pub fn console() -> (Console, mpsc::Receiver<Chunk>) {
    let (chunks_tx, chunks_rx) = mpsc::channel(CHUNKS);
    (Console { chunks_tx, turn: Arc::default() }, chunks_rx)
}

impl Console {
    /// Writes the outputs of a program that has ended, and nothing else meanwhile.
    pub(super) async fn write_held(&self, [stdout, stderr]: [HeldOutput; 2]) -> std::io::Result<()> {
        let _turn = self.turn.lock().await;
        stdout.write_to(self, OutputStream::Stdout).await?;
        stderr.write_to(self, OutputStream::Stderr).await
    }

    pub(super) async fn write(&self, stream: OutputStream, bytes: Vec<u8>) {
        // Nobody reads any more: the work goes on all the same.
        self.chunks_tx.send(Chunk { stream, bytes }).await.ok();
    }
}

/// The last bytes of a stream.
#[derive(Debug)]
pub struct Tail {
    total: u64,
    limit: usize,
    last: VecDeque<u8>,
}

impl Tail {
    /// An empty one that keeps `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { total: 0, limit, last: VecDeque::new() }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let kept = &bytes[bytes.len().saturating_sub(self.limit)..];
        let excess = (self.last.len() + kept.len()).saturating_sub(self.limit);
        self.last.drain(..excess);
        self.last.extend(kept);
    }

    /// As it is in a record.
    pub fn into_captured(mut self) -> CapturedOutput {
        let bytes = self.last.make_contiguous();
        let start = if self.total > bytes.len() as u64 { character_start(bytes) } else { 0 };
        let tail = String::from_utf8_lossy(&bytes[start..]).into_owned();
        CapturedOutput { bytes: self.total, tail, whole: None }
    }
}

/// Skips the rest of a character that was cut off.
fn character_start(bytes: &[u8]) -> usize {
    bytes.iter().take(3).take_while(|&&byte| byte & 0b1100_0000 == 0b1000_0000).count()
}

/// The first bytes of a stream.
#[derive(Debug)]
pub(super) struct KeptOutput {
    limit: usize,
    pub bytes: Vec<u8>,
}

impl KeptOutput {
    /// An empty one that keeps `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, bytes: Vec::new() }
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = self.limit - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// Puts a tag and a tab before each line, as GNU parallel's `--tag` does.
struct Tagger {
    tag: Arc<str>,
    line: Vec<u8>,
}

impl Tagger {
    /// The lines that are complete now, tagged.
    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut tagged = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") || self.line.len() >= LONGEST_LINE {
                tagged.extend(self.take_line());
            }
        }
        tagged
    }

    /// The part of a line that was held back, tagged.
    fn take_line(&mut self) -> Vec<u8> {
        if self.line.is_empty() {
            return Vec::new();
        }
        let mut tagged = format!("{}\t", self.tag).into_bytes();
        tagged.append(&mut self.line);
        if !tagged.ends_with(b"\n") {
            tagged.push(b'\n');
        }
        tagged
    }
}

/// Reads what a program writes to one of its outputs.
pub(super) struct Listener<'a> {
    console: &'a Console,
    tagger: Option<Tagger>,
    /// Takes everything instead of the console.
    pub held: Option<HeldOutput>,
    /// Takes the first bytes, and nothing goes to the console.
    pub kept: Option<KeptOutput>,
    /// A file for all of it.
    pub file: Option<tokio::fs::File>,
    /// The end of it.
    pub tail: Tail,
    /// Whether bytes are on their way to a slow console or file.
    pub passing_on: Arc<AtomicBool>,
    /// Bytes read so far.
    pub read: Arc<AtomicU64>,
}

impl<'a> Listener<'a> {
    /// With a tag, output is passed on line by line; without one, unchanged.
    pub fn new(console: &'a Console, tag: Option<Arc<str>>) -> Self {
        let tagger = tag.map(|tag| Tagger { tag, line: Vec::new() });
        Self {
            console,
            tagger,
            held: None,
            kept: None,
            file: None,
            tail: Tail::new(TAIL_LIMIT),
            passing_on: Arc::default(),
            read: Arc::default(),
        }
    }

    /// Reads until the program closes the stream.
    pub async fn listen(&mut self, source: Option<impl AsyncRead + Unpin>, stream: OutputStream) {
        let Some(mut source) = source else { return };
        let mut buffer = vec![0; CHUNK];
        loop {
            // A stream that cannot be read has ended.
            let read = source.read(&mut buffer).await.unwrap_or(0);
            if read == 0 {
                break;
            }
            self.read.fetch_add(read as u64, Ordering::Relaxed);
            self.passing_on.store(true, Ordering::Relaxed);
            self.hear(stream, &buffer[..read]).await;
            self.passing_on.store(false, Ordering::Relaxed);
        }
        let rest = self.tagger.as_mut().map(Tagger::take_line).unwrap_or_default();
        if !rest.is_empty() {
            self.console.write(stream, rest).await;
        }
        if let Some(file) = &mut self.file {
            file.flush().await.ok();
        }
    }

    async fn hear(&mut self, stream: OutputStream, bytes: &[u8]) {
        self.tail.push(bytes);
        if let Some(file) = &mut self.file {
            // A full disk must not end the work: the file is incomplete then.
            file.write_all(bytes).await.ok();
        }
        if let Some(kept) = &mut self.kept {
            kept.push(bytes);
            return;
        }
        if let Some(held) = &mut self.held {
            held.push(bytes);
            return;
        }
        let passed = match &mut self.tagger {
            Some(tagger) => tagger.push(bytes),
            None => bytes.to_vec(),
        };
        if !passed.is_empty() {
            self.console.write(stream, passed).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_keeps_the_last_bytes_and_counts_all() {
        let mut tail = Tail::new(4);
        for part in ["ab", "cdef", "", "g"] {
            tail.push(part.as_bytes());
        }
        let captured = CapturedOutput { bytes: 7, ..CapturedOutput::of("defg".to_owned()) };
        assert_eq!(tail.into_captured(), captured);
    }

    #[test]
    fn the_first_bytes_are_kept() {
        let mut kept = KeptOutput::new(5);
        for part in ["ab", "", "cdef", "g"] {
            kept.push(part.as_bytes());
        }
        assert_eq!(kept.bytes, b"abcde");
    }

    #[test]
    fn a_tail_starts_with_a_whole_character() {
        let mut tail = Tail::new(4);
        tail.push("aéüx".as_bytes());
        assert_eq!(tail.into_captured().tail, "üx".to_owned());
        let mut binary = Tail::new(4);
        binary.push(b"\xff\n");
        assert_eq!(binary.into_captured().tail, "\u{fffd}\n");
    }

    #[test]
    fn lines_are_tagged_whole_and_the_last_gets_a_newline() {
        let mut tagger = Tagger { tag: "7".into(), line: Vec::new() };
        assert_eq!(tagger.push(b"a\nb"), b"7\ta\n");
        assert_eq!(tagger.push(b"c\n\nd"), b"7\tbc\n7\t\n");
        assert_eq!(tagger.take_line(), b"7\td\n");
        assert_eq!(tagger.take_line(), b"");
        assert_eq!(tagger.push(&[b'x'; LONGEST_LINE]).len(), 2 + LONGEST_LINE + 1);
    }

    #[tokio::test]
    async fn output_passes_unchanged_without_a_tag() {
        let (console, mut chunks_rx) = console();
        let mut listener = Listener { tail: Tail::new(3), ..Listener::new(&console, None) };
        listener.listen(Some(&b"a\0b\xffno newline"[..]), OutputStream::Stdout).await;
        assert_eq!(chunks_rx.recv().await.expect("one chunk").bytes, b"a\0b\xffno newline");
        assert_eq!(listener.tail.into_captured().tail, "ine");
    }
}
