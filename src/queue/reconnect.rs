//! The line to the broker: found, dialled, and dialled again when it breaks.

use std::time::Duration;

use tokio::time::Instant;

use crate::cluster;
use crate::cluster::tunnel::Tunnel;
use crate::error::Error;
use crate::notice::{Notice, Observer, Recovery, Wait, Warning};
use crate::queue::connection::{self, BrokerConnection, Reach};
use workqueue_amqp as broker;
use workqueue_amqp::Stream;
use workqueue_amqp::publisher::{Progress, Publisher};
use workqueue_amqp::topology::{self, Ensured, QueueSpec};
use workqueue_core::names::QueueName;

/// Pause before the first attempt to connect again; each further one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How the publisher's connection is called in the broker's own tools.
const PURPOSE: &str = "kubectl-workqueue enqueue";

/// A line to the broker that is mended when it breaks.
pub(crate) struct Reconnector<'a> {
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

impl<'a> Reconnector<'a> {
    /// A line that is not connected yet. It gives up after `timeout` without progress; 0: never.
    /// `earlier` items are in the queue already.
    pub(crate) fn new(
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
    pub(crate) fn is_down(&self) -> bool {
        !self.up
    }

    /// Connects the publisher, after the error that broke the last connection, if there was one.
    /// Tries until it succeeds or the deadline has passed. Safe to cancel.
    pub(crate) async fn connect(
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
            self.observer.warn(Warning::ConnectionBroken { error: error.to_string(), in_flight });
            tokio::time::sleep(jittered(pause)).await;
        }
        loop {
            let error = match self.try_connect(publisher).await {
                Ok(place) => {
                    if broken.is_some() {
                        let repeated = publisher.tally().repeated;
                        let recovery = Recovery::Connection { place: &place, repeated };
                        self.observer.on(Notice::Recovered(recovery));
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
            self.observer.on(Notice::Waiting(Wait::BrokerBack(&first_line(&error))));
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One attempt. Gives the place that the line leads to now.
    async fn try_connect(&mut self, publisher: &mut Publisher) -> Result<String, Error> {
        let session = BrokerConnection::reach(self.reach, PURPOSE).await?;
        let confirmed = self.earlier + publisher.tally().confirmed;
        // Asked before it would be made: a new one would hide the loss from the next attempt.
        if confirmed > 0 && !exists(&session, &self.queue.name).await? {
            return Err(Error::QueueLost { queue: self.queue.name.clone(), confirmed });
        }
        ensure_queue(&session, self.queue, self.observer, !self.known).await?;
        let place = session.pod().to_owned();
        let BrokerConnection { broker, tunnel, endpoint } = session;
        let stream = match (self.reach, &tunnel) {
            (Reach::Release(cluster, _), Some(tunnel)) => {
                Box::new(cluster.pod_stream(tunnel.pod(), tunnel.port()).await?) as Box<dyn Stream>
            }
            _ => endpoint.dial().await?,
        };
        let connected = publisher.connect(stream, &endpoint, PURPOSE).await;
        connected.map_err(|error| connection::explain(tunnel.as_ref(), error))?;
        broker.close().await;
        (self.tunnel, self.up) = (tunnel, true);
        Ok(place)
    }

    /// Whether a new connection may mend an error.
    pub(crate) fn heals(&self, error: &Error) -> bool {
        use cluster::Error as C;
        if !self.known {
            return connection::is_transient(error);
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
    pub(crate) fn moved(&mut self, progress: Result<Progress, broker::Error>) -> Result<(), Error> {
        let progress = progress.map_err(|error| connection::explain(self.tunnel.as_ref(), error))?;
        match progress {
            Progress::Moved => {}
            Progress::Blocked(reason) => {
                self.blocked = true;
                self.observer.warn(Warning::BrokerBlocked { reason: &reason });
            }
            Progress::Unblocked => {
                self.blocked = false;
                self.note_progress();
                self.observer.on(Notice::Recovered(Recovery::BrokerUnblocked));
            }
        }
        Ok(())
    }

    /// Something moved: the time to give up starts anew.
    pub(crate) fn note_progress(&mut self) {
        self.progress = Instant::now();
    }

    /// When to give up, unless something moves.
    pub(crate) fn stall(&self) -> Instant {
        self.progress + self.timeout
    }

    /// Whether a lack of confirms is a reason to give up. A blocked broker has given its own.
    pub(crate) fn can_stall(&self) -> bool {
        !self.blocked && !self.timeout.is_zero()
    }

    /// The error of a broker that confirms nothing.
    pub(crate) fn stalled(&self) -> Error {
        let what = format!("the broker confirmed nothing more to queue {}", self.queue.name);
        Error::Deadline { what, seconds: self.timeout.as_secs() }
    }

    fn gave_up(&self, error: Error) -> Error {
        if !self.known {
            return connection::after_waiting(error, self.progress);
        }
        let what = format!("the broker could not be reached again ({})", first_line(&error));
        Error::Deadline { what, seconds: self.progress.elapsed().as_secs() }
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

async fn exists(session: &BrokerConnection, queue: &QueueName) -> Result<bool, Error> {
    let depth = topology::depth(&session.broker, queue).await.map_err(|error| session.explain(error))?;
    Ok(depth.is_some())
}

/// Makes the queue if it is missing, and says what an existing one does not guarantee, if it is
/// to be `told`. Gives whether it was made.
pub(crate) async fn ensure_queue(
    session: &BrokerConnection,
    spec: &QueueSpec,
    observer: &dyn Observer,
    told: bool,
) -> Result<bool, Error> {
    let ensured = topology::ensure(&session.broker, spec).await.map_err(|error| session.explain(error))?;
    let warning = match &ensured {
        Ensured::Created | Ensured::Present => None,
        Ensured::Different(reason) => Some(Warning::QueueDiffers { queue: &spec.name, reason }),
        Ensured::CreatedClassic(reason) => Some(Warning::ClassicQueue { queue: &spec.name, reason }),
    };
    if let Some(warning) = warning.filter(|_| told) {
        observer.warn(warning);
    }
    Ok(matches!(ensured, Ensured::Created | Ensured::CreatedClassic(_)))
}
