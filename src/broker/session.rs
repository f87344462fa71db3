//! One connection of a worker: from its login until something breaks or the worker leaves.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{BoxStream, FuturesUnordered, StreamExt as _};
use lapin::message::Delivery as Message;
use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use tokio::sync::mpsc;

use super::consumer::{Command, Options};
use super::delivery::{earlier_deliveries, item_id};
use super::settle::{Held, Outbox};
use super::topology::{self, short};
use super::{Broker, Error};
use crate::queue::{Claim, Consuming, Delivery, Depth, Event, Verdict};

/// How long settlements under way may take when the worker leaves.
const LEAVE_GRACE: Duration = Duration::from_secs(2);

/// How long the broker may take to answer a request that changes no data.
const ANSWER: Duration = Duration::from_secs(30);

/// A settlement under way.
type Settling = Pin<Box<dyn Future<Output = (u64, Result<Option<String>, Error>)> + Send>>;

/// How a session ended.
pub(super) enum Ended {
    /// The worker has left.
    Left,
    /// Something broke.
    Broken(Error),
}

/// What the broker knows this worker's consumers by, in the order of [`Session::consumers`].
const ROLES: [&str; 3] = ["worker", "look-ahead", "leaving"];
const WORKER: usize = 0;
const LOOK_AHEAD: usize = 1;
const LEAVING: usize = 2;

/// A connection with its channels and what came through them.
pub(super) struct Session {
    number: u64,
    broker: Broker,
    channel: Channel,
    outbox: Arc<Outbox>,
    consumers: [Option<Consumer>; 3],
    events: BoxStream<'static, lapin::Event>,
    held: HashMap<u64, Held>,
    settling: FuturesUnordered<Settling>,
    events_tx: mpsc::UnboundedSender<Result<Event, Error>>,
}

impl Session {
    pub(super) async fn open(
        number: u64,
        broker: Broker,
        outbox: Outbox,
        events_tx: mpsc::UnboundedSender<Result<Event, Error>>,
    ) -> Result<Self, Error> {
        let channel = broker.channel().await?;
        let events = broker.events();
        Ok(Self {
            number,
            broker,
            channel,
            outbox: Arc::new(outbox),
            consumers: [None, None, None],
            events,
            held: HashMap::new(),
            settling: FuturesUnordered::new(),
            events_tx,
        })
    }

    /// Serves the worker until it leaves or the session breaks; all claims are then void, and the
    /// worker is told.
    pub(super) async fn serve(
        mut self,
        options: &mut Options,
        commands_rx: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Ended {
        let ended = match self.serve_until_broken(options, commands_rx).await {
            Ok(()) => Ended::Left,
            Err(error) => Ended::Broken(error),
        };
        for &tag in self.held.keys() {
            self.tell(Event::Lost(self.claim(tag)));
        }
        if matches!(ended, Ended::Broken(_)) {
            // Its items come back the sooner for it.
            tokio::time::timeout(LEAVE_GRACE, self.broker.close()).await.ok();
        } else {
            self.leave().await;
        }
        ended
    }

    async fn serve_until_broken(
        &mut self,
        options: &mut Options,
        commands_rx: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Result<(), Error> {
        within(self.consume(options)).await?;
        loop {
            tokio::select! {
                biased;
                command = commands_rx.recv() => match command {
                    None | Some(Command::Close) => return Ok(()),
                    Some(command) => self.obey(command, options).await?,
                },
                Some((tag, result)) = self.settling.next() => self.settled(tag, result)?,
                message = next_message(&mut self.consumers) => self.deliver(message?),
                Some(event) = self.events.next() => self.hear(event)?,
            }
        }
    }

    async fn obey(&mut self, command: Command, options: &mut Options) -> Result<(), Error> {
        match command {
            Command::Settle(claim, verdict) => self.settle(claim, verdict),
            Command::Consume(how) => {
                options.consuming = how;
                within(self.consume(options)).await?;
            }
            Command::LookAhead(quick) => {
                options.quick = quick;
                within(self.consume(options)).await?;
            }
            Command::Measure => within(self.measure(options)).await?,
            Command::Close => {}
        }
        Ok(())
    }

    /// Brings the consumers in line with what is wanted. New ones come before old ones go, so
    /// that this worker counts as a consumer throughout.
    async fn consume(&mut self, options: &Options) -> Result<(), Error> {
        let active = options.consuming == Consuming::Active;
        let wanted = [active, active && options.quick, options.consuming == Consuming::Leaving];
        for (role, wanted) in wanted.into_iter().enumerate() {
            if wanted && self.consumers[role].is_none() {
                self.start(role, options).await?;
            }
        }
        for (role, wanted) in wanted.into_iter().enumerate() {
            if !wanted {
                self.cancel(role).await?;
            }
        }
        Ok(())
    }

    async fn start(&mut self, role: usize, options: &Options) -> Result<(), Error> {
        let mut arguments = FieldTable::default();
        let prefetch = match role {
            WORKER => options.concurrency,
            // Quick items: their confirms take longer than they do.
            LOOK_AHEAD => (4 * options.concurrency).clamp(16, 256),
            // This one is only there to be counted. If nobody else takes items it is given one,
            // which goes back when the worker has left.
            _ => {
                arguments.insert("x-priority".into(), AMQPValue::LongInt(-1000));
                1
            }
        };
        let failure = |error: lapin::Error| refusal(options, "consuming", &error);
        // Applies to consumers that start after it.
        self.channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(failure)?;
        let tag = format!("{}-{}", options.purpose, ROLES[role]).into();
        let queue = short(&options.queue);
        let consume = self.channel.basic_consume(queue, tag, BasicConsumeOptions::default(), arguments);
        self.consumers[role] = Some(consume.await.map_err(failure)?);
        Ok(())
    }

    /// Ends a consumer. What was on its way is taken in.
    async fn cancel(&mut self, role: usize) -> Result<(), Error> {
        let Some(mut consumer) = self.consumers[role].take() else { return Ok(()) };
        let cancelled = self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await;
        cancelled.map_err(|error| Error::from_lapin("ending a consumer", &error))?;
        while let Some(message) = consumer.next().await {
            let message = message.map_err(|error| Error::from_lapin("receiving", &error))?;
            if role != LEAVING {
                self.deliver((role, message));
            }
        }
        Ok(())
    }

    /// Counts what is ready and who consumes. That nothing is ready is then checked by asking for
    /// an item: a passive declaration also says 0 where the queue's leader cannot be found.
    async fn measure(&mut self, options: &Options) -> Result<(), Error> {
        let mut depth = self.depth(options).await?;
        if depth.ready == 0 && options.consuming == Consuming::Paused {
            let got = self.channel.basic_get(short(&options.queue), BasicGetOptions::default()).await;
            if let Some(got) = got.map_err(|error| refusal(options, "looking", &error))? {
                depth.ready = 1;
                self.deliver((WORKER, got.delivery));
            }
        }
        self.tell(Event::Depth(depth));
        Ok(())
    }

    async fn depth(&mut self, options: &Options) -> Result<Depth, Error> {
        let depth = topology::depth(&self.broker, &options.queue).await?;
        let depth = depth.ok_or_else(|| Error::NoQueue(options.queue.clone()))?;
        Ok(Depth { ready: depth.ready.into(), consumers: depth.consumers.into() })
    }

    fn deliver(&mut self, (role, message): (usize, Message)) {
        if role == LEAVING {
            return;
        }
        let tag = message.delivery_tag;
        let id = item_id(&message.properties, &message.data);
        let delivery = Delivery {
            claim: self.claim(tag),
            id: id.clone(),
            earlier: earlier_deliveries(&message.properties, message.redelivered),
            redelivered: message.redelivered,
            body: Arc::new(message.data),
        };
        self.held.insert(tag, Held { acker: message.acker, properties: message.properties, id });
        self.tell(Event::Delivery(delivery));
    }

    fn settle(&mut self, claim: Claim, verdict: Verdict) {
        let held = (claim.session == self.number).then(|| self.held.get(&claim.tag).cloned()).flatten();
        let Some(held) = held else {
            self.tell(Event::Lost(claim));
            return;
        };
        let outbox = self.outbox.clone();
        let settling = async move { (claim.tag, outbox.settle(held, verdict).await) };
        self.settling.push(Box::pin(settling));
    }

    fn settled(&mut self, tag: u64, result: Result<Option<String>, Error>) -> Result<(), Error> {
        if let Some(note) = result? {
            self.tell(Event::Note(note));
        }
        self.held.remove(&tag);
        self.tell(Event::Settled(self.claim(tag)));
        Ok(())
    }

    fn hear(&self, event: lapin::Event) -> Result<(), Error> {
        match event {
            lapin::Event::ConnectionBlocked(reason) => self.tell(Event::Note(format!(
                "the broker takes no messages now ({reason}): items that are finished wait to be settled"
            ))),
            lapin::Event::ConnectionUnblocked => {
                self.tell(Event::Note("the broker takes messages again".to_owned()))
            }
            lapin::Event::Error(error) => return Err(Error::from_lapin("the connection", &error)),
            _ => {}
        }
        Ok(())
    }

    /// Sees settlements under way through, gives the rest back one by one (a closed connection
    /// would count against their delivery limit), and closes the connection.
    async fn leave(mut self) {
        let settle = async {
            while let Some((tag, result)) = self.settling.next().await {
                if self.settled(tag, result).is_err() {
                    return;
                }
            }
            let requeue = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            for held in self.held.values() {
                held.acker.nack(requeue).await.ok();
            }
        };
        tokio::time::timeout(LEAVE_GRACE, settle).await.ok();
        tokio::time::timeout(LEAVE_GRACE, self.broker.close()).await.ok();
    }

    fn claim(&self, tag: u64) -> Claim {
        Claim { session: self.number, tag }
    }

    fn tell(&self, event: Event) {
        // A worker that listens no more needs no answer.
        self.events_tx.send(Ok(event)).ok();
    }
}

/// The next message of any consumer, with its role. A consumer that ends by itself was cancelled
/// by the broker: that breaks the session, and says nothing about what is in the queue.
async fn next_message(consumers: &mut [Option<Consumer>; 3]) -> Result<(usize, Message), Error> {
    std::future::poll_fn(|context: &mut Context<'_>| {
        for (role, consumer) in consumers.iter_mut().enumerate() {
            let Some(consumer) = consumer else { continue };
            match consumer.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(message))) => return Poll::Ready(Ok((role, message))),
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(Error::from_lapin("receiving", &error)));
                }
                Poll::Ready(None) => {
                    return Poll::Ready(Err(Error::Connection("the broker ended the consumer".to_owned())));
                }
                Poll::Pending => {}
            }
        }
        Poll::Pending
    })
    .await
}

fn refusal(options: &Options, operation: &str, error: &lapin::Error) -> Error {
    if topology::is_not_found(error) {
        return Error::NoQueue(options.queue.clone());
    }
    Error::from_lapin(format!("{operation} from queue {}", options.queue), error)
}

/// An answer in reasonable time: a connection that is dead without knowing it gives none.
async fn within(answer: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let timely = tokio::time::timeout(ANSWER, answer).await;
    timely.unwrap_or_else(|_| Err(Error::Connection("the broker does not answer".to_owned())))
}
