//! The pod's log: the output of programs, and the worker's own messages on standard error.

use std::io::Write as _;
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

pub(super) fn say(message: &str) {
    // Not eprintln, which panics where nobody reads the log any more.
    writeln!(std::io::stderr(), "workqueue-worker: {message}").ok();
}

fn in_words(pause: Duration) -> String {
    format!("{:.1} s", pause.as_secs_f64())
}
