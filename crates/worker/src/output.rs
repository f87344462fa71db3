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
pub(super) const TAIL_LIMIT: usize = 4096;

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
#[derive(Debug, Clone)]
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

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let kept = &bytes[bytes.len().saturating_sub(self.limit)..];
        let excess = (self.last.len() + kept.len()).saturating_sub(self.limit);
        self.last.drain(..excess);
        self.last.extend(kept);
    }

    /// Bytes so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// What came after so many bytes.
    pub(super) fn since(&self, position: u64) -> Self {
        let total = self.total.saturating_sub(position);
        let kept = self.last.len().min(usize::try_from(total).unwrap_or(usize::MAX));
        let last = self.last.range(self.last.len() - kept..).copied().collect();
        Self { total, limit: self.limit, last }
    }

    /// Whether a line could follow.
    pub(super) fn ends_with_newline(&self) -> bool {
        self.last.back().is_none_or(|&byte| byte == b'\n')
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

/// How a program's output is passed on.
#[derive(Debug, Clone, Default)]
pub(super) enum Passing {
    /// Unchanged and at once.
    #[default]
    Unchanged,
    /// At once, and what ends without a newline gets one.
    EndedLines,
    /// Line by line, each behind a tag and a tab, as GNU parallel's `--tag` does; the last one gets a
    /// newline, too.
    Tagged(Arc<str>),
}

/// Holds output back until its line ends.
#[derive(Default)]
pub(super) struct Liner {
    /// What comes before each line.
    prefix: String,
    line: Vec<u8>,
}

impl Liner {
    /// The lines that are complete now.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") || self.line.len() >= LONGEST_LINE {
                lines.extend(self.take_line());
            }
        }
        lines
    }

    /// The part of a line that was held back.
    pub(super) fn take_line(&mut self) -> Vec<u8> {
        if self.line.is_empty() {
            return Vec::new();
        }
        let mut line = self.prefix.clone().into_bytes();
        line.append(&mut self.line);
        if !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        line
    }
}

/// Reads what a program writes to one of its outputs.
pub(super) struct Listener<'a> {
    console: &'a Console,
    liner: Option<Liner>,
    /// Whether output that ends without a newline gets one.
    ends_lines: bool,
    /// The last byte that was passed on.
    last: Option<u8>,
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
    pub fn new(console: &'a Console, passing: &Passing) -> Self {
        let prefix = match passing {
            Passing::Unchanged | Passing::EndedLines => None,
            Passing::Tagged(tag) => Some(format!("{tag}\t")),
        };
        Self {
            console,
            liner: prefix.map(|prefix| Liner { prefix, line: Vec::new() }),
            ends_lines: matches!(passing, Passing::EndedLines),
            last: None,
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
        let rest = match &mut self.liner {
            Some(liner) => liner.take_line(),
            None if self.ends_lines && self.last.is_some_and(|byte| byte != b'\n') => b"\n".to_vec(),
            None => Vec::new(),
        };
        self.pass_on(stream, rest).await;
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
        let passed = match &mut self.liner {
            Some(liner) => liner.push(bytes),
            None => bytes.to_vec(),
        };
        self.pass_on(stream, passed).await;
    }

    async fn pass_on(&mut self, stream: OutputStream, bytes: Vec<u8>) {
        let Some(&last) = bytes.last() else { return };
        self.last = Some(last);
        match &mut self.held {
            Some(held) => held.push(&bytes),
            None => self.console.write(stream, bytes).await,
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
    fn a_tail_tells_what_came_after_a_position() {
        let mut tail = Tail::new(4);
        tail.push(b"abcdef");
        let since = |tail: &Tail, position| tail.since(position).into_captured();
        assert_eq!(since(&tail, 6), CapturedOutput::default());
        assert_eq!(since(&tail, 5), CapturedOutput::of("f".to_owned()));
        tail.push(b"gh");
        let captured = CapturedOutput { bytes: 8, ..CapturedOutput::of("efgh".to_owned()) };
        assert_eq!(since(&tail, 0), captured);
        assert_eq!(since(&tail, 6), CapturedOutput::of("gh".to_owned()));
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
        let mut liner = Liner { prefix: "7\t".to_owned(), line: Vec::new() };
        assert_eq!(liner.push(b"a\nb"), b"7\ta\n");
        assert_eq!(liner.push(b"c\n\nd"), b"7\tbc\n7\t\n");
        assert_eq!(liner.take_line(), b"7\td\n");
        assert_eq!(liner.take_line(), b"");
        assert_eq!(liner.push(&[b'x'; LONGEST_LINE]).len(), 2 + LONGEST_LINE + 1);
    }

    /// What a console gets of these outputs, one program after the other.
    async fn passed(passing: Passing, outputs: &[&'static [u8]]) -> Vec<u8> {
        let (console, mut chunks_rx) = console();
        for output in outputs {
            Listener::new(&console, &passing).listen(Some(*output), OutputStream::Stdout).await;
        }
        drop(console);
        let mut all = Vec::new();
        while let Some(chunk) = chunks_rx.recv().await {
            all.extend(chunk.bytes);
        }
        all
    }

    #[tokio::test]
    async fn output_without_a_newline_does_not_share_its_line_with_the_next_program() {
        let outputs: [&[u8]; 4] = [b"one", b"", b"two\n", b"a\nb"];
        assert_eq!(passed(Passing::Unchanged, &outputs).await, b"onetwo\na\nb");
        assert_eq!(passed(Passing::EndedLines, &outputs).await, b"one\ntwo\na\nb\n");
    }

    #[tokio::test]
    async fn output_that_is_held_back_gets_its_newline_too() {
        let (console, mut chunks_rx) = console();
        let held = Some(HeldOutput::default());
        let mut listener = Listener { held, ..Listener::new(&console, &Passing::EndedLines) };
        listener.listen(Some(&b"one"[..]), OutputStream::Stdout).await;
        assert_eq!(listener.tail.into_captured().tail, "one", "the record has what was written");
        let held = listener.held.take().expect("it is held");
        held.write_to(&console, OutputStream::Stdout).await.expect("memory can be read");
        assert_eq!(chunks_rx.recv().await.expect("one chunk").bytes, b"one\n");
    }

    #[tokio::test]
    async fn output_passes_unchanged_without_a_tag() {
        let (console, mut chunks_rx) = console();
        let mut listener = Listener { tail: Tail::new(3), ..Listener::new(&console, &Passing::Unchanged) };
        listener.listen(Some(&b"a\0b\xffno newline"[..]), OutputStream::Stdout).await;
        assert_eq!(chunks_rx.recv().await.expect("one chunk").bytes, b"a\0b\xffno newline");
        assert_eq!(listener.tail.into_captured().tail, "ine");
    }
}
