//! Processes items on this machine without a cluster: the worker's loop over a queue in memory.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::error::{Error, cannot_write};
use crate::items::{InputSource, Items};
use crate::notice::{Notice, Observer, Warning};
use crate::results::joblog;
use crate::results::printing::{ItemSink, Order, Position, Printing, Spool};
use workqueue_core::memory_queue::MemoryQueue;
use workqueue_core::output::{LARGEST_ITEM, OutputEntry};
use workqueue_core::record::{ResultRecord, Status};
use workqueue_core::shell;
use workqueue_worker::arguments::with_item;
use workqueue_worker::output::{Chunk, console};
use workqueue_worker::{
    self as worker, Ending, Reaper, StopSignal, WorkerObserver, WorkerPlan, WorkerReport,
};

/// Items that are read ahead of those that run. Enough that a free slot need not wait for input, and
/// few enough that memory use stays constant.
const READ_AHEAD: usize = 4;

/// Maximum failed items in a report.
const FAILURES_REPORTED: usize = 10;

pub struct LocalPlan {
    pub source: InputSource,
    /// In bytes. Larger items are refused.
    pub max_item_size: usize,
    pub work: WorkerPlan,
    /// Where to write a log in GNU parallel's format.
    pub joblog: Option<PathBuf>,
    /// What to do with items that are in this log.
    pub resume: Resume,
    /// A directory for the programs' output: `SEQ/stdout`, `SEQ/stderr`, `SEQ/seq`.
    pub results: Option<PathBuf>,
    /// Print items in their order, and not as they end; with a sink.
    pub keep_order: bool,
}

/// Which items of an earlier run's log are skipped; as in GNU parallel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resume {
    /// The log must be new.
    #[default]
    Nothing,
    /// All that are in it.
    Unfinished,
    /// Those that were done.
    Failed,
}

pub struct LocalReport {
    /// Items that succeeded.
    pub done: u64,
    /// Items that failed and are not retried.
    pub failed: u64,
    /// Blank lines of the input, which are no items.
    pub blank: u64,
    /// The first failed items.
    pub failures: Vec<ResultRecord>,
    /// Whether a signal ended the run before its last item.
    pub interrupted: bool,
    /// Whether the halt rule ended the run before its last item.
    pub halted: bool,
}

/// Processes all items of the source. With a sink, that prints what items write to standard output.
///
/// # Errors
/// Bad input, after all items before it have been processed; a program that cannot be started;
/// files that cannot be written.
pub async fn local(
    plan: LocalPlan,
    sink: Option<&(dyn ItemSink + Sync)>,
    observer: &dyn Observer,
    stop_rx: mpsc::UnboundedReceiver<StopSignal>,
) -> (LocalReport, Result<(), Error>) {
    let opened = plan.source.check().and_then(|()| Items::open(plan.source.clone(), plan.max_item_size));
    let items = match opened {
        Ok(items) => items,
        Err(error) => return (Tally::default().report(None), Err(error.into())),
    };
    let mut files = match LocalFiles::create(&plan) {
        Ok(files) => files,
        Err(error) => return (Tally::default().report(None), Err(error)),
    };
    let skip = std::mem::take(&mut files.skip);
    let mut whole = match sink.map(|sink| WholeItems::new(sink, plan.keep_order, skip.clone())).transpose() {
        Ok(whole) => whole,
        Err(error) => return (Tally::default().report(None), Err(error)),
    };
    let (notes, at_once) = (items.notes(), plan.work.concurrency as u64);
    let queue = MemoryQueue::over_items(items, plan.work.concurrency + READ_AHEAD).skipping(skip);
    let (events_tx, mut events_rx) = mpsc::unbounded_channel();
    let (console, mut chunks_rx) = console();
    let working = worker::run(queue, plan.work, stop_rx, console, Reaper::default(), Relay { events_tx });
    let mut working = std::pin::pin!(working);
    let mut tally = Tally { at_most: at_once, ..Tally::default() };
    let mut written = Ok(());
    let mut result = None;
    loop {
        tokio::select! {
            // The work comes first: a program may write faster than the terminal can display, and the
            // user's interrupt is handled by the work.
            biased;
            ended = &mut working, if result.is_none() => result = Some(ended),
            Some(event) = events_rx.recv() => {
                let mut next = Some(event);
                // All of them before more work is done: with a slow reader they would pile up.
                while let Some(mut event) = next {
                    let printed = whole.as_mut().map_or(Ok(()), |whole| whole.take(&mut event));
                    written = written.and(printed).and(files.take(&event));
                    observer.warn_of_input(&notes);
                    tally.take(event, observer);
                    next = events_rx.try_recv().ok();
                }
            }
            Some(chunk) = chunks_rx.recv() => output(observer, &chunk),
            else => break,
        }
    }
    written = written.and(whole.map_or(Ok(()), WholeItems::finish));
    let (ending, result) = match result {
        Some(Ok(WorkerReport { ending, .. })) => (Some(ending), Ok(())),
        Some(Err(error)) => (None, Err(error.into())),
        None => (None, Ok(())),
    };
    observer.warn_of_input(&notes);
    let report = LocalReport { blank: notes.blank(), ..tally.report(ending.as_ref()) };
    (report, result.and(written))
}

/// Prints each item as a whole once it has ended.
struct WholeItems<'a> {
    printing: Printing<&'a (dyn ItemSink + Sync)>,
    /// Running items, unless they are large, by id.
    bodies: HashMap<String, Vec<u8>>,
}

impl<'a> WholeItems<'a> {
    fn new(sink: &'a (dyn ItemSink + Sync), keep_order: bool, skip: HashSet<u64>) -> Result<Self, Error> {
        let spool = keep_order.then(Spool::temporary).transpose()?;
        let order = spool.map(|spool| Order::new(None, spool).skipping(skip));
        Ok(Self { printing: Printing::new(sink, Position::nowhere(), order), bodies: HashMap::new() })
    }

    /// Takes the output out of the record of an item that has ended.
    fn take(&mut self, event: &mut Event) -> Result<(), Error> {
        match event {
            Event::Started { id, body } if body.len() <= LARGEST_ITEM => {
                self.bodies.insert(id.clone(), body.clone());
            }
            Event::Settled(record) => {
                let entry = OutputEntry {
                    id: record.id.clone(),
                    status: record.status,
                    item: self.bodies.remove(&record.id),
                    written: record.stdout.bytes,
                    output: record.stdout.whole.take().unwrap_or_default(),
                };
                // A reader that is gone ends the work by itself.
                self.printing.take(std::slice::from_ref(&entry))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Prints what has waited for items that did not end.
    fn finish(mut self) -> Result<(), Error> {
        self.printing.finish().map(|_| ())
    }
}

fn output(observer: &dyn Observer, chunk: &Chunk) {
    observer.on(Notice::Output { stream: chunk.stream, bytes: &chunk.bytes });
}

/// A notice of the loop, sent to where handling it may take time.
enum Event {
    Started { id: String, body: Vec<u8> },
    Retry { record: Box<ResultRecord>, pause: Duration },
    Settled(Box<ResultRecord>),
    Stopping { running: usize },
    Halting { failed: u64, running: usize },
    Note(String),
}

struct Relay {
    events_tx: mpsc::UnboundedSender<Event>,
}

impl WorkerObserver for Relay {
    fn on(&self, notice: worker::WorkerNotice<'_>) {
        let event = match notice {
            worker::WorkerNotice::Started { id, body } => {
                // One more, so that a large item is not taken for a whole one.
                let start = &body[..body.len().min(LARGEST_ITEM + 1)];
                Event::Started { id: id.to_owned(), body: start.to_vec() }
            }
            worker::WorkerNotice::Retry { record, pause } => {
                Event::Retry { record: Box::new(record.clone()), pause }
            }
            worker::WorkerNotice::Settled(record) | worker::WorkerNotice::Superseded(record) => {
                Event::Settled(Box::new(record.clone()))
            }
            worker::WorkerNotice::Stopping { running } => Event::Stopping { running },
            worker::WorkerNotice::Halting { failed, running } => Event::Halting { failed, running },
            worker::WorkerNotice::Note(note) => Event::Note(note.to_owned()),
        };
        // Received until the loop has ended.
        self.events_tx.send(event).ok();
    }
}

#[derive(Default)]
struct Tally {
    done: u64,
    failed: u64,
    running: u64,
    /// How many run at a time. A place is free moments before its item is settled.
    at_most: u64,
    failures: Vec<ResultRecord>,
}

impl Tally {
    fn take(&mut self, event: Event, observer: &dyn Observer) {
        match event {
            Event::Started { .. } => self.running += 1,
            Event::Retry { record, pause } => observer.on(Notice::Retry { record: &record, pause }),
            Event::Settled(record) => self.settled(*record, observer),
            Event::Stopping { running } => observer.warn(Warning::Stopping { running }),
            Event::Halting { failed, running } => observer.warn(Warning::Halting { failed, running }),
            Event::Note(note) => observer.warn(Warning::Worker(&note)),
        }
        let running = self.running.min(self.at_most);
        observer.on(Notice::Work { done: self.done, failed: self.failed, running });
    }

    fn settled(&mut self, record: ResultRecord, observer: &dyn Observer) {
        self.running = self.running.saturating_sub(1);
        if record.status == Status::Done {
            self.done += 1;
            return;
        }
        self.failed += 1;
        observer.warn(Warning::ItemFailed(&record));
        if self.failures.len() < FAILURES_REPORTED {
            self.failures.push(record);
        }
    }

    fn report(self, ending: Option<&Ending>) -> LocalReport {
        LocalReport {
            done: self.done,
            failed: self.failed,
            blank: 0,
            failures: self.failures,
            interrupted: matches!(ending, Some(Ending::Stopped(_))),
            halted: ending == Some(&Ending::Halted),
        }
    }
}

/// The job log and the results directory.
struct LocalFiles {
    log: Option<(PathBuf, File)>,
    /// Numbers of the items that an earlier run has settled.
    skip: HashSet<u64>,
    results: Option<PathBuf>,
    program: Vec<OsString>,
    /// The command lines of running items, by the item's id.
    commands: HashMap<String, String>,
}

impl LocalFiles {
    fn create(plan: &LocalPlan) -> Result<Self, Error> {
        let log = plan.joblog.as_ref().map(|path| open_log(path, plan.resume));
        let (log, skip) = match log.transpose()? {
            Some((log, skip)) => (Some(log), skip),
            None => (None, HashSet::new()),
        };
        if let Some(results) = &plan.results {
            std::fs::create_dir_all(results).map_err(|source| cannot_write(results, source))?;
        }
        let (results, program) = (plan.results.clone(), plan.work.program.clone());
        Ok(Self { log, skip, results, program, commands: HashMap::new() })
    }

    fn take(&mut self, event: &Event) -> Result<(), Error> {
        match event {
            Event::Started { id, body } if self.log.is_some() => {
                let arguments = with_item(&self.program, body);
                let line = shell::command_line(arguments.iter().map(OsString::as_os_str));
                self.commands.insert(id.clone(), line);
                Ok(())
            }
            Event::Settled(record) => self.settled(record),
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

/// Opens the job log; returns which of its items to skip.
fn open_log(path: &Path, resume: Resume) -> Result<((PathBuf, File), HashSet<u64>), Error> {
    let failed = |source| cannot_write(path, source);
    // A pipe or a terminal holds no earlier log.
    let earlier = if path.is_file() { std::fs::read(path).map_err(failed)? } else { Vec::new() };
    if resume == Resume::Nothing && !earlier.is_empty() {
        return Err(Error::JobLogExists(path.display().to_string()));
    }
    let skip = joblog::settled(&earlier, resume == Resume::Failed);
    let file = joblog::append(path, &earlier).map_err(failed)?;
    Ok(((path.to_owned(), file), skip))
}
