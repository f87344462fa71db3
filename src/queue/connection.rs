//! A connection to a broker, through a tunnel or direct: every operation on queues starts here.

use std::time::Duration;

use tokio::time::Instant;

use crate::cluster;
use crate::cluster::Cluster;
use crate::cluster::broker_pod::LoginLimit;
use crate::cluster::tunnel::Tunnel;
use crate::error::Error;
use crate::notice::Deadline;
use crate::queue::spare;
use workqueue_amqp as broker;
use workqueue_amqp::{Broker, Endpoint, topology};
use workqueue_core::names::{QueueName, ReleaseName};

/// Pause between two attempts to connect.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How often a query is repeated after its connection broke.
const QUERY_RETRIES: u32 = 2;

/// Which broker to connect to.
pub enum BrokerTarget {
    /// A release's broker, through a tunnel to its pod.
    Release(Cluster, ReleaseName),
    /// Any broker, directly at its address.
    Direct(Endpoint),
}

impl BrokerTarget {
    /// Distinguishes this broker from others.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Release(cluster, release) => place(cluster, release),
            Self::Direct(Endpoint { host, port, vhost, .. }) => format!("{host} {port} {vhost}"),
        }
    }
}

/// A connection to a broker, and the tunnel that it uses.
pub struct BrokerConnection {
    pub broker: Broker,
    pub(crate) tunnel: Option<Tunnel>,
    /// Where to open further connections.
    pub(crate) endpoint: Endpoint,
    /// Why its user may only look.
    limit: Option<LoginLimit>,
    /// Where it leads to, for the next step of the command; `None` if it is not kept.
    place: Option<String>,
}

impl BrokerConnection {
    /// The broker's pod, or its host if there is no tunnel.
    pub fn pod(&self) -> &str {
        self.tunnel.as_ref().map_or(&self.endpoint.host, Tunnel::pod)
    }

    /// Finds the ready broker pod, opens a tunnel to it, and logs in; or takes the connection that an earlier
    /// step of the command has just closed. `purpose` names the connection in the broker's own tools.
    ///
    /// # Errors
    /// A broker that is missing or not ready, no permission to forward ports, a refused login.
    pub async fn open(cluster: &Cluster, release: &ReleaseName, purpose: &str) -> Result<Self, Error> {
        let place = place(cluster, release);
        match spare::take(&place) {
            Some(connection) => Ok(Self { place: Some(place), ..connection }),
            None => Self::open_new(cluster, release, purpose).await,
        }
    }

    async fn open_new(cluster: &Cluster, release: &ReleaseName, purpose: &str) -> Result<Self, Error> {
        let place = place(cluster, release);
        let target = cluster.broker_pod(release).await?;
        let tunnel = cluster.tunnel(&target.pod, target.port).await?;
        let address = tunnel.address();
        let endpoint = Endpoint::plain(address.ip().to_string(), address.port(), target.credentials);
        match Broker::connect(&endpoint, purpose).await {
            Ok(broker) => {
                Ok(Self { broker, tunnel: Some(tunnel), endpoint, limit: target.limit, place: Some(place) })
            }
            Err(error) => Err(explain(Some(&tunnel), error)),
        }
    }

    /// Opens a connection for the next step, while something else goes on. What goes wrong is said by that
    /// step.
    pub(crate) async fn open_ahead(cluster: &Cluster, release: &ReleaseName, purpose: &str) {
        if let Ok(connection) = Self::open(cluster, release, purpose).await {
            connection.close().await;
        }
    }

    /// Connects to a target as [`open`](Self::open) does.
    pub async fn open_target(target: &BrokerTarget, purpose: &str) -> Result<Self, Error> {
        match target {
            BrokerTarget::Release(cluster, release) => Self::open(cluster, release, purpose).await,
            BrokerTarget::Direct(endpoint) => {
                let broker = Broker::connect(endpoint, purpose).await?;
                Ok(Self { broker, tunnel: None, endpoint: endpoint.clone(), limit: None, place: None })
            }
        }
    }

    /// Connects as soon as the broker accepts the login, which has to be a new one: the password may have changed.
    ///
    /// # Errors
    /// The last error at the deadline, or the first error that is not transient.
    pub async fn open_when_ready(
        cluster: &Cluster,
        release: &ReleaseName,
        purpose: &str,
        deadline: Deadline,
    ) -> Result<Self, Error> {
        let started = Instant::now();
        loop {
            let error = match Self::open_new(cluster, release, purpose).await {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            if !is_transient(&error) {
                return Err(error);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(after_waiting(error, started));
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Runs a read-only `query` on a release's broker, and repeats it on a new connection if the
    /// connection breaks: reading a stream whose leader is not yet available closes the connection
    /// with an internal error.
    ///
    /// # Errors
    /// As for [`open`](Self::open); what the query returns.
    pub async fn query<T>(
        cluster: &Cluster,
        release: &ReleaseName,
        purpose: &str,
        query: impl AsyncFn(&Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut retries = QUERY_RETRIES;
        loop {
            let connection = Self::open(cluster, release, purpose).await?;
            let answer = query(&connection).await;
            connection.close().await;
            match answer {
                // A leader that has not answered was waited for already.
                Err(error @ Error::Broker(broker::Error::NoAnswer { .. })) => return Err(error),
                Err(error) if is_transient(&error) && retries > 0 => retries -= 1,
                answer => return answer,
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Makes sure that a queue, or what belongs to it, exists: of a queue that nobody has made, nothing can be
    /// said.
    ///
    /// # Errors
    /// [`broker::Error::NoQueue`]; lost connections.
    pub async fn require_queue(&self, queue: &QueueName) -> Result<(), Error> {
        for name in [queue.clone(), queue.failed(), queue.results()] {
            let exists = topology::exists(&self.broker, &name).await;
            if exists.map_err(|error| self.explain(error))? {
                return Ok(());
            }
        }
        Err(broker::Error::NoQueue(queue.clone()).into())
    }

    /// Refuses what whoever may only look must not do, although the broker would let them: with the
    /// permission to read a queue, it is emptied too.
    ///
    /// # Errors
    /// The Secret that may not be read.
    pub(crate) fn require_login_to_run(&self) -> Result<(), Error> {
        self.limit.clone().map_or(Ok(()), |limit| Err(Error::Cluster(limit.into())))
    }

    /// Replaces an error by the tunnel's own failure if there is one: it says more than the AMQP
    /// client's "connection reset". A refusal to a user who may only look is the lack of another login.
    pub fn explain(&self, error: broker::Error) -> Error {
        if let (broker::Error::Refused { reason, .. }, Some(limit)) = (&error, &self.limit)
            && reason.contains("ACCESS_REFUSED")
        {
            return Error::Cluster(limit.clone().into());
        }
        explain(self.tunnel.as_ref(), error)
    }

    /// Closes the connection and the tunnel, unless the command's next step takes it soon.
    pub async fn close(mut self) {
        let left = match self.place.take() {
            Some(place) => spare::keep(place, self),
            None => Some(self),
        };
        if let Some(connection) = left {
            connection.broker.close().await;
        }
    }
}

/// Tells this broker from others.
fn place(cluster: &Cluster, release: &ReleaseName) -> String {
    format!("{} {} {release}", cluster.url(), cluster.namespace())
}

pub(crate) fn explain(tunnel: Option<&Tunnel>, error: broker::Error) -> Error {
    match tunnel.and_then(Tunnel::failure) {
        Some(failure) if error.is_transient() => Error::Cluster(failure),
        _ => Error::Broker(error),
    }
}

/// Adds to an error at the deadline how long the broker was waited for.
pub(crate) fn after_waiting(error: Error, started: Instant) -> Error {
    match error {
        Error::Cluster(cluster::Error::BrokerNotReady { diagnosis, .. }) => {
            let seconds = started.elapsed().as_secs().max(1);
            Error::Cluster(cluster::Error::BrokerNotReady { seconds, is_late: true, diagnosis })
        }
        other => other,
    }
}

pub(crate) fn is_transient(error: &Error) -> bool {
    match error {
        Error::Broker(error) => error.is_transient(),
        Error::Cluster(error) => matches!(
            error,
            cluster::Error::BrokerNotReady { .. }
                | cluster::Error::Tunnel { .. }
                | cluster::Error::Unreachable { .. }
        ),
        _ => false,
    }
}
