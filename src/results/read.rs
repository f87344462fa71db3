//! Reads the result records of a queue, and optionally writes them to files.

use std::path::PathBuf;

use crate::error::Error;
use crate::queue::connection::BrokerConnection;
use crate::results::files::ResultFiles;
use crate::results::last_record::LastRecords;
use workqueue_amqp::result_stream::{self, ReadFrom, RecordMessage, ResultReader, StreamEnd};
use workqueue_core::names::QueueName;
use workqueue_core::record::{ResultRecord, Status};

/// How many bytes of messages are kept from the first pass for the second one: some 100,000 records of
/// programs that write little.
const KEPT_BYTES: usize = 64 << 20;

pub struct ResultsPlan {
    pub queue: QueueName,
    /// Only the records of this run.
    pub run: Option<String>,
    /// Only records with this status.
    pub status: Option<Status>,
    /// Only the records of this item, by id.
    pub item: Option<String>,
    /// Where to write a log in GNU parallel's format.
    pub joblog: Option<PathBuf>,
    /// A directory for the programs' output: `ID/stdout`, `ID/stderr`, `ID/seq`.
    pub results: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResultsReport {
    /// Items that succeeded.
    pub done: u64,
    /// Items that failed.
    pub failed: u64,
    /// Records that were skipped because there is a later one of the same item and run.
    pub repeated: u64,
    /// Messages, or lines of messages, that are not result records.
    pub unreadable: u64,
    /// Items whose record contains only the end of their output.
    pub shortened: u64,
    /// Whether older records have been dropped from the stream.
    pub truncated: bool,
}

/// Receives the records.
pub trait RecordSink {
    /// Called in the first pass for each record that `take` may get in the second one.
    fn survey(&mut self, record: &ResultRecord);

    /// Called in the second pass for the last record of each item.
    fn take(&mut self, record: &ResultRecord);
}

/// Passes over the records twice: the first pass finds the last record of each item, and the second one
/// passes only those on. What was kept of the first pass is not read again.
///
/// # Errors
/// Those of the broker connection, and files that cannot be written.
pub async fn results(
    session: &BrokerConnection,
    plan: &ResultsPlan,
    sink: &mut dyn RecordSink,
) -> Result<ResultsReport, Error> {
    let mut report = ResultsReport::default();
    let mut files = ResultFiles::create(plan.joblog.as_deref(), plan.results.as_deref())?;
    let end =
        result_stream::end(&session.broker, &plan.queue).await.map_err(|error| session.explain(error))?;
    let Some(end) = end else { return Ok(report) };
    let mut first = FirstPass::default();
    report.truncated = read(session, plan, ReadFrom::Oldest, end, |message| {
        first.take(message, plan, sink);
        Ok(())
    })
    .await?;
    let (mut last, FirstPass { latest, kept, selected, unreadable }) = (0, first);
    let mut take = |message: RecordMessage| {
        for (position, record) in message.records() {
            let is_wanted = |record: &ResultRecord| plan.selects(record) && latest.is_last(record, position);
            let Some(record) = record.filter(is_wanted) else { continue };
            last += 1;
            if plan.has_status(&record) {
                report.count(&record);
                sink.take(&record);
                files.write(&record)?;
            }
        }
        Ok(())
    };
    let from = kept.read_on_from();
    kept.messages.into_iter().try_for_each(&mut take)?;
    read(session, plan, from, end, take).await?;
    files.finish()?;
    // Records may have been dropped from the stream between the two passes.
    report.repeated = u64::saturating_sub(selected, last);
    report.unreadable = unreadable;
    Ok(report)
}

/// What the first pass finds.
#[derive(Default)]
struct FirstPass {
    latest: LastRecords,
    kept: KeptMessages,
    /// Records that the plan selects.
    selected: u64,
    unreadable: u64,
}

impl FirstPass {
    fn take(&mut self, message: RecordMessage, plan: &ResultsPlan, sink: &mut dyn RecordSink) {
        for (position, record) in message.records() {
            let Some(record) = record else {
                self.unreadable += 1;
                continue;
            };
            if plan.selects(&record) {
                self.selected += 1;
                self.latest.note(&record, position);
                if plan.has_status(&record) {
                    sink.survey(&record);
                }
            }
        }
        self.kept.keep(message);
    }
}

/// The first messages of the stream, as many as memory is meant for.
#[derive(Default)]
struct KeptMessages {
    messages: Vec<RecordMessage>,
    bytes: usize,
    is_full: bool,
}

impl KeptMessages {
    fn keep(&mut self, message: RecordMessage) {
        self.bytes += message.size();
        self.is_full |= self.bytes > KEPT_BYTES;
        if !self.is_full {
            self.messages.push(message);
        }
    }

    /// Where the messages begin that were not kept.
    fn read_on_from(&self) -> ReadFrom {
        self.messages.last().map_or(ReadFrom::Oldest, |last| ReadFrom::After(last.offset()))
    }
}

/// Reads to the end. Returns whether older records have been dropped from the stream.
async fn read(
    session: &BrokerConnection,
    plan: &ResultsPlan,
    from: ReadFrom,
    end: StreamEnd,
    mut take: impl FnMut(RecordMessage) -> Result<(), Error>,
) -> Result<bool, Error> {
    let failed = |error| session.explain(error);
    let mut reading = ResultReader::open(&session.broker, &plan.queue, from, end).await.map_err(failed)?;
    while let Some(message) = reading.next().await.map_err(failed)? {
        take(message)?;
    }
    let truncated = reading.is_truncated();
    reading.close().await;
    Ok(truncated)
}

impl ResultsPlan {
    /// Whether a record belongs to the requested run and item. Its status does not matter here: if an
    /// item has several records, the last one counts, whether or not it has the requested status.
    fn selects(&self, record: &ResultRecord) -> bool {
        let run = self.run.as_ref().is_none_or(|run| record.run.as_ref() == Some(run));
        run && self.item.as_ref().is_none_or(|item| record.id == *item)
    }

    fn has_status(&self, record: &ResultRecord) -> bool {
        self.status.is_none_or(|status| record.status == status)
    }
}

impl ResultsReport {
    fn count(&mut self, record: &ResultRecord) {
        match record.status {
            Status::Done => self.done += 1,
            Status::Failed => self.failed += 1,
        }
        let shortened = [&record.stdout, &record.stderr].iter().any(|output| output.is_shortened());
        self.shortened += u64::from(shortened);
    }
}
