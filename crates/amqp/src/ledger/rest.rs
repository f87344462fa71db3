//! Takes the outcomes that no worker has written into the ledger, once a run has ended.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::time::Instant;

use super::writing::{append_message, append_page, mark_id};
use crate::broker::{answer, close_channel, short};
use crate::confirms::confirming_channel;
use crate::{Broker, Error};
use workqueue_core::ledger::LedgerPage;
use workqueue_core::names::QueueName;

/// Messages in flight.
const PREFETCH: u16 = 2000;

/// Messages that make a page: half of those in flight, so that others arrive meanwhile.
const PAGE_MESSAGES: u16 = PREFETCH / 2;

/// How long to wait before a worker that still holds outcomes is named, and a mark is sent again: a
/// worker may have taken the last one.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of the outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// All of them are in the ledger.
    Written,
    /// Their queue does not exist.
    Gone,
}

/// Writes all outcomes of a run into its ledger. Only one consumer gets outcomes at a time: as long as a
/// worker is that one, or the broker has not noticed its death, this waits up to `longest` for each
/// message, and calls `waiting` every few seconds.
///
/// # Errors
/// [`Error::NoAnswer`] if no message arrives for that long;
/// [`Error::NoQueue`] if there is no ledger; refusals; lost connections.
pub async fn take_rest(
    broker: &Broker,
    queue: &QueueName,
    run: &str,
    longest: Duration,
    waiting: impl Fn(Duration),
) -> Result<Rest, Error> {
    let (outcomes, mark) = (queue.outcomes(run), mark_id());
    let publishing = confirming_channel(broker).await?;
    let channel = broker.channel().await?;
    let mut taking = Taking { queue, run, publishing: &publishing, page: LedgerPage::default(), messages: 0 };
    if !taking.send_mark(&outcomes, &mark).await? {
        return Ok(Rest::Gone);
    }
    let mut consumer = consume(&channel, &outcomes).await?;
    let mut last = Instant::now();
    loop {
        let next = tokio::time::timeout(PATIENCE, consumer.next()).await;
        let Ok(next) = next else {
            waiting(last.elapsed());
            if last.elapsed() > longest {
                return Err(Error::NoAnswer { queue: outcomes, seconds: last.elapsed().as_secs() });
            }
            taking.send_mark(&outcomes, &mark).await?;
            continue;
        };
        last = Instant::now();
        let message = received(next, &outcomes)?;
        let is_mark = message.properties.message_id().as_ref().is_some_and(|id| id.as_str() == mark);
        taking.take(message, is_mark).await?;
        if is_mark {
            break;
        }
    }
    close_channel(&channel).await;
    close_channel(&publishing).await;
    Ok(Rest::Written)
}

/// Outcomes on their way to a page.
struct Taking<'a> {
    queue: &'a QueueName,
    run: &'a str,
    publishing: &'a Channel,
    page: LedgerPage,
    /// In the page.
    messages: u16,
}

impl Taking<'_> {
    /// Whether there is a queue that takes the mark.
    async fn send_mark(&self, outcomes: &QueueName, mark: &str) -> Result<bool, Error> {
        let empty = LedgerPage::default().to_json();
        match append_message(self.publishing, outcomes, &empty, Some(mark)).await {
            Err(Error::NoQueue(_)) => Ok(false),
            sent => sent.map(|()| true),
        }
    }

    /// Adds a message to the page; writes the page and acknowledges its messages if it is full or the
    /// last one.
    async fn take(&mut self, message: Message, is_last: bool) -> Result<(), Error> {
        // What is not a page was published by somebody else, and proves nothing.
        if let Ok(outcomes) = LedgerPage::from_json(&message.data) {
            self.page.merge(&outcomes);
        }
        self.messages += 1;
        if !is_last && self.messages < PAGE_MESSAGES {
            return Ok(());
        }
        self.messages = 0;
        let page = std::mem::take(&mut self.page);
        if !page.is_empty() {
            append_page(self.publishing, self.queue, self.run, &page).await?;
        }
        let acking = message.acker.ack(BasicAckOptions { multiple: true });
        answer("acknowledging outcomes", acking).await.map(|_| ())
    }
}

async fn consume(channel: &Channel, outcomes: &QueueName) -> Result<Consumer, Error> {
    let setting = channel.basic_qos(PREFETCH, BasicQosOptions::default());
    answer(format!("reading {outcomes}"), setting).await?;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consuming = channel.basic_consume(short(outcomes), "rest".into(), options, arguments);
    answer(format!("reading {outcomes}"), consuming).await
}

fn received(next: Option<lapin::Result<Message>>, outcomes: &QueueName) -> Result<Message, Error> {
    match next {
        Some(Ok(message)) => Ok(message),
        Some(Err(error)) => Err(Error::from_lapin(format!("reading {outcomes}"), &error)),
        None => Err(Error::Connection(format!("the broker ended the reading of {outcomes}"))),
    }
}
