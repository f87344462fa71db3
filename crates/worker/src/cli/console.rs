//! The pod's log: the output of programs, and the worker's own messages on standard error.

use std::io::Write as _;
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::output::{Chunk, OutputStream};
use crate::{WorkerNotice, WorkerObserver};
use workqueue_core::record::{Reason, ResultRecord, Status};
use workqueue_core::words::{are, count, have};

/// Writes chunks in a thread of its own, so that a slow log blocks nothing else. Ends with the last
/// sender.
pub(super) fn write_out(mut chunks_rx: mpsc::Receiver<Chunk>) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("console".to_owned()).spawn(move || {
        while let Some(Chunk { stream, bytes }) = chunks_rx.blocking_recv() {
            // A log that is gone does not stop the work.
            match stream {
                OutputStream::Stdout => {
                    let mut stdout = std::io::stdout().lock();
                    stdout.write_all(&bytes).and_then(|()| stdout.flush()).ok();
                }
                OutputStream::Stderr => _ = std::io::stderr().lock().write_all(&bytes).ok(),
            }
        }
    })
}

/// Writes the worker's messages; with `verbose`, every item.
pub(super) struct Log {
    pub verbose: bool,
}

impl WorkerObserver for Log {
    fn on(&self, notice: WorkerNotice<'_>) {
        match notice {
            WorkerNotice::Started { id, .. } if self.verbose => say(&format!("item {id}: started")),
            WorkerNotice::Started { .. } => {}
            WorkerNotice::Retry { record, pause } => say(&format!(
                "item {}: attempt {} {}; the next one in {}",
                record.id,
                record.attempts,
                record.how(),
                in_words(pause)
            )),
            WorkerNotice::Settled(record) if record.status == Status::Failed => say(&format!(
                "item {}: failed: {}; it is in {}.failed now",
                record.id,
                last_attempt(record),
                record.queue
            )),
            WorkerNotice::Settled(record) if self.verbose => say(&format!("item {}: done", record.id)),
            WorkerNotice::Settled(_) => {}
            WorkerNotice::Superseded(record) => say(&format!(
                "item {}: finished, but it had been requeued meanwhile and will be processed again",
                record.id
            )),
            WorkerNotice::Stopping { running } => {
                let running = count(running as u64, "running item");
                say(&format!("stopping; {running} may finish in the grace period"));
            }
            WorkerNotice::Halting { failed, running } => say(&format!(
                "halting: {} failed in the run; {} here",
                have(failed, "item"),
                are_running(running)
            )),
            WorkerNotice::Note(note) => say(note),
        }
    }
}

fn last_attempt(record: &ResultRecord) -> String {
    match record.reason {
        Some(Reason::Deaths) => format!("it {}", record.how()),
        _ => format!("attempt {} {}", record.attempts, record.how()),
    }
}

fn are_running(running: usize) -> String {
    format!("{} still running", are(running as u64, "item"))
}

/// Messages that wait for a log that is not read. More are dropped: the work must not wait for it.
const MESSAGES: usize = 1000;

/// How long the worker's end waits for its messages to be read.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

enum Message {
    Line(String),
    /// Answered once everything before it is written.
    Flush(Sender<()>),
}

/// A thread of its own writes messages: one that is stuck must not stop the event loop.
static MESSAGES_TX: LazyLock<SyncSender<Message>> = LazyLock::new(|| {
    let (messages_tx, messages_rx) = sync_channel(MESSAGES);
    std::thread::spawn(move || {
        for message in messages_rx {
            match message {
                // Not eprintln, which panics where nobody reads the log any more.
                Message::Line(line) => _ = writeln!(std::io::stderr(), "workqueue-worker: {line}").ok(),
                Message::Flush(written_tx) => _ = written_tx.send(()).ok(),
            }
        }
    });
    messages_tx
});

/// Writes a message, soon. Never waits.
pub(super) fn say(message: &str) {
    MESSAGES_TX.try_send(Message::Line(message.to_owned())).ok();
}

/// Waits until all messages are written, or nobody seems to read them.
pub(super) fn flush() {
    let (written_tx, written_rx) = channel();
    if MESSAGES_TX.try_send(Message::Flush(written_tx)).is_ok() {
        written_rx.recv_timeout(FLUSH_WITHIN).ok();
    }
}

fn in_words(pause: Duration) -> String {
    format!("{:.1} s", pause.as_secs_f64())
}
