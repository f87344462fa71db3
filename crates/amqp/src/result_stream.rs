//! Reads the records in `QUEUE.results`, one or several to a message, from the oldest that is kept to the newest at the start.

use crate::stream::{self, From, StreamMessage, StreamReader, Until};
use crate::{Broker, Error};
use workqueue_core::names::QueueName;
use workqueue_core::record::ResultRecord;

/// How far the clocks of workers and broker may differ, in seconds.
const CLOCKS_DIFFER: i64 = 60;

/// Where a reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// The oldest record.
    Oldest,
    /// The chunk of records written at this time or the next chunk, in seconds since 1970: some
    /// older records may come with it.
    Time(i64),
    /// What comes after the message at this offset.
    After(i64),
}

/// The content type of a message with several records, one a line.
pub(crate) const SEVERAL_RECORDS: &str = "application/x-ndjson";

/// The newest message at some moment: where a reading ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamEnd {
    offset: i64,
    /// When its last item ended, in seconds since 1970, by the clock of the worker.
    seconds: Option<i64>,
}

/// Where a record is in the stream. Grows from record to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordPosition {
    /// The offset of its message.
    pub offset: i64,
    /// Its number within the message, from 0.
    pub index: u32,
}

/// A message of the stream.
#[derive(Debug)]
pub struct RecordMessage(StreamMessage);

impl RecordMessage {
    /// Its number in the stream; grows from message to message.
    pub fn offset(&self) -> i64 {
        self.0.offset
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.0.body.len()
    }

    /// Its records and where they are; `None` for what is no record.
    pub fn records(&self) -> impl Iterator<Item = (RecordPosition, Option<ResultRecord>)> {
        let StreamMessage { offset, content_type, body } = &self.0;
        let several = content_type == SEVERAL_RECORDS;
        let lines = body.split(move |&byte| several && byte == b'\n');
        // The last line ends in a newline too.
        let lines = lines.filter(move |line| !several || !line.is_empty());
        let position = |index| RecordPosition { offset: *offset, index };
        (0..).zip(lines).map(move |(index, line)| (position(index), serde_json::from_slice(line).ok()))
    }
}

/// Reads a result stream once. Memory does not depend on the stream's size.
pub struct ResultReader {
    /// None if there is nothing to read.
    reader: Option<StreamReader>,
}

impl ResultReader {
    /// Starts to read the records of a queue's items, up to `end`.
    ///
    /// # Errors
    /// Lost connections, refusals, and a broker that does not answer.
    pub async fn open(
        broker: &Broker,
        queue: &QueueName,
        from: ReadFrom,
        end: StreamEnd,
    ) -> Result<Self, Error> {
        let (from, is_empty) = match from {
            ReadFrom::Oldest => (From::Oldest, false),
            // From a time after the last record the broker would wait for the next one.
            ReadFrom::Time(seconds) => {
                (From::Time(seconds), end.seconds.is_some_and(|last| last + CLOCKS_DIFFER < seconds))
            }
            ReadFrom::After(offset) => (From::Offset(offset + 1), offset >= end.offset),
        };
        if is_empty {
            return Ok(Self { reader: None });
        }
        let reader = StreamReader::open(broker, queue.results(), from, Until::Offset(end.offset)).await?;
        Ok(Self { reader: Some(reader) })
    }

    /// Whether records older than the first one read have been deleted: the stream is full. Known
    /// once the first record has been read, and only if the reading began at the oldest.
    pub fn is_truncated(&self) -> bool {
        self.reader.as_ref().and_then(StreamReader::first).is_some_and(|first| first > 0)
    }

    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// Lost connections, and a broker that sends nothing for too long.
    pub async fn next(&mut self) -> Result<Option<RecordMessage>, Error> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        Ok(reader.next().await?.map(RecordMessage))
    }

    /// Ends the reading.
    pub async fn close(self) {
        if let Some(reader) = self.reader {
            reader.close().await;
        }
    }
}

/// The newest record of a queue's items; `None` if the stream is missing or empty.
///
/// # Errors
/// As for [`ResultReader::open`].
pub async fn end(broker: &Broker, queue: &QueueName) -> Result<Option<StreamEnd>, Error> {
    let Some(newest) = stream::last(broker, &queue.results()).await? else { return Ok(None) };
    let newest = RecordMessage(newest);
    let records = newest.records().filter_map(|(_, record)| record);
    let seconds = records.map(|record| record.ended.as_second()).max();
    Ok(Some(StreamEnd { offset: newest.offset(), seconds }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content_type: &str, body: &str) -> RecordMessage {
        let (content_type, body) = (content_type.to_owned(), body.as_bytes().to_vec());
        RecordMessage(StreamMessage { offset: 7, content_type, body })
    }

    fn record(id: &str) -> String {
        let time = "2026-01-01T00:00:00Z";
        format!(
            r#"{{"id":"{id}","queue":"q","status":"done","attempts":1,"firstStarted":"{time}","started":"{time}",
            "ended":"{time}","size":1,"host":"h","stdout":{{"bytes":0,"tail":""}},"stderr":{{"bytes":0,"tail":""}}}}"#
        )
    }

    fn read(message: &RecordMessage) -> Vec<(u32, Option<String>)> {
        message.records().map(|(position, record)| (position.index, record.map(|record| record.id))).collect()
    }

    #[test]
    fn a_message_is_one_record_however_it_is_laid_out() {
        assert_eq!(read(&message("application/json", &record("b.1"))), [(0, Some("b.1".to_owned()))]);
        assert_eq!(read(&message("", &record("b.1"))), [(0, Some("b.1".to_owned()))]);
        assert_eq!(read(&message("", "apple")), [(0, None)]);
    }

    #[test]
    fn a_line_that_is_no_record_hides_no_other() {
        let lines = format!("{}\napple\n{}\n", record("b.1"), record("b.2")).replace(",\n", ",");
        let found = [(0, Some("b.1".to_owned())), (1, None), (2, Some("b.2".to_owned()))];
        assert_eq!(read(&message(SEVERAL_RECORDS, &lines)), found);
    }
}
