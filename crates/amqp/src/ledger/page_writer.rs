//! Writes pages into the ledger of a run, and from time to time a sum of them.

use std::time::Duration;

use lapin::Channel;

use super::pages::{Newest, add_up, newest};
use super::writing::append_message;
use crate::broker::close_channel;
use crate::confirms::{Exchange, Route, confirming_channel};
use crate::{Broker, Error};
use workqueue_core::ledger::{LedgerMessage, LedgerPage};
use workqueue_core::names::QueueName;

/// Messages of a ledger after which a sum is due.
const SUM_EVERY: u64 = 200;

/// How long a sum may take: its writer does nothing else meanwhile.
const SUM_PATIENCE: Duration = Duration::from_secs(20);

/// Writes one page after another. Several may write into the same ledger.
pub struct PageWriter {
    broker: Broker,
    ledger: Route,
    channel: Channel,
    /// The newest sum; `None` before the first look at the ledger.
    newest: Option<Newest>,
    /// The size of the pages since then.
    bytes: usize,
    /// The size of the sum.
    sum_bytes: usize,
}

impl PageWriter {
    /// Gets ready to write.
    ///
    /// # Errors
    /// Refusals; lost connections.
    pub async fn open(broker: &Broker, queue: &QueueName, run: &str) -> Result<Self, Error> {
        Self::open_through(broker, &Exchange::default(), queue, run).await
    }

    /// The same for a worker, who publishes through an exchange.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub(crate) async fn open_through(
        broker: &Broker,
        exchange: &Exchange,
        queue: &QueueName,
        run: &str,
    ) -> Result<Self, Error> {
        let (broker, ledger) = (broker.clone(), exchange.to(queue.run_ledger(run)));
        let channel = confirming_channel(&broker).await?;
        Ok(Self { broker, ledger, channel, newest: None, bytes: 0, sum_bytes: 0 })
    }

    /// Appends a page, and waits until it is confirmed.
    ///
    /// # Errors
    /// [`Error::NoQueue`] if there is no ledger; refusals; lost connections.
    pub async fn write(&mut self, page: LedgerPage) -> Result<(), Error> {
        if self.newest.is_none() {
            // A page without a start makes readings slower, not wrong. The next page looks again.
            self.newest = newest(&self.broker, &self.ledger.queue).await.ok();
        }
        let json = LedgerMessage::of(page, self.newest.unwrap_or_default().start).to_json();
        append_message(&self.channel, &self.ledger, &json, None).await?;
        self.bytes += json.len();
        if let Some(newest) = &mut self.newest {
            newest.since += 1;
        }
        Ok(())
    }

    /// Appends a sum if one is due. Safe to cancel.
    ///
    /// # Errors
    /// Whatever keeps it from being written. Then nothing is lost, and it is due again some pages later.
    pub async fn sum_up(&mut self) -> Result<(), Error> {
        let Some(newest) = &mut self.newest else { return Ok(()) };
        // Sums of scattered items are large: they take no more room than the pages do.
        if newest.since < SUM_EVERY || self.bytes < self.sum_bytes {
            return Ok(());
        }
        newest.since = 0;
        let summing = tokio::time::timeout(SUM_PATIENCE, append_sum(&self.broker, &self.ledger)).await;
        let (start, bytes) = summing.map_err(|_| self.too_slow())??;
        self.newest = Some(Newest { start, since: 0 });
        (self.bytes, self.sum_bytes) = (0, bytes);
        Ok(())
    }

    /// Ends it.
    pub async fn close(self) {
        close_channel(&self.channel).await;
    }

    fn too_slow(&self) -> Error {
        Error::NoAnswer { queue: self.ledger.queue.clone(), seconds: SUM_PATIENCE.as_secs() }
    }
}

/// Reads the ledger, and appends its sum. Returns where a reading may start from now on, and the size of
/// the sum in bytes.
async fn append_sum(broker: &Broker, ledger: &Route) -> Result<(i64, usize), Error> {
    let added = add_up(broker, &ledger.queue).await?.ok_or_else(|| Error::NoQueue(ledger.queue.clone()))?;
    let (sum, json) = (added.sum().start, added.sum().to_json());
    // A channel of its own: a broker closes it if the sum is too large for it.
    let channel = confirming_channel(broker).await?;
    append_message(&channel, ledger, &json, None).await?;
    close_channel(&channel).await;
    Ok((sum, json.len()))
}
