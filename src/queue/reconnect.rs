//! Connects the publisher to the broker, and reconnects it when the connection breaks.

use std::time::Duration;

use tokio::time::Instant;

use crate::cluster;
use crate::cluster::tunnel::Tunnel;
use crate::error::Error;
use crate::notice::{Notice, Observer, Recovery, Wait, Warning};
use crate::queue::connection::{self, BrokerConnection, BrokerTarget};
use crate::queue::declare::ensure_queue;
use workqueue_amqp as broker;
use workqueue_amqp::ByteStream;
use workqueue_amqp::publisher::{PublishProgress, Publisher};
use workqueue_amqp::topology::{self, QueueSpec};
use workqueue_core::names::QueueName;

/// Pause before the first attempt to reconnect; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The name of the publisher's connection in the broker's own tools.
const PURPOSE: &str = "kubectl-workqueue enqueue";

pub(crate) struct Reconnector<'a> {
    target: &'a BrokerTarget,
    queue: &'a QueueSpec,
    /// How long there may be no progress; zero for no limit.
    timeout: Duration,
    /// Items that an earlier attempt settled.
    settled_before: u64,
    observer: &'a dyn Observer,
    tunnel: Option<Tunnel>,
    is_up: bool,
    last_progress: Instant,
    /// Whether there has been a connection: then the broker exists, and most errors are temporary.
    was_up: bool,
    is_blocked: bool,
}

impl<'a> Reconnector<'a> {
    pub(crate) fn new(
        target: &'a BrokerTarget,
        queue: &'a QueueSpec,
        timeout: Duration,
        settled_before: u64,
        observer: &'a dyn Observer,
    ) -> Self {
        Self {
            target,
            queue,
            timeout,
            settled_before,
            observer,
            tunnel: None,
            is_up: false,
            last_progress: Instant::now(),
            was_up: false,
            is_blocked: false,
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        !self.is_up
    }

    /// Connects the publisher; `broken` is the error that ended its last connection. Retries until
    /// it succeeds, the error is permanent, or the timeout has passed. Safe to cancel.
    pub(crate) async fn connect(
        &mut self,
        publisher: &mut Publisher,
        broken: Option<Error>,
    ) -> Result<(), Error> {
        (self.tunnel, self.is_up, self.is_blocked) = (None, false, false);
        let mut pause = FIRST_PAUSE;
        if let Some(error) = &broken {
            // Idle or blocked time before this does not count.
            self.restart_timeout();
            let in_flight = publisher.in_flight();
            self.observer.warn(Warning::ConnectionBroken { error: error.to_string(), in_flight });
            tokio::time::sleep(jittered(pause)).await;
        }
        loop {
            match self.try_connect(publisher).await {
                Ok(place) => {
                    if broken.is_some() {
                        let repeated = publisher.counts().repeated;
                        let recovery = Recovery::Connection { place: &place, repeated };
                        self.observer.on(Notice::Recovered(recovery));
                    }
                    self.was_up = true;
                    self.restart_timeout();
                    return Ok(());
                }
                Err(error) if !self.is_recoverable(&error) => return Err(error),
                Err(error) if self.has_timed_out() => return Err(self.timed_out(error)),
                Err(error) => self.observer.on(Notice::Waiting(Wait::BrokerBack(&first_line(&error)))),
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Makes one attempt. Returns the pod or host of the broker.
    async fn try_connect(&mut self, publisher: &mut Publisher) -> Result<String, Error> {
        let connection = BrokerConnection::open_target(self.target, PURPOSE).await?;
        let confirmed = self.settled_before + publisher.counts().confirmed;
        // Checked before the queue is declared: a new queue would hide the loss from the next attempt.
        if confirmed > 0 && !exists(&connection, &self.queue.name).await? {
            return Err(Error::QueueLost { queue: self.queue.name.clone(), confirmed });
        }
        ensure_queue(&connection, self.queue, self.observer, !self.was_up).await?;
        let place = connection.pod().to_owned();
        let BrokerConnection { broker, tunnel, endpoint, .. } = connection;
        let stream = match (self.target, &tunnel) {
            (BrokerTarget::Release(cluster, _), Some(tunnel)) => {
                Box::new(cluster.pod_stream(tunnel.pod(), tunnel.port()).await?) as Box<dyn ByteStream>
            }
            _ => endpoint.open_stream().await?,
        };
        let connected = publisher.connect(stream, &endpoint, PURPOSE).await;
        connected.map_err(|error| connection::explain(tunnel.as_ref(), error))?;
        broker.close().await;
        (self.tunnel, self.is_up) = (tunnel, true);
        Ok(place)
    }

    /// Whether another connection attempt may succeed after this error.
    pub(crate) fn is_recoverable(&self, error: &Error) -> bool {
        use cluster::Error as C;
        if !self.was_up {
            return connection::is_transient(error);
        }
        // An API server or a broker that is starting refuses much for some seconds.
        match error {
            Error::Broker(broker::Error::Refused { .. } | broker::Error::Address(_)) => false,
            Error::Broker(_) => true,
            Error::Cluster(C::NotInstalled { .. } | C::NamespaceMissing(_) | C::Config(_)) => false,
            Error::Cluster(_) => true,
            _ => false,
        }
    }

    /// Handles the outcome of the publisher's work, and reports when the broker blocks it.
    pub(crate) fn handle_progress(
        &mut self,
        progress: Result<PublishProgress, broker::Error>,
    ) -> Result<(), Error> {
        let progress = progress.map_err(|error| connection::explain(self.tunnel.as_ref(), error))?;
        match progress {
            PublishProgress::Moved => {}
            PublishProgress::Blocked(reason) => {
                self.is_blocked = true;
                self.observer.warn(Warning::BrokerBlocked { reason: &reason });
            }
            PublishProgress::Unblocked => {
                self.is_blocked = false;
                self.restart_timeout();
                self.observer.on(Notice::Recovered(Recovery::BrokerUnblocked));
            }
        }
        Ok(())
    }

    pub(crate) fn restart_timeout(&mut self) {
        self.last_progress = Instant::now();
    }

    /// When to give up unless there is progress.
    pub(crate) fn stalls_at(&self) -> Instant {
        self.last_progress + self.timeout
    }

    /// Whether missing confirms are a reason to give up. A blocked broker has given its own reason.
    pub(crate) fn can_stall(&self) -> bool {
        !self.is_blocked && !self.timeout.is_zero()
    }

    /// The error when confirms stay away.
    pub(crate) fn stalled(&self) -> Error {
        let what = format!("the broker confirmed no more items of queue {}", self.queue.name);
        Error::Deadline { what, seconds: self.timeout.as_secs() }
    }

    fn has_timed_out(&self) -> bool {
        !self.timeout.is_zero() && self.last_progress.elapsed() >= self.timeout
    }

    fn timed_out(&self, error: Error) -> Error {
        if !self.was_up {
            return connection::after_waiting(error, self.last_progress);
        }
        let what = format!("the broker could not be reached again ({})", first_line(&error));
        Error::Deadline { what, seconds: self.last_progress.elapsed().as_secs() }
    }
}

/// Between half and one and a half times the pause, so that many publishers do not reconnect at once.
fn jittered(pause: Duration) -> Duration {
    use rand::RngExt as _;
    pause.mul_f64(rand::rng().random_range(0.5..1.5))
}

fn first_line(error: &Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

async fn exists(connection: &BrokerConnection, queue: &QueueName) -> Result<bool, Error> {
    let depth =
        topology::depth(&connection.broker, queue).await.map_err(|error| connection.explain(error))?;
    Ok(depth.is_some())
}
