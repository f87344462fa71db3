//! One session of a worker: from its login until the connection breaks or the worker closes the queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, FuturesUnordered, StreamExt as _};
use lapin::Channel;
use lapin::message::Delivery as Message;
use tokio::sync::mpsc;

use super::counting::{Counted, Counting, count};
use super::held_delivery::HeldDelivery;
use super::keeping::Keeping;
use super::notes::Notes;
use super::request::{ConsumerOptions, WorkerRequest};
use super::settle::Settler;
use super::settlements::Settlements;
use super::subscriptions::{ConsumerRole, Subscriptions};
use crate::broker::within;
use crate::delivery::{earlier_deliveries, earlier_failures, item_id};
use crate::{Broker, Error, topology};
use workqueue_core::queue::{Consuming, Delivery, DeliveryTag, QueueEvent, Settlement};

/// How long pending settlements may take when the worker leaves.
const LEAVE_GRACE: Duration = Duration::from_secs(2);

/// How a session ended.
pub(super) enum SessionEnd {
    /// The worker has closed the queue.
    Left,
    /// The session broke.
    Broken(Error),
}

/// A connection with its channels, consumers and held deliveries.
pub(super) struct ConsumerSession {
    number: u64,
    /// The number of the last delivery.
    last_number: u64,
    broker: Broker,
    channel: Channel,
    subscriptions: Subscriptions,
    events: BoxStream<'static, lapin::Event>,
    held: HashMap<u64, HeldDelivery>,
    settlements: Settlements,
    keeping: Option<Keeping>,
    /// At most one.
    counting: FuturesUnordered<Counting>,
    events_tx: mpsc::UnboundedSender<Result<QueueEvent, Error>>,
    /// The broker has an alarm and blocks this connection.
    blocked: bool,
    due: Due,
}

/// Requests of the worker that have not been sent to the broker yet.
#[derive(Default)]
struct Due {
    consume: bool,
    counts: bool,
}

impl ConsumerSession {
    pub(super) async fn open(
        number: u64,
        broker: Broker,
        settler: Settler,
        keeping: Option<Keeping>,
        events_tx: mpsc::UnboundedSender<Result<QueueEvent, Error>>,
    ) -> Result<Self, Error> {
        let channel = broker.channel().await?;
        let events = broker.events();
        Ok(Self {
            number,
            last_number: 0,
            broker,
            channel,
            subscriptions: Subscriptions::default(),
            events,
            held: HashMap::new(),
            settlements: Settlements::new(settler),
            keeping,
            counting: FuturesUnordered::new(),
            events_tx,
            blocked: false,
            due: Due::default(),
        })
    }

    /// Serves the worker until it closes the queue or the session breaks. Then all delivery tags
    /// are invalid, and each is reported as lost.
    pub(super) async fn serve(
        mut self,
        options: &mut ConsumerOptions,
        requests_rx: &mut mpsc::UnboundedReceiver<WorkerRequest>,
    ) -> SessionEnd {
        match self.serve_until_broken(options, requests_rx).await {
            Ok(()) => {
                self.leave(options).await;
                SessionEnd::Left
            }
            Err(error) => {
                for &number in self.held.keys() {
                    self.tell(QueueEvent::Lost(self.tag(number)));
                }
                // The broker requeues the items sooner than after a timeout.
                self.broker.close().await;
                SessionEnd::Broken(error)
            }
        }
    }

    async fn serve_until_broken(
        &mut self,
        options: &mut ConsumerOptions,
        requests_rx: &mut mpsc::UnboundedReceiver<WorkerRequest>,
    ) -> Result<(), Error> {
        within(self.consume(options)).await?;
        loop {
            if !self.blocked {
                self.catch_up(options).await?;
            }
            tokio::select! {
                biased;
                request = requests_rx.recv() => match request {
                    None | Some(WorkerRequest::Close) => return Ok(()),
                    Some(request) => self.obey(request, options),
                },
                settled = self.settlements.next(self.enough(options)) => self.settled(&settled?),
                Some(counted) = self.counting.next() => self.counted(counted)?,
                message = self.subscriptions.next() => self.deliver(message?),
                Some(event) = self.events.next() => self.hear(event)?,
            }
        }
    }

    fn obey(&mut self, request: WorkerRequest, options: &mut ConsumerOptions) {
        match request {
            WorkerRequest::Settle(tag, settlement) => self.settle(tag, settlement),
            WorkerRequest::Consume(how) => {
                options.consuming = how;
                self.due.consume = true;
            }
            WorkerRequest::PrefetchExtra(extra) => {
                options.prefetch_extra = extra;
                self.due.consume = true;
            }
            WorkerRequest::Counts => self.due.counts = true,
            WorkerRequest::Close => {}
        }
    }

    /// Sends the due requests. Not while the connection is blocked: nothing is sent then, and waiting
    /// for an answer would end a healthy connection.
    async fn catch_up(&mut self, options: &ConsumerOptions) -> Result<(), Error> {
        if std::mem::take(&mut self.due.consume) {
            within(self.consume(options)).await?;
        }
        if self.due.counts && self.counting.is_empty() {
            self.due.counts = false;
            self.start_count(options).await?;
        }
        Ok(())
    }

    /// Starts and cancels consumers, and takes what was on its way to cancelled ones.
    async fn consume(&mut self, options: &ConsumerOptions) -> Result<(), Error> {
        let notes = Notes::new(self.events_tx.clone());
        let slow = format!("queue {} does not answer: its leader may be away or busy", options.queue);
        let applying = self.subscriptions.apply(&self.channel, options);
        for message in notes.say_if_slow(slow, applying).await? {
            self.deliver(message);
        }
        Ok(())
    }

    /// Starts to count. What is in the work queue is confirmed where the worker may leave because of
    /// it, which is while it is paused.
    async fn start_count(&mut self, options: &ConsumerOptions) -> Result<(), Error> {
        let (channel, failed_channel) = (self.broker.channel().await?, self.broker.channel().await?);
        let (queue, confirm) = (options.queue.clone(), options.consuming == Consuming::Paused);
        let input = match &options.input {
            Some(input) => topology::exists(&self.broker, input).await?,
            None => false,
        };
        let count = async move { count(channel, failed_channel, queue, confirm, input).await };
        self.counting.push(Box::pin(count));
        Ok(())
    }

    /// Reports the counts, and delivers the message that was got meanwhile. Without an answer the
    /// worker gets no counts, and will ask again.
    fn counted(&mut self, counted: Result<Counted, Error>) -> Result<(), Error> {
        let Counted { counts, got } = match counted {
            Err(error @ Error::NoAnswer { .. }) => {
                self.tell(QueueEvent::Note(error.to_string()));
                return Ok(());
            }
            counted => counted?,
        };
        if let Some((message, channel)) = got {
            self.hold(message, ConsumerRole::Items, Some(channel));
        }
        self.tell(QueueEvent::Counts(counts));
        Ok(())
    }

    fn deliver(&mut self, (role, message): (ConsumerRole, Message)) {
        self.hold(message, role, None);
    }

    /// Holds a message until it is settled, with its channel if that is not the session's own.
    fn hold(&mut self, message: Message, role: ConsumerRole, channel: Option<Channel>) {
        // Not AMQP's tag: that is a number within a channel.
        self.last_number += 1;
        let number = self.last_number;
        let id = item_id(&message.properties, &message.data);
        let body = Arc::new(message.data);
        let delivery = Delivery {
            tag: self.tag(number),
            id: id.clone(),
            earlier_deliveries: earlier_deliveries(&message.properties, message.redelivered),
            redelivered: message.redelivered,
            earlier_failures: earlier_failures(&message.properties),
            body: body.clone(),
        };
        self.held.insert(
            number,
            HeldDelivery {
                acker: message.acker,
                tag: message.delivery_tag,
                properties: Arc::new(message.properties),
                id,
                body,
                channel,
            },
        );
        if role != ConsumerRole::Leaving {
            self.tell(QueueEvent::Delivery(delivery));
        }
    }

    fn settle(&mut self, tag: DeliveryTag, settlement: Settlement) {
        let held = (tag.session == self.number).then(|| self.held.get(&tag.number).cloned()).flatten();
        let Some(held) = held else {
            self.tell(QueueEvent::Lost(tag));
            return;
        };
        self.settlements.settle(tag.number, held, settlement);
    }

    fn settled(&mut self, numbers: &[u64]) {
        for &number in numbers {
            self.held.remove(&number);
            self.tell(QueueEvent::Settled(self.tag(number)));
        }
    }

    /// How many finished items make a batch. While quick items are prefetched, the next ones finish within
    /// milliseconds, and most of what is held remains to be worked on.
    fn enough(&self, options: &ConsumerOptions) -> usize {
        if options.prefetch_extra { self.held.len().div_ceil(4) } else { 1 }
    }

    fn hear(&mut self, event: lapin::Event) -> Result<(), Error> {
        match event {
            lapin::Event::ConnectionBlocked(reason) => {
                self.block(true);
                self.tell(QueueEvent::Note(format!(
                    "the broker accepts no messages ({reason}): finished items wait to be settled"
                )));
            }
            lapin::Event::ConnectionUnblocked => {
                self.block(false);
                self.tell(QueueEvent::Note("the broker accepts messages again".to_owned()));
            }
            // A channel that the broker closes is an error of whoever uses it.
            lapin::Event::Error(error) if !self.broker.is_connected() => {
                return Err(Error::from_lapin("the connection", &error));
            }
            _ => {}
        }
        Ok(())
    }

    fn block(&mut self, blocked: bool) {
        self.blocked = blocked;
        self.settlements.set_blocked(blocked);
    }

    /// Finishes pending settlements, requeues the other items one by one (closing the connection would
    /// count against their delivery limit), writes outcomes into the ledger, and closes the connection.
    async fn leave(mut self, options: &mut ConsumerOptions) {
        let settle = async {
            // First, or the requeued items would be delivered to this worker.
            options.consuming = Consuming::Paused;
            self.consume(options).await.ok();
            while !self.settlements.is_empty() {
                match self.settlements.next(1).await {
                    Ok(settled) => self.settled(&settled),
                    Err(_) => return,
                }
            }
            for held in self.held.values() {
                held.requeue().await.ok();
            }
            if let Some(keeping) = self.keeping.take() {
                keeping.leave().await;
            }
        };
        tokio::time::timeout(LEAVE_GRACE, settle).await.ok();
        self.broker.close().await;
    }

    fn tag(&self, number: u64) -> DeliveryTag {
        DeliveryTag { session: self.number, number }
    }

    fn tell(&self, event: QueueEvent) {
        // A worker that no longer listens needs no answer.
        self.events_tx.send(Ok(event)).ok();
    }
}
