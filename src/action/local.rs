//! Works on items on this machine: the worker's loop over the queue in memory, without a cluster.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

use super::error::cannot_write;
use super::{Error, Event, Observer, joblog};
use crate::items::{Items, Source};
use workqueue_core::memory_queue::MemoryQueue;
use workqueue_core::record::{ResultRecord, Status};
use workqueue_worker::output::{Chunk, console};
use workqueue_worker::{Ending, Notice, Reaper, StopSignal, WorkerObserver, WorkerPlan, WorkerReport};

/// Items that are read ahead of those that run: reading them must not hold up a free slot, and
/// memory must stay flat.
const READ_AHEAD: usize = 4;

/// Failed items that a report tells of.
const FAILURES_TOLD: usize = 10;

/// What to do.
pub struct LocalPlan {
    /// Where the items come from.
    pub source: Source,
    /// Larger items are refused; bytes.
    pub max_item_size: usize,
    /// How they are worked on.
    pub work: WorkerPlan,
    /// A file for a log in the form of GNU parallel's.
    pub joblog: Option<PathBuf>,
    /// A directory for what programs write: `SEQ/stdout`, `SEQ/stderr`, `SEQ/seq`.
    pub results: Option<PathBuf>,
}

/// What became of it.
pub struct LocalReport {
    /// Items done.
    pub done: u64,
    /// Items failed for good.
    pub failed: u64,
    /// The first of those.
    pub failures: Vec<ResultRecord>,
    /// Whether a signal ended it before the last item.
    pub interrupted: bool,
    /// Whether failures did.
    pub halted: bool,
}

/// Works on all items of the source.
///
/// # Errors
/// Bad input, once all before it is done; a program that cannot be started; files that cannot be
/// written.
pub async fn local(
    plan: LocalPlan,
    observer: &dyn Observer,
    stop_rx: mpsc::UnboundedReceiver<StopSignal>,
) -> (LocalReport, Result<(), Error>) {
    let mut files = match Files::create(&plan) {
        Ok(files) => files,
        Err(error) => return (Tally::default().report(None), Err(error)),
    };
    let items = match Items::open(plan.source, plan.max_item_size) {
        Ok(items) => items,
        Err(error) => return (Tally::default().report(None), Err(error.into())),
    };
    let queue = MemoryQueue::over_items(items, plan.work.concurrency + READ_AHEAD);
    let (said_tx, mut said_rx) = mpsc::unbounded_channel();
    let (console, mut chunks_rx) = console();
    let working =
        workqueue_worker::run(queue, plan.work, stop_rx, console, Reaper::default(), Relay { said_tx });
    let mut working = std::pin::pin!(working);
    let mut tally = Tally::default();
    let mut written = Ok(());
    let mut result = None;
    loop {
        tokio::select! {
            // The work first: a program may write faster than the terminal takes it, and the user's
            // interrupt comes through the work.
            biased;
            ended = &mut working, if result.is_none() => result = Some(ended),
            Some(said) = said_rx.recv() => {
                if let Err(error) = files.hear(&said) {
                    written = written.and(Err(error));
                }
                tally.hear(said, observer);
            }
            Some(chunk) = chunks_rx.recv() => output(observer, &chunk),
            else => break,
        }
    }
    let (ending, result) = match result {
        Some(Ok(WorkerReport { ending, .. })) => (Some(ending), Ok(())),
        Some(Err(error)) => (None, Err(error.into())),
        None => (None, Ok(())),
    };
    (tally.report(ending.as_ref()), result.and(written))
}

fn output(observer: &dyn Observer, chunk: &Chunk) {
    observer.on(Event::Output { stream: chunk.stream, bytes: &chunk.bytes });
}

/// What the loop said, to be told where it may take time.
enum Said {
    Started { id: String, body: Vec<u8> },
    Retry { record: Box<ResultRecord>, pause: Duration },
    Settled(Box<ResultRecord>),
    Stopping { running: usize },
    Halting { failed: u64, running: usize },
    Note(String),
}

struct Relay {
    said_tx: mpsc::UnboundedSender<Said>,
}

impl WorkerObserver for Relay {
    fn on(&self, notice: Notice<'_>) {
        let said = match notice {
            Notice::Started { id, body } => {
                let start = &body[..body.len().min(joblog::LONGEST_ARGUMENT)];
                Said::Started { id: id.to_owned(), body: start.to_vec() }
            }
            Notice::Retry { record, pause } => Said::Retry { record: Box::new(record.clone()), pause },
            Notice::Settled(record) | Notice::Superseded(record) => Said::Settled(Box::new(record.clone())),
            Notice::Stopping { running } => Said::Stopping { running },
            Notice::Halting { failed, running } => Said::Halting { failed, running },
            Notice::Note(note) => Said::Note(note.to_owned()),
        };
        // Heard until the loop has ended.
        self.said_tx.send(said).ok();
    }
}

#[derive(Default)]
struct Tally {
    done: u64,
    failed: u64,
    running: u64,
    failures: Vec<ResultRecord>,
}

impl Tally {
    fn hear(&mut self, said: Said, observer: &dyn Observer) {
        match said {
            Said::Started { .. } => self.running += 1,
            Said::Retry { record, pause } => observer.on(Event::Detail(&format!(
                "item {}: attempt {} {}; the next one in {:.1} s",
                record.id,
                record.attempts,
                record.how(),
                pause.as_secs_f64()
            ))),
            Said::Settled(record) => self.settled(*record, observer),
            Said::Stopping { running } => {
                observer.on(Event::Note(&format!(
                    "ending; {running} items that run may finish (once more to end them)"
                )));
            }
            Said::Halting { failed, running } => observer
                .on(Event::Note(&format!("halting: {failed} items have failed; {running} items still run"))),
            Said::Note(note) => observer.on(Event::Note(&note)),
        }
        observer.on(Event::Work { done: self.done, failed: self.failed, running: self.running });
    }

    fn settled(&mut self, record: ResultRecord, observer: &dyn Observer) {
        self.running = self.running.saturating_sub(1);
        if record.status == Status::Done {
            self.done += 1;
            return;
        }
        self.failed += 1;
        let attempts = record.attempts;
        observer.on(Event::Note(&format!("item {} failed: attempt {attempts} {}", record.id, record.how())));
        if self.failures.len() < FAILURES_TOLD {
            self.failures.push(record);
        }
    }

    fn report(self, ending: Option<&Ending>) -> LocalReport {
        LocalReport {
            done: self.done,
            failed: self.failed,
            failures: self.failures,
            interrupted: matches!(ending, Some(Ending::Stopped(_))),
            halted: ending == Some(&Ending::Halted),
        }
    }
}

/// The job log and the directory of results.
struct Files {
    log: Option<(PathBuf, File)>,
    results: Option<PathBuf>,
    program: Vec<OsString>,
    /// The command lines of the items that run.
    commands: HashMap<String, String>,
}

impl Files {
    fn create(plan: &LocalPlan) -> Result<Self, Error> {
        let log = plan.joblog.as_ref().map(|path| {
            let written = File::create(path).and_then(|mut file| {
                file.write_all(joblog::HEADER.as_bytes())?;
                Ok((path.clone(), file))
            });
            written.map_err(|source| cannot_write(path, source))
        });
        if let Some(results) = &plan.results {
            std::fs::create_dir_all(results).map_err(|source| cannot_write(results, source))?;
        }
        let (results, program) = (plan.results.clone(), plan.work.program.clone());
        Ok(Self { log: log.transpose()?, results, program, commands: HashMap::new() })
    }

    fn hear(&mut self, said: &Said) -> Result<(), Error> {
        match said {
            Said::Started { id, body } if self.log.is_some() => {
                let arguments = self.program.iter().map(|argument| match argument.as_bytes() {
                    b"{}" => OsStr::from_bytes(body),
                    _ => argument,
                });
                self.commands.insert(id.clone(), joblog::command_line(arguments));
                Ok(())
            }
            Said::Settled(record) => self.settled(record),
            _ => Ok(()),
        }
    }

    fn settled(&mut self, record: &ResultRecord) -> Result<(), Error> {
        if let Some(results) = &self.results {
            let path = results.join(&record.id).join("seq");
            std::fs::write(&path, &record.id).map_err(|source| cannot_write(&path, source))?;
        }
        if let Some((path, file)) = &mut self.log {
            let command = self.commands.remove(&record.id).unwrap_or_default();
            let written = joblog::write_line(file, &record.id, ":", record, &command);
            written.map_err(|source| cannot_write(path, source))?;
        }
        Ok(())
    }
}
