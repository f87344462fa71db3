//! The ledger of a run: `QUEUE.ledger.RUN`.

use super::writing::{append_message, mark_id};
use crate::broker::close_channel;
use crate::confirms::confirming_channel;
use crate::stream::{From, StreamReader, Until, last};
use crate::{Broker, Error};
use workqueue_core::ledger::LedgerPage;
use workqueue_core::names::QueueName;

/// All pages of a run's ledger, added up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pages {
    /// How the items ended.
    pub sum: LedgerPage,
    /// The size of the pages in bytes.
    pub bytes: u64,
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
    let (channel, mark) = (confirming_channel(broker).await?, mark_id());
    let page = LedgerPage::default().to_json();
    match append_message(&channel, &queue.run_ledger(run), &page, Some(&mark)).await {
        Err(Error::NoQueue(_)) => return Ok(None),
        marked => marked?,
    }
    close_channel(&channel).await;
    read_until(broker, queue, run, Until::Id(mark)).await.map(Some)
}

/// Reads the pages as they were some seconds ago at the latest; `None` if there are none. Writes nothing.
///
/// # Errors
/// As for [`read_pages_marked`].
pub async fn read_pages(broker: &Broker, queue: &QueueName, run: &str) -> Result<Option<Pages>, Error> {
    let Some(last) = last(broker, &queue.run_ledger(run)).await? else { return Ok(None) };
    read_until(broker, queue, run, Until::Offset(last.offset)).await.map(Some)
}

async fn read_until(broker: &Broker, queue: &QueueName, run: &str, until: Until) -> Result<Pages, Error> {
    let stream = queue.run_ledger(run);
    let mut reader = StreamReader::open(broker, stream.clone(), From::Oldest, until).await?;
    let mut pages = Pages::default();
    while let Some(message) = reader.next().await? {
        pages.bytes += message.body.len() as u64;
        let page = LedgerPage::from_json(&message.body).map_err(|error| Error::Refused {
            operation: format!("reading {stream}"),
            reason: error.to_string(),
        })?;
        pages.sum.merge(&page);
    }
    reader.close().await;
    Ok(pages)
}
