//! One connection of a worker: from its login until something breaks or the worker leaves.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, FuturesUnordered, StreamExt as _};
use lapin::Channel;
use lapin::message::Delivery as Message;
use lapin::options::{BasicGetOptions, BasicNackOptions};
use tokio::sync::mpsc;

use super::consumer::{Command, Options};
use super::consumers::{Consumers, Role, refusal};
use super::delivery::{earlier_deliveries, earlier_failures, item_id};
use super::settle::{Held, Outbox};
use super::topology::{self, short};
use super::{Broker, Error, within};
use workqueue_core::queue::{Claim, Consuming, Delivery, Depth, Event, Verdict};

/// How long settlements under way may take when the worker leaves.
const LEAVE_GRACE: Duration = Duration::from_secs(2);

/// A settlement under way.
type Settling = Pin<Box<dyn Future<Output = (u64, Result<Option<String>, Error>)> + Send>>;

/// How a session ended.
pub(super) enum Ended {
    /// The worker has left.
    Left,
    /// Something broke.
    Broken(Error),
}

/// A connection with its channels and what came through them.
pub(super) struct Session {
    number: u64,
    broker: Broker,
    channel: Channel,
    outbox: Arc<Outbox>,
    consumers: Consumers,
    events: BoxStream<'static, lapin::Event>,
    held: HashMap<u64, Held>,
    settling: FuturesUnordered<Settling>,
    events_tx: mpsc::UnboundedSender<Result<Event, Error>>,
    /// The broker has an alarm, and takes nothing from this connection.
    blocked: bool,
    due: Due,
}

/// What the worker has asked for and the broker has not been asked yet.
#[derive(Default)]
struct Due {
    consume: bool,
    measure: bool,
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
            consumers: Consumers::default(),
            events,
            held: HashMap::new(),
            settling: FuturesUnordered::new(),
            events_tx,
            blocked: false,
            due: Due::default(),
        })
    }

    /// Serves the worker until it leaves or the session breaks; all claims are then void, and the
    /// worker is told.
    pub(super) async fn serve(
        mut self,
        options: &mut Options,
        commands_rx: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Ended {
        match self.serve_until_broken(options, commands_rx).await {
            Ok(()) => {
                self.leave(options).await;
                Ended::Left
            }
            Err(error) => {
                for &tag in self.held.keys() {
                    self.tell(Event::Lost(self.claim(tag)));
                }
                // The items come back the sooner for it.
                self.broker.close().await;
                Ended::Broken(error)
            }
        }
    }

    async fn serve_until_broken(
        &mut self,
        options: &mut Options,
        commands_rx: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Result<(), Error> {
        within(self.consume(options)).await?;
        loop {
            if !self.blocked {
                self.catch_up(options).await?;
            }
            tokio::select! {
                biased;
                command = commands_rx.recv() => match command {
                    None | Some(Command::Close) => return Ok(()),
                    Some(command) => self.obey(command, options),
                },
                Some((tag, result)) = self.settling.next() => self.settled(tag, result)?,
                message = self.consumers.next() => self.deliver(message?),
                Some(event) = self.events.next() => self.hear(event)?,
            }
        }
    }

    fn obey(&mut self, command: Command, options: &mut Options) {
        match command {
            Command::Settle(claim, verdict) => self.settle(claim, verdict),
            Command::Consume(how) => {
                options.consuming = how;
                self.due.consume = true;
            }
            Command::LookAhead(quick) => {
                options.quick = quick;
                self.due.consume = true;
            }
            Command::Measure => self.due.measure = true,
            Command::Close => {}
        }
    }

    /// Does what is due. Not while the broker is blocked: nothing is sent to it then, and to wait for
    /// its answer would end a connection that is well.
    async fn catch_up(&mut self, options: &Options) -> Result<(), Error> {
        if std::mem::take(&mut self.due.consume) {
            within(self.consume(options)).await?;
        }
        if std::mem::take(&mut self.due.measure) {
            within(self.measure(options)).await?;
        }
        Ok(())
    }

    /// Brings the consumers in line with what is wanted, and takes in what was on its way.
    async fn consume(&mut self, options: &Options) -> Result<(), Error> {
        for message in self.consumers.set(&self.channel, options).await? {
            self.deliver(message);
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
                self.deliver((Role::Worker, got.delivery));
            }
        }
        self.tell(Event::Depth(depth));
        Ok(())
    }

    async fn depth(&mut self, options: &Options) -> Result<Depth, Error> {
        let depth = topology::depth(&self.broker, &options.queue).await?;
        let depth = depth.ok_or_else(|| Error::NoQueue(options.queue.clone()))?;
        let failed = topology::depth(&self.broker, &options.queue.failed()).await?.unwrap_or_default();
        Ok(Depth {
            ready: depth.ready.into(),
            consumers: depth.consumers.into(),
            failed: failed.ready.into(),
        })
    }

    fn deliver(&mut self, (role, message): (Role, Message)) {
        let tag = message.delivery_tag;
        let id = item_id(&message.properties, &message.data);
        let delivery = Delivery {
            claim: self.claim(tag),
            id: id.clone(),
            earlier: earlier_deliveries(&message.properties, message.redelivered),
            redelivered: message.redelivered,
            failures: earlier_failures(&message.properties),
            body: Arc::new(message.data),
        };
        self.held.insert(tag, Held { acker: message.acker, properties: message.properties, id });
        if role != Role::Leaving {
            self.tell(Event::Delivery(delivery));
        }
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

    fn hear(&mut self, event: lapin::Event) -> Result<(), Error> {
        match event {
            lapin::Event::ConnectionBlocked(reason) => {
                self.blocked = true;
                self.tell(Event::Note(format!(
                    "the broker takes no messages now ({reason}): items that are finished wait to be settled"
                )));
            }
            lapin::Event::ConnectionUnblocked => {
                self.blocked = false;
                self.tell(Event::Note("the broker takes messages again".to_owned()));
            }
            lapin::Event::Error(error) => return Err(Error::from_lapin("the connection", &error)),
            _ => {}
        }
        Ok(())
    }

    /// Sees settlements under way through, gives the rest back one by one (a closed connection
    /// would count against their delivery limit), and closes the connection.
    async fn leave(mut self, options: &mut Options) {
        let settle = async {
            // First, or it would be given what goes back.
            options.consuming = Consuming::Paused;
            self.consume(options).await.ok();
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
        self.broker.close().await;
    }

    fn claim(&self, tag: u64) -> Claim {
        Claim { session: self.number, tag }
    }

    fn tell(&self, event: Event) {
        // A worker that listens no more needs no answer.
        self.events_tx.send(Ok(event)).ok();
    }
}
