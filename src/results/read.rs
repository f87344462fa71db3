//! Reads the result records of a queue, and optionally writes them to files.

use std::path::PathBuf;

use crate::error::Error;
use crate::queue::connection::BrokerConnection;
use crate::results::files::ResultFiles;
use crate::results::last_record::LastRecords;
use workqueue_amqp::result_stream::{self, ReadFrom, RecordMessage, RecordPosition, ResultReader, StreamEnd};
use workqueue_core::names::QueueName;
use workqueue_core::record::{ResultRecord, Status};

/// How many bytes of records are kept from the first pass for the second one: some 100,000 records of
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
    /// Records of the run and the item that were asked for, whatever their status.
    pub selected: u64,
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
    session.require_queue(&plan.queue).await?;
    let mut report = ResultsReport::default();
    let mut files = ResultFiles::create(plan.joblog.as_deref(), plan.results.as_deref())?;
    let end =
        result_stream::end(&session.broker, &plan.queue).await.map_err(|error| session.explain(error))?;
    let Some(end) = end else { return Ok(report) };
    let mut first = FirstPass::default();
    report.truncated = read(session, plan, ReadFrom::Oldest, end, |message| {
        first.take(&message, plan, sink);
        Ok(())
    })
    .await?;
    let (mut last, FirstPass { latest, kept, selected, unreadable }) = (0, first);
    let mut take = |position, record: &ResultRecord| {
        if plan.selects(record) && latest.is_last(record, position) {
            last += 1;
            if plan.has_status(record) {
                report.count(record);
                sink.take(record);
                files.write(record)?;
            }
        }
        Ok(())
    };
    let rest = kept.rest();
    for (position, record) in kept.complete() {
        take(position, &record)?;
    }
    read(session, plan, rest, end, |message| {
        let mut records = message.records();
        records.try_for_each(|(position, record)| record.map_or(Ok(()), |record| take(position, &record)))
    })
    .await?;
    files.finish()?;
    // Records may have been dropped from the stream between the two passes.
    report.repeated = u64::saturating_sub(selected, last);
    report.selected = selected;
    report.unreadable = unreadable;
    Ok(report)
}

/// What the first pass finds.
#[derive(Default)]
struct FirstPass {
    latest: LastRecords,
    kept: KeptRecords,
    /// Records that the plan selects.
    selected: u64,
    unreadable: u64,
}

impl FirstPass {
    fn take(&mut self, message: &RecordMessage, plan: &ResultsPlan, sink: &mut dyn RecordSink) {
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
                self.kept.keep(position, record);
            }
        }
        self.kept.end_message(message.offset());
    }
}

/// The selected records of the first messages, as many as memory is meant for.
#[derive(Default)]
struct KeptRecords {
    records: Vec<(RecordPosition, ResultRecord)>,
    bytes: usize,
    is_full: bool,
    /// The offset of the last message of which all records were kept.
    last: Option<i64>,
}

impl KeptRecords {
    fn keep(&mut self, position: RecordPosition, record: ResultRecord) {
        self.bytes += memory(&record);
        self.is_full |= self.bytes > KEPT_BYTES;
        if !self.is_full {
            self.records.push((position, record));
        }
    }

    fn end_message(&mut self, offset: i64) {
        if !self.is_full {
            self.last = Some(offset);
        }
    }

    /// The records of the messages that were kept as a whole.
    fn complete(self) -> impl Iterator<Item = (RecordPosition, ResultRecord)> {
        let last = self.last;
        self.records.into_iter().take_while(move |(position, _)| Some(position.offset) <= last)
    }

    /// Where the other messages begin.
    fn rest(&self) -> ReadFrom {
        self.last.map_or(ReadFrom::Oldest, ReadFrom::After)
    }
}

/// About how much memory a record takes.
fn memory(record: &ResultRecord) -> usize {
    size_of::<(RecordPosition, ResultRecord)>()
        + [&record.id, &record.queue, &record.stdout.tail, &record.stderr.tail, &record.location.host]
            .into_iter()
            .chain([&record.run, &record.location.pod, &record.location.node].into_iter().flatten())
            .map(|text| text.capacity())
            .sum::<usize>()
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
    /// Whether some records are left out.
    pub fn is_filtered(&self) -> bool {
        self.run.is_some() || self.item.is_some() || self.status.is_some()
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::last_record;
    use workqueue_core::record::CapturedOutput;

    fn record(tail: usize) -> ResultRecord {
        let stdout = CapturedOutput { bytes: 0, ..CapturedOutput::of("x".repeat(tail)) };
        ResultRecord { stdout, ..last_record::tests::record("r", 1) }
    }

    /// The offsets of the kept records, and where the rest begins, if a message has these records.
    fn kept(messages: &[(i64, &[usize])]) -> (Vec<i64>, ReadFrom) {
        let mut kept = KeptRecords::default();
        for &(offset, tails) in messages {
            for (index, &tail) in (0..).zip(tails) {
                kept.keep(RecordPosition { offset, index }, record(tail));
            }
            kept.end_message(offset);
        }
        let rest = kept.rest();
        (kept.complete().map(|(position, _)| position.offset).collect(), rest)
    }

    #[test]
    fn a_message_that_was_not_kept_as_a_whole_is_read_again() {
        assert_eq!(kept(&[]), (vec![], ReadFrom::Oldest));
        assert_eq!(kept(&[(4, &[1, 1]), (6, &[])]), (vec![4, 4], ReadFrom::After(6)));
        assert_eq!(kept(&[(4, &[1]), (5, &[1, KEPT_BYTES]), (6, &[1])]), (vec![4], ReadFrom::After(4)));
        assert_eq!(kept(&[(4, &[1, KEPT_BYTES])]), (vec![], ReadFrom::Oldest));
    }
}
