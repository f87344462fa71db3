//! Reads the results of a queue's items, and writes them into files on demand.

use std::path::PathBuf;

use super::Error;
use super::latest::Latest;
use super::result_files::ResultFiles;
use super::session::Session;
use workqueue_amqp::result_stream::{self, ReadFrom, ResultReader, StreamEnd};
use workqueue_core::names::QueueName;
use workqueue_core::record::{ResultRecord, Status};

/// What to read.
pub struct ResultsPlan {
    /// The queue of the items.
    pub queue: QueueName,
    /// The records of this run alone.
    pub run: Option<String>,
    /// Those with this status alone.
    pub status: Option<Status>,
    /// Those of this item alone.
    pub item: Option<String>,
    /// A file for a log in the form of GNU parallel's.
    pub joblog: Option<PathBuf>,
    /// A directory for what programs wrote: `ID/stdout`, `ID/stderr`, `ID/seq`.
    pub results: Option<PathBuf>,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResultsReport {
    /// Items done.
    pub done: u64,
    /// Items failed.
    pub failed: u64,
    /// Records in whose place a later one of the same item and run was taken.
    pub repeated: u64,
    /// Messages that are no records of ours.
    pub unreadable: u64,
    /// Items of which the record keeps the end of their output alone.
    pub shortened: u64,
    /// Whether older records have been evicted.
    pub truncated: bool,
}

/// Takes the records.
pub trait Reader {
    /// Sees each record that may come, before the first one does.
    fn survey(&mut self, record: &ResultRecord);

    /// Takes a record.
    fn take(&mut self, record: &ResultRecord);
}

/// Reads the stream of results twice: what a first reading finds recorded again is taken once.
///
/// # Errors
/// No broker, a connection that is lost, files that cannot be written.
pub async fn results(
    session: &Session,
    plan: &ResultsPlan,
    reader: &mut dyn Reader,
) -> Result<ResultsReport, Error> {
    let mut report = ResultsReport::default();
    let mut files = ResultFiles::create(plan.joblog.as_deref(), plan.results.as_deref())?;
    let end =
        result_stream::end(&session.broker, &plan.queue).await.map_err(|error| session.explain(error))?;
    let Some(end) = end else { return Ok(report) };
    let mut latest = Latest::new();
    let (mut records, mut unreadable) = (0, 0);
    report.truncated = read(session, plan, end, |record, offset| {
        match record {
            None => unreadable += 1,
            Some(record) if plan.concerns(record) => {
                records += 1;
                latest.note(record, offset);
                if plan.has_status(record) {
                    reader.survey(record);
                }
            }
            Some(_) => {}
        }
        Ok(())
    })
    .await?;
    report.unreadable = unreadable;
    let mut last = 0;
    read(session, plan, end, |record, offset| {
        let concerns = |record: &&ResultRecord| plan.concerns(record) && latest.is_last(record, offset);
        let Some(record) = record.filter(concerns) else { return Ok(()) };
        last += 1;
        if plan.has_status(record) {
            report.count(record);
            reader.take(record);
            files.write(record)?;
        }
        Ok(())
    })
    .await?;
    files.finish()?;
    // Records may have been evicted between the two readings.
    report.repeated = u64::saturating_sub(records, last);
    Ok(report)
}

/// Reads to the end; says whether older records are gone.
async fn read(
    session: &Session,
    plan: &ResultsPlan,
    end: StreamEnd,
    mut take: impl FnMut(Option<&ResultRecord>, i64) -> Result<(), Error>,
) -> Result<bool, Error> {
    let failed = |error| session.explain(error);
    let mut reading =
        ResultReader::open(&session.broker, &plan.queue, ReadFrom::Oldest, end).await.map_err(failed)?;
    while let Some(entry) = reading.next().await.map_err(failed)? {
        take(entry.record.as_ref(), entry.offset)?;
    }
    let truncated = reading.is_truncated();
    reading.close().await;
    Ok(truncated)
}

impl ResultsPlan {
    /// Whether a record is of the run and the item that are asked for. Of several records of an
    /// item the last one counts, whatever the status that is asked for.
    fn concerns(&self, record: &ResultRecord) -> bool {
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
