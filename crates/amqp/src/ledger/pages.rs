//! Reads the ledger of a run, `QUEUE.ledger.RUN`: from the newest sum on, or else from its first page.

use std::time::Duration;

use super::writing::{append_message, mark_id};
use crate::broker::close_channel;
use crate::confirms::{Route, confirming_channel};
use crate::stream::{From, StreamMessage, StreamReader, Until, last, last_within};
use crate::{Broker, Error};
use workqueue_core::ledger::{Adding, LedgerMessage, LedgerPage};
use workqueue_core::names::QueueName;

/// If the newest message tells of no sum, so many before it are asked: its writer may have had no time to
/// look.
const LOOK_BACK: i64 = 1000;

/// How long to wait for the newest message where the broker counts none: its count lags by seconds, and a
/// ledger that is empty should hold up nobody.
const YOUNG_SILENCE: Duration = Duration::from_millis(300);

/// All pages of a run's ledger, added up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pages {
    /// How the items ended.
    pub sum: LedgerPage,
    /// The size of the ledger in bytes.
    pub bytes: u64,
    /// How many messages were read for it.
    pub messages: u64,
}

/// Reads the pages up to this moment; `None` if there is no ledger. Leaves a mark in it.
///
/// # Errors
/// Lost connections, refusals, a broker that does not answer, and a page that cannot be read.
pub async fn read_pages_marked(
    broker: &Broker,
    queue: &QueueName,
    run: &str,
) -> Result<Option<Pages>, Error> {
    let stream = queue.run_ledger(run);
    let newest = newest(broker, &stream).await?;
    let (channel, mark) = (confirming_channel(broker).await?, mark_id());
    // The next reading finds its start in this mark.
    let message = LedgerMessage::of(LedgerPage::default(), newest.start).to_json();
    match append_message(&channel, &Route::direct(stream.clone()), &message, Some(&mark)).await {
        Err(Error::NoQueue(_)) => return Ok(None),
        marked => marked?,
    }
    close_channel(&channel).await;
    Ok(Some(added_up(broker, &stream, newest.start, &Until::Id(mark)).await?.into()))
}

/// Reads the pages as they were some seconds ago at the latest; `None` if there are none. Writes nothing.
///
/// # Errors
/// As for [`read_pages_marked`].
pub async fn read_pages(broker: &Broker, queue: &QueueName, run: &str) -> Result<Option<Pages>, Error> {
    let added = add_up(broker, &queue.run_ledger(run)).await?;
    Ok(added.map(Pages::from))
}

/// Adds up what [`read_pages`] reads.
pub(super) async fn add_up(broker: &Broker, stream: &QueueName) -> Result<Option<Adding>, Error> {
    let Some(last) = last(broker, stream).await? else { return Ok(None) };
    let start = start_before(broker, stream, &last).await?;
    added_up(broker, stream, start, &Until::Offset(last.offset)).await.map(Some)
}

/// What the newest message says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Newest {
    /// Where a reading may start.
    pub start: i64,
    /// Messages from there on.
    pub since: u64,
}

/// Looks at the newest message, if there is one.
pub(super) async fn newest(broker: &Broker, stream: &QueueName) -> Result<Newest, Error> {
    let Some(last) = last_within(broker, stream, YOUNG_SILENCE).await? else { return Ok(Newest::default()) };
    let start = start_before(broker, stream, &last).await?;
    Ok(Newest { start, since: u64::try_from(last.offset + 1 - start).unwrap_or(0) })
}

/// Where a reading may start that ends with the newest message; 0 if no sum is known.
async fn start_before(broker: &Broker, stream: &QueueName, last: &StreamMessage) -> Result<i64, Error> {
    let start = LedgerMessage::start_before(&last.body, last.offset);
    if start > 0 || last.offset < LOOK_BACK {
        return Ok(start);
    }
    let (from, until) = (From::Offset(last.offset - LOOK_BACK), Until::Offset(last.offset));
    let (mut reader, mut newest) = (StreamReader::open(broker, stream.clone(), from, until).await?, 0);
    while let Some(message) = reader.next().await? {
        newest = newest.max(LedgerMessage::start_before(&message.body, message.offset));
    }
    reader.close().await;
    Ok(newest)
}

async fn added_up(broker: &Broker, stream: &QueueName, start: i64, until: &Until) -> Result<Adding, Error> {
    let added = read_from(broker, stream, start, until.clone()).await?;
    // Something that was announced is not there: slower, but never wrong.
    if added.is_complete() { Ok(added) } else { read_from(broker, stream, 0, until.clone()).await }
}

async fn read_from(broker: &Broker, stream: &QueueName, start: i64, until: Until) -> Result<Adding, Error> {
    let from = if start == 0 { From::Oldest } else { From::Offset(start) };
    let mut reader = StreamReader::open(broker, stream.clone(), from, until).await?;
    let mut adding = Adding::from(start);
    while let Some(message) = reader.next().await? {
        adding.take(message.offset, &message.body).map_err(|error| Error::Refused {
            operation: format!("reading {stream}"),
            reason: error.to_string(),
        })?;
    }
    reader.close().await;
    Ok(adding)
}

impl std::convert::From<Adding> for Pages {
    fn from(added: Adding) -> Self {
        Self { sum: added.total, bytes: added.bytes, messages: added.messages }
    }
}
