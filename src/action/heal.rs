//! The line to the broker: found, dialled, and dialled again when it breaks.

use std::time::Duration;

use tokio::time::Instant;

use super::session::{self, Reach, Session};
use super::{Error, Event, Observer};
use crate::cluster;
use crate::cluster::tunnel::Tunnel;
use workqueue_amqp as broker;
use workqueue_amqp::ByteStream;
use workqueue_amqp::publisher::{PublishProgress, Publisher};
use workqueue_amqp::topology::{self, Ensured, QueueSpec};
use workqueue_core::names::QueueName;

/// Pause before the first attempt to connect again; each further one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How the publisher's connection is called in the broker's own tools.
const PURPOSE: &str = "kubectl-workqueue enqueue";

/// A line to the broker that is mended when it breaks.
pub(super) struct Line<'a> {
    reach: &'a Reach,
    queue: &'a QueueSpec,
    timeout: Duration,
    /// Items that an earlier attempt has seen confirmed.
    earlier: u64,
    observer: &'a dyn Observer,
    tunnel: Option<Tunnel>,
    up: bool,
    /// The last time that something moved.
    progress: Instant,
    /// Whether the broker has let us in once: it is there then, and what it says now may pass.
    known: bool,
    blocked: bool,
}

impl<'a> Line<'a> {
    /// A line that is not connected yet. It gives up after `timeout` without progress; 0: never.
    /// `earlier` items are in the queue already.
    pub(super) fn new(
        reach: &'a Reach,
        queue: &'a QueueSpec,
        timeout: Duration,
        earlier: u64,
        observer: &'a dyn Observer,
    ) -> Self {
        let progress = Instant::now();
        Self {
            reach,
            queue,
            timeout,
            earlier,
            observer,
            tunnel: None,
            up: false,
            progress,
            known: false,
            blocked: false,
        }
    }

    /// Whether there is no connection at the moment.
    pub(super) fn is_down(&self) -> bool {
        !self.up
    }

    /// Connects the publisher, after the error that broke the last connection, if there was one.
    /// Tries until it succeeds or the deadline has passed. Safe to cancel.
    pub(super) async fn connect(
        &mut self,
        publisher: &mut Publisher,
        broken: Option<Error>,
    ) -> Result<(), Error> {
        (self.tunnel, self.up) = (None, false);
        self.blocked = false;
        let mut pause = FIRST_PAUSE;
        if let Some(error) = &broken {
            // However long it was idle or blocked before, a new connection has all the time.
            self.note_progress();
            let in_flight = publisher.in_flight();
            self.note(&format!("{error}; connecting again, with {in_flight} items not confirmed yet"));
            tokio::time::sleep(jittered(pause)).await;
        }
        loop {
            let error = match self.try_connect(publisher).await {
                Ok(place) => {
                    if broken.is_some() {
                        let repeated = publisher.counts().repeated;
                        self.observer.on(Event::News(&format!(
                            "connected again through {place}: it goes on ({repeated} items published again so far)"
                        )));
                    }
                    self.known = true;
                    self.note_progress();
                    return Ok(());
                }
                Err(error) => error,
            };
            if !self.heals(&error) {
                return Err(error);
            }
            if !self.timeout.is_zero() && self.progress.elapsed() >= self.timeout {
                return Err(self.gave_up(error));
            }
            self.observer.on(Event::Waiting(&format!("the broker ({})", first_line(&error))));
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One attempt. Gives the place that the line leads to now.
    async fn try_connect(&mut self, publisher: &mut Publisher) -> Result<String, Error> {
        let session = Session::reach(self.reach, PURPOSE).await?;
        let confirmed = self.earlier + publisher.counts().confirmed;
        // Asked before it would be made: a new one would hide the loss from the next attempt.
        if confirmed > 0 && !exists(&session, &self.queue.name).await? {
            return Err(Error::QueueLost { queue: self.queue.name.clone(), confirmed });
        }
        ensure_queue(&session, self.queue, self.observer, !self.known).await?;
        let place = session.pod().to_owned();
        let Session { broker, tunnel, endpoint } = session;
        let stream = match (self.reach, &tunnel) {
            (Reach::Release(cluster, _), Some(tunnel)) => {
                Box::new(cluster.pod_stream(tunnel.pod(), tunnel.port()).await?) as Box<dyn ByteStream>
            }
            _ => endpoint.open_stream().await?,
        };
        let connected = publisher.connect(stream, &endpoint, PURPOSE).await;
        connected.map_err(|error| session::explain(tunnel.as_ref(), error))?;
        broker.close().await;
        (self.tunnel, self.up) = (tunnel, true);
        Ok(place)
    }

    /// Whether a new connection may mend an error.
    pub(super) fn heals(&self, error: &Error) -> bool {
        use cluster::Error as C;
        if !self.known {
            return session::is_transient(error);
        }
        // An API server or a broker that starts says no to much for some seconds.
        match error {
            Error::Broker(broker::Error::Refused { .. } | broker::Error::Address(_)) => false,
            Error::Broker(_) => true,
            Error::Cluster(C::NotInstalled { .. } | C::NamespaceMissing(_) | C::Config(_)) => false,
            Error::Cluster(_) => true,
            _ => false,
        }
    }

    /// Takes what the publisher's work came to, and tells the user what concerns him.
    pub(super) fn moved(&mut self, progress: Result<PublishProgress, broker::Error>) -> Result<(), Error> {
        let progress = progress.map_err(|error| session::explain(self.tunnel.as_ref(), error))?;
        match progress {
            PublishProgress::Moved => {}
            PublishProgress::Blocked(reason) => {
                self.blocked = true;
                self.note(&format!(
                    "the broker takes no items for now: {reason}; it goes on by itself when that is over"
                ));
            }
            PublishProgress::Unblocked => {
                self.blocked = false;
                self.note_progress();
                self.observer.on(Event::News("the broker takes items again"));
            }
        }
        Ok(())
    }

    /// Something moved: the time to give up starts anew.
    pub(super) fn note_progress(&mut self) {
        self.progress = Instant::now();
    }

    /// When to give up, unless something moves.
    pub(super) fn stall(&self) -> Instant {
        self.progress + self.timeout
    }

    /// Whether a lack of confirms is a reason to give up. A blocked broker has given its own.
    pub(super) fn can_stall(&self) -> bool {
        !self.blocked && !self.timeout.is_zero()
    }

    /// The error of a broker that confirms nothing.
    pub(super) fn stalled(&self) -> Error {
        let what = format!("the broker confirmed nothing more to queue {}", self.queue.name);
        Error::Deadline { what, seconds: self.timeout.as_secs() }
    }

    fn gave_up(&self, error: Error) -> Error {
        if !self.known {
            return session::after_waiting(error, self.progress);
        }
        let what = format!("the broker could not be reached again ({})", first_line(&error));
        Error::Deadline { what, seconds: self.progress.elapsed().as_secs() }
    }

    fn note(&self, text: &str) {
        self.observer.on(Event::Note(text));
    }
}

/// Half of the pause to one and a half: many publishers must not come back at one moment.
fn jittered(pause: Duration) -> Duration {
    use rand::RngExt as _;
    pause.mul_f64(rand::rng().random_range(0.5..1.5))
}

fn first_line(error: &Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

async fn exists(session: &Session, queue: &QueueName) -> Result<bool, Error> {
    let exists = topology::exists(&session.broker, queue).await.map_err(|error| session.explain(error))?;
    Ok(exists)
}

/// Makes the queue if it is missing, and says what an existing one does not guarantee, if it is
/// to be `told`. Gives whether it was made.
pub(super) async fn ensure_queue(
    session: &Session,
    spec: &QueueSpec,
    observer: &dyn Observer,
    told: bool,
) -> Result<bool, Error> {
    let ensured = topology::ensure(&session.broker, spec).await.map_err(|error| session.explain(error))?;
    let (created, note) = match ensured {
        Ensured::Created => (true, None),
        Ensured::Present => (false, None),
        Ensured::Different(reason) => (false, Some(different(&spec.name, &reason))),
        Ensured::CreatedClassic(reason) => (
            true,
            Some(format!(
                "the broker has no quorum queues ({reason}): queue {} is a classic one, where an item that \
                 kills its workers is delivered again without end",
                spec.name
            )),
        ),
    };
    if let Some(note) = note.filter(|_| told) {
        observer.on(Event::Note(&note));
    }
    Ok(created)
}

fn different(queue: &QueueName, reason: &str) -> String {
    format!(
        "queue {queue} was made with other arguments and is used as it is; that items survive a crash of \
         the broker, and that an item that keeps failing ends in {}, is not guaranteed ({reason})",
        queue.failed()
    )
}
