//! Reads the whole outputs of a run, and writes each item's into a file of its own or passes it on.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, cannot_write};
use crate::queue::connection::BrokerConnection;
use crate::results::files::file_name;
use crate::results::written::WrittenItems;
use workqueue_amqp::outputs::{OutputMessage, OutputReader};
use workqueue_amqp::{ledger, topology};
use workqueue_core::names::QueueName;
use workqueue_core::output::OutputEntry;
use workqueue_core::record::Status;

/// The most ids of cut outputs that a report names.
const NAMED: usize = 10;

pub struct OutputsPlan {
    pub queue: QueueName,
    /// The run; `None` for the last one that keeps outputs.
    pub run: Option<String>,
    /// Only the output of this item, by id.
    pub item: Option<String>,
    /// Remove from the broker what has been written.
    pub remove: bool,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutputsReport {
    pub run: String,
    /// Items whose output was written.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Outputs that were left out because that of the same item had been written.
    pub repeated: u64,
    /// Items whose output is not whole.
    pub cut: u64,
    /// The first of these, by id.
    pub cut_ids: Vec<String>,
    /// Done items without an output here: they were collected before, or are on their way.
    pub absent: u64,
}

/// Takes the output of an item that is done.
pub trait OutputSink {
    /// Returns whether it wants more.
    ///
    /// # Errors
    /// What cannot be written.
    fn take(&mut self, entry: &OutputEntry) -> Result<bool, Error>;
}

/// A file an item in a directory. Files that are there are replaced, as a whole.
pub struct OutputFiles {
    directory: PathBuf,
}

impl OutputFiles {
    /// Makes the directory if it is missing.
    ///
    /// # Errors
    /// The system's error.
    pub fn create(directory: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(directory).map_err(|source| cannot_write(directory, source))?;
        Ok(Self { directory: directory.to_owned() })
    }
}

impl OutputSink for OutputFiles {
    fn take(&mut self, entry: &OutputEntry) -> Result<bool, Error> {
        let path = self.directory.join(file_name(&entry.id));
        // No id gives a name with a ~ at its front.
        let draft = self.directory.join(format!("~{}", std::process::id()));
        let written = File::create(&draft).and_then(|mut file| {
            file.write_all(&entry.output)?;
            // The broker may be about to forget it.
            file.sync_all()
        });
        let moved = written.and_then(|()| std::fs::rename(&draft, &path));
        moved.map_err(|source| {
            std::fs::remove_file(&draft).ok();
            cannot_write(&path, source)
        })?;
        Ok(true)
    }
}

/// Reads the outputs that are on the broker now, in the order in which items were settled.
///
/// # Errors
/// [`Error::NoOutputs`]; [`Error::OutputsMissed`] and [`Error::NotOutputs`], once all others have been
/// written; those of the sink and of the broker connection.
pub async fn outputs(
    session: &BrokerConnection,
    plan: &OutputsPlan,
    sink: &mut dyn OutputSink,
) -> Result<OutputsReport, Error> {
    let failed = |error| session.explain(error);
    let (queue, run) = (&plan.queue, find(session, plan).await?);
    let missing = || Error::NoOutputs { run: Some(run.clone()), queue: queue.clone() };
    let reader = OutputReader::open(&session.broker, queue, &run).await.map_err(failed)?;
    let mut reader = reader.ok_or_else(missing)?;
    let mut reading = Reading::of(plan, &run);
    let read = reading.read(&mut reader, session, sink).await;
    let missed = reader.missed();
    // Whatever happened: what was read and not removed has to go back.
    let closed = reader.close().await.map_err(failed);
    let is_whole = read?;
    closed?;
    if is_whole && missed > 0 {
        return Err(Error::OutputsMissed { messages: missed });
    }
    if reading.unreadable > 0 {
        return Err(Error::NotOutputs { messages: reading.unreadable, queue: queue.outputs(&run) });
    }
    if plan.item.is_none() {
        let pages = ledger::read_pages(&session.broker, queue, &run).await.map_err(failed)?;
        let done = pages.map(|pages| pages.sum.done).unwrap_or_default();
        reading.report.absent = reading.written.missing_of(&done).len();
    }
    Ok(reading.report)
}

/// The run whose outputs are meant.
async fn find(session: &BrokerConnection, plan: &OutputsPlan) -> Result<String, Error> {
    if let Some(run) = &plan.run {
        return Ok(run.clone());
    }
    let (broker, queue) = (&session.broker, &plan.queue);
    let book = ledger::look(broker, queue).await.map_err(|error| session.explain(error))?;
    for run in book.iter().flat_map(|book| book.runs.iter().rev()) {
        let exists = topology::exists(broker, &queue.outputs(&run.run)).await;
        if exists.map_err(|error| session.explain(error))? {
            return Ok(run.run.clone());
        }
    }
    Err(Error::NoOutputs { run: None, queue: queue.clone() })
}

struct Reading<'a> {
    plan: &'a OutputsPlan,
    written: WrittenItems,
    unreadable: u64,
    report: OutputsReport,
}

impl<'a> Reading<'a> {
    fn of(plan: &'a OutputsPlan, run: &str) -> Self {
        let report = OutputsReport { run: run.to_owned(), ..OutputsReport::default() };
        Self { plan, written: WrittenItems::default(), unreadable: 0, report }
    }

    /// Reads to the end; false if the sink did not want that.
    async fn read(
        &mut self,
        reader: &mut OutputReader,
        session: &BrokerConnection,
        sink: &mut dyn OutputSink,
    ) -> Result<bool, Error> {
        while let Some(message) = reader.next().await.map_err(|error| session.explain(error))? {
            if !self.take(&message, sink)? {
                return Ok(false);
            }
            if self.plan.remove && self.plan.item.is_none() && message.entries.is_some() {
                reader.remove(message.tag).await.map_err(|error| session.explain(error))?;
            }
        }
        Ok(true)
    }

    fn take(&mut self, message: &OutputMessage, sink: &mut dyn OutputSink) -> Result<bool, Error> {
        let Some(entries) = &message.entries else {
            self.unreadable += 1;
            return Ok(true);
        };
        for entry in entries {
            let is_wanted = self.plan.item.as_ref().is_none_or(|item| *item == entry.id);
            if entry.status == Status::Failed || !is_wanted {
                continue;
            }
            if !self.written.insert(&entry.id) {
                self.report.repeated += 1;
                continue;
            }
            let goes_on = sink.take(entry)?;
            self.count(entry);
            if !goes_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn count(&mut self, entry: &OutputEntry) {
        self.report.items += 1;
        self.report.bytes += entry.output.len() as u64;
        if entry.is_cut() {
            self.report.cut += 1;
            if self.report.cut_ids.len() < NAMED {
                self.report.cut_ids.push(entry.id.clone());
            }
        }
    }
}
