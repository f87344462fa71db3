//! Takes outcomes out of `QUEUE.outcomes.RUN`, adds them up, and writes pages into `QUEUE.ledger.RUN`. An
//! outcome is acknowledged once a page with it is confirmed.

use futures_util::StreamExt as _;
use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer};
use tokio::time::Instant;

use super::page_writer::PageWriter;
use crate::broker::{answer, close_channel, short, within};
use crate::confirms::Exchange;
use crate::error::is_not_found;
use crate::{Broker, Error};
use workqueue_core::ledger::LedgerPage;
use workqueue_core::names::QueueName;

/// Messages in flight.
const PREFETCH: u16 = 2000;

/// Messages that make a page full: half of those in flight, so that others arrive meanwhile.
const FULL_MESSAGES: u16 = PREFETCH / 2;

/// Outcomes that make a page full.
const FULL_ITEMS: u64 = 50_000;

/// A message that was taken.
#[derive(Debug)]
pub(crate) struct TakenMessage {
    /// Its id, by which a mark is recognized.
    pub id: Option<String>,
    /// Whether it was a page. What is none was published by somebody else, and proves nothing.
    pub is_page: bool,
}

/// A consumer of outcomes, and the page that it makes of them. Only one consumer gets outcomes at a time.
pub(crate) struct Taking {
    outcomes: QueueName,
    channel: Channel,
    consumer: Consumer,
    writer: PageWriter,
    page: LedgerPage,
    /// Messages in the page.
    messages: u16,
    /// The last of them, and the time of the first.
    last: Option<(Acker, Instant)>,
}

impl Taking {
    /// Subscribes to the outcomes of a run. Pages are published through an exchange.
    ///
    /// # Errors
    /// [`Error::NoQueue`] if there is no queue of outcomes; refusals; lost connections.
    pub(crate) async fn open(
        broker: &Broker,
        exchange: &Exchange,
        queue: &QueueName,
        run: &str,
    ) -> Result<Self, Error> {
        let writer = PageWriter::open_through(broker, exchange, queue, run).await?;
        let channel = broker.channel().await?;
        let outcomes = queue.outcomes(run);
        let consumer = consume(&channel, &outcomes).await?;
        Ok(Self { outcomes, channel, consumer, writer, page: LedgerPage::default(), messages: 0, last: None })
    }

    /// Takes the next message. Safe to cancel.
    ///
    /// # Errors
    /// Lost connections, and a queue that is deleted.
    pub(crate) async fn next(&mut self) -> Result<TakenMessage, Error> {
        let message = received(self.consumer.next().await, &self.outcomes)?;
        let outcomes = LedgerPage::from_json(&message.data);
        if let Ok(outcomes) = &outcomes {
            self.page.merge(outcomes);
        }
        self.messages += 1;
        let since = self.since().unwrap_or_else(Instant::now);
        self.last = Some((message.acker, since));
        let id = message.properties.message_id().as_ref().map(ToString::to_string);
        Ok(TakenMessage { id, is_page: outcomes.is_ok() })
    }

    /// When the oldest message was taken that is not acknowledged.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.last.as_ref().map(|(_, since)| *since)
    }

    /// Whether it is time to [`write`](Self::write).
    pub(crate) fn is_full(&self) -> bool {
        self.messages >= FULL_MESSAGES || self.page.items() >= FULL_ITEMS
    }

    /// Writes the page, and acknowledges what is in it.
    ///
    /// # Errors
    /// [`Error::NoQueue`] if there is no ledger; refusals; lost connections. What is not acknowledged is
    /// delivered again.
    pub(crate) async fn write(&mut self) -> Result<(), Error> {
        let page = std::mem::take(&mut self.page);
        if !page.is_empty() {
            self.writer.write(page).await?;
        }
        self.messages = 0;
        let Some((acker, _)) = self.last.take() else { return Ok(()) };
        answer("acknowledging outcomes", acker.ack(BasicAckOptions { multiple: true })).await.map(|_| ())
    }

    /// Writes a sum of all pages if one is due, so that the ledger stays quick to read. A sum that cannot
    /// be written is no error: the ledger is complete without it. Safe to cancel.
    pub(crate) async fn sum_up(&mut self) {
        self.writer.sum_up().await.ok();
    }

    /// Ends it: another consumer gets the outcomes from now on.
    pub(crate) async fn close(self) {
        close_channel(&self.channel).await;
        self.writer.close().await;
    }
}

async fn consume(channel: &Channel, outcomes: &QueueName) -> Result<Consumer, Error> {
    let operation = || format!("reading {outcomes}");
    answer(operation(), channel.basic_qos(PREFETCH, BasicQosOptions::default())).await?;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consuming = channel.basic_consume(short(outcomes), "ledger".into(), options, arguments);
    let consuming = async {
        consuming.await.map_err(|error| match is_not_found(&error) {
            true => Error::NoQueue(outcomes.clone()),
            false => Error::from_lapin(operation(), &error),
        })
    };
    within(consuming).await
}

fn received(next: Option<lapin::Result<Message>>, outcomes: &QueueName) -> Result<Message, Error> {
    match next {
        Some(Ok(message)) => Ok(message),
        Some(Err(error)) => Err(Error::from_lapin(format!("reading {outcomes}"), &error)),
        None => Err(Error::Connection(format!("the broker ended the reading of {outcomes}"))),
    }
}
