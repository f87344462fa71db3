//! Collects the outputs of a run until all that its items wrote is printed, over one connection after
//! another. A message is removed from the broker once everything in it is printed, or lies in a file.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::remains::{Remains, RemainsWatch};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::notice::{Notice, Observer, Wait, Warning};
use crate::queue::connection::{BrokerConnection, is_transient};
use crate::queue::input_gate::InputGate;
use crate::results::printing::{Printer, Took};
use workqueue_amqp as broker;
use workqueue_amqp::outputs::{OutputCollector, OutputMessage};
use workqueue_amqp::{ledger, topology};
use workqueue_core::ledger::ItemSet;
use workqueue_core::names::{QueueName, ReleaseName};

/// Pause before another attempt to connect.
const PAUSE: Duration = Duration::from_secs(2);

/// After this long without a message, none is on its way.
const NONE_COMES: Duration = Duration::from_millis(300);

/// Pause between two looks at what is left.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Which outputs to collect.
pub(super) struct Collecting<'a> {
    pub cluster: &'a Cluster,
    pub release: &'a ReleaseName,
    pub queue: &'a QueueName,
    pub run: &'a str,
    pub observer: &'a dyn Observer,
    /// Lets more of the input be read, the more is printed.
    pub gate: Option<&'a InputGate>,
}

/// How collecting ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Collected {
    /// There is no output left on the broker. These done items have none that was collected here.
    All { absent: ItemSet },
    /// Nobody reads any more.
    Unread,
}

impl Collecting<'_> {
    /// Prints outputs until the run has ended and nothing is left of them. Connects again as often as it
    /// takes. Safe to cancel: what was not acknowledged comes again.
    ///
    /// # Errors
    /// [`Error::NoOutputs`] if their queue is gone; files that cannot be written; refusals.
    pub(super) async fn run(
        &self,
        printer: &Printer,
        mut ended_rx: watch::Receiver<bool>,
    ) -> Result<Collected, Error> {
        let mut is_away = false;
        loop {
            let error = match self.collect(printer, &mut ended_rx, &mut is_away).await {
                Ok(collected) => return Ok(collected),
                Err(error) => error,
            };
            if matches!(error, Error::NoOutputs { .. }) && printer.progress().waiting() > 0 {
                // What lies in a file here is not gone with the queue.
                ended_rx.wait_for(|ended| *ended).await.ok();
                printer.finish().await?;
            }
            if !is_transient(&error) {
                return Err(error);
            }
            // The watches of the run say it too, but that is no reason to be silent.
            if !std::mem::replace(&mut is_away, true) {
                self.observer.warn(Warning::OutputsAway { reason: &error.to_string() });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Collects over one connection.
    async fn collect(
        &self,
        printer: &Printer,
        ended_rx: &mut watch::Receiver<bool>,
        is_away: &mut bool,
    ) -> Result<Collected, Error> {
        let connection = BrokerConnection::open(self.cluster, self.release, "kubectl-workqueue map").await?;
        let mut remains = RemainsWatch::default();
        loop {
            let collected = self.collect_until_ended(&connection, printer, ended_rx, is_away).await;
            let Some(messages) = collected? else { return Ok(Collected::Unread) };
            if self.is_empty(&connection, &mut remains).await? {
                break;
            }
            if messages == 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        if printer.finish().await? == Took::Unread {
            return Ok(Collected::Unread);
        }
        let absent = self.absent(&connection, printer).await?;
        connection.close().await;
        Ok(Collected::All { absent })
    }

    /// Prints what comes until the run has ended and no more comes, and what is on its way then. Returns the
    /// number of messages; `None` if nobody reads any more.
    async fn collect_until_ended(
        &self,
        connection: &BrokerConnection,
        printer: &Printer,
        ended_rx: &mut watch::Receiver<bool>,
        is_away: &mut bool,
    ) -> Result<Option<u64>, Error> {
        let explain = |error| self.explain(connection, error);
        let opened = OutputCollector::open(&connection.broker, self.queue, self.run).await;
        let mut collector = opened.map_err(explain)?;
        if std::mem::take(is_away) {
            self.observer.on(Notice::Recovered(crate::notice::Recovery::Broker));
        }
        let mut messages = 0;
        loop {
            // What waits on the broker comes at once, but not with the first look.
            let none_comes = async {
                ended_rx.wait_for(|ended| *ended).await.ok();
                tokio::time::sleep(NONE_COMES).await;
            };
            let message = tokio::select! {
                biased;
                message = collector.next() => message.map_err(explain)?,
                () = none_comes => break,
            };
            messages += 1;
            if self.take(connection, &collector, message, printer).await? == Took::Unread {
                return Ok(None);
            }
        }
        for message in collector.rest().await.map_err(explain)? {
            messages += 1;
            if self.take(connection, &collector, message, printer).await? == Took::Unread {
                return Ok(None);
            }
        }
        collector.close().await;
        Ok(Some(messages))
    }

    async fn take(
        &self,
        connection: &BrokerConnection,
        collector: &OutputCollector,
        message: OutputMessage,
        printer: &Printer,
    ) -> Result<Took, Error> {
        match message.entries {
            Some(entries) => match printer.take(entries).await? {
                Took::All => {
                    if let Some(gate) = self.gate {
                        gate.set_printed(printer.progress().printed());
                    }
                }
                Took::Unread => return Ok(Took::Unread),
            },
            None => self.observer.warn(Warning::NotOutputs { queue: &self.queue.outputs(self.run) }),
        }
        collector.ack(message.tag).await.map_err(|error| self.explain(connection, error))?;
        Ok(Took::All)
    }

    /// Whether no output is left. A connection that was lost, and another reader, may hold some for a while.
    async fn is_empty(
        &self,
        connection: &BrokerConnection,
        remains: &mut RemainsWatch,
    ) -> Result<bool, Error> {
        let outputs = self.queue.outputs(self.run);
        let depth = topology::depth(&connection.broker, &outputs).await;
        let depth = depth.map_err(|error| self.explain(connection, error))?.unwrap_or_default();
        match remains.judge(depth, Instant::now()) {
            Remains::Nothing => Ok(true),
            Remains::Some => Ok(false),
            Remains::Held => {
                let consumers = depth.consumers;
                self.observer.on(Notice::Waiting(Wait::Consumers { queue: &outputs, consumers }));
                Ok(false)
            }
            Remains::Kept => Err(Error::AlreadyCollected(self.run.to_owned())),
        }
    }

    /// The done items whose output was neither printed nor cut away as a whole.
    async fn absent(&self, connection: &BrokerConnection, printer: &Printer) -> Result<ItemSet, Error> {
        let pages = ledger::read_pages_marked(&connection.broker, self.queue, self.run).await;
        let pages = pages.map_err(|error| self.explain(connection, error))?;
        let done = pages.map(|pages| pages.sum.done).unwrap_or_default();
        Ok(printer.missing_of(done).await)
    }

    fn explain(&self, connection: &BrokerConnection, error: broker::Error) -> Error {
        match error {
            broker::Error::NoQueue(gone) if gone == self.queue.outputs(self.run) => {
                Error::NoOutputs { run: Some(self.run.to_owned()), queue: self.queue.clone() }
            }
            // A reader of stdout may stop for longer than the broker waits for acks: it delivers them again.
            broker::Error::Refused { reason, .. } if broker::Error::says_late_ack(&reason) => {
                connection.explain(broker::Error::Connection(reason))
            }
            error => connection.explain(error),
        }
    }
}
