//! Reads the result records of a queue, and optionally writes them to files.

use std::path::PathBuf;

use crate::error::Error;
use crate::queue::connection::BrokerConnection;
use crate::results::files::ResultFiles;
use crate::results::last_record::LastRecords;
use workqueue_amqp::result_stream::{self, ReadFrom, RecordPosition, ResultReader, StreamEnd};
use workqueue_core::names::QueueName;
use workqueue_core::record::{ResultRecord, Status};

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

/// Reads the result stream twice: the first pass finds the last record of each item, and the second
/// one passes only those on.
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
    let (latest, selected) = first_pass(session, plan, end, sink, &mut report).await?;
    let mut last = 0;
    read(session, plan, end, |record, position| {
        let is_wanted = |record: &&ResultRecord| plan.selects(record) && latest.is_last(record, position);
        let Some(record) = record.filter(is_wanted) else { return Ok(()) };
        last += 1;
        if plan.has_status(record) {
            report.count(record);
            sink.take(record);
            files.write(record)?;
        }
        Ok(())
    })
    .await?;
    files.finish()?;
    // Records may have been dropped from the stream between the two passes.
    report.repeated = u64::saturating_sub(selected, last);
    Ok(report)
}

/// Finds the last record of each item. Also returns the number of records that the plan selects.
async fn first_pass(
    session: &BrokerConnection,
    plan: &ResultsPlan,
    end: StreamEnd,
    sink: &mut dyn RecordSink,
    report: &mut ResultsReport,
) -> Result<(LastRecords, u64), Error> {
    let mut latest = LastRecords::new();
    let (mut selected, mut unreadable) = (0, 0);
    report.truncated = read(session, plan, end, |record, position| {
        match record {
            None => unreadable += 1,
            Some(record) if plan.selects(record) => {
                selected += 1;
                latest.note(record, position);
                if plan.has_status(record) {
                    sink.survey(record);
                }
            }
            Some(_) => {}
        }
        Ok(())
    })
    .await?;
    report.unreadable = unreadable;
    Ok((latest, selected))
}

/// Reads to the end. Returns whether older records have been dropped from the stream.
async fn read(
    session: &BrokerConnection,
    plan: &ResultsPlan,
    end: StreamEnd,
    mut take: impl FnMut(Option<&ResultRecord>, RecordPosition) -> Result<(), Error>,
) -> Result<bool, Error> {
    let failed = |error| session.explain(error);
    let mut reading =
        ResultReader::open(&session.broker, &plan.queue, ReadFrom::Oldest, end).await.map_err(failed)?;
    while let Some(entry) = reading.next().await.map_err(failed)? {
        take(entry.record.as_ref(), entry.position)?;
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
