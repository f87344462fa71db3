//! A login at a release's broker through a tunnel: what all operations on queues start with.

use std::time::Duration;

use tokio::time::Instant;

use crate::cluster;
use crate::cluster::Cluster;
use crate::cluster::tunnel::Tunnel;
use crate::error::Error;
use crate::notice::Deadline;
use workqueue_amqp as broker;
use workqueue_amqp::{Broker, Endpoint};
use workqueue_core::names::ReleaseName;

/// Pause between two attempts to log in.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How often a question is asked again that a lost connection left without an answer.
const ASK_RETRIES: u32 = 2;

/// How to reach a broker.
pub enum Reach {
    /// Through a tunnel to the pod of a release.
    Release(Cluster, ReleaseName),
    /// Straight to its address.
    Direct(Endpoint),
}

impl Reach {
    /// What tells this broker from others.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Release(cluster, release) => {
                format!("{} {} {release}", cluster.url(), cluster.namespace())
            }
            Self::Direct(Endpoint { host, port, vhost, .. }) => format!("{host} {port} {vhost}"),
        }
    }
}

/// A connection to the broker, and the tunnel that it goes through.
pub struct BrokerConnection {
    /// The connection.
    pub broker: Broker,
    pub(crate) tunnel: Option<Tunnel>,
    /// Where further connections go.
    pub(crate) endpoint: Endpoint,
}

impl BrokerConnection {
    /// The broker's pod, or its host if it is reached without a tunnel.
    pub fn pod(&self) -> &str {
        self.tunnel.as_ref().map_or(&self.endpoint.host, Tunnel::pod)
    }

    /// Finds the ready broker pod, opens a tunnel to it and logs in.
    ///
    /// # Errors
    /// No broker, none ready, no right to forward ports, a refused login.
    pub async fn open(cluster: &Cluster, release: &ReleaseName, purpose: &str) -> Result<Self, Error> {
        let target = cluster.broker_pod(release).await?;
        let tunnel = cluster.tunnel(&target.pod, target.port).await?;
        let address = tunnel.address();
        let endpoint = Endpoint::plain(address.ip().to_string(), address.port(), target.credentials);
        match Broker::connect(&endpoint, purpose).await {
            Ok(broker) => Ok(Self { broker, tunnel: Some(tunnel), endpoint }),
            Err(error) => Err(explain(Some(&tunnel), error)),
        }
    }

    /// Logs in at a broker, whichever way leads to it.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn reach(reach: &Reach, purpose: &str) -> Result<Self, Error> {
        match reach {
            Reach::Release(cluster, release) => Self::open(cluster, release, purpose).await,
            Reach::Direct(endpoint) => {
                let broker = Broker::connect(endpoint, purpose).await?;
                Ok(Self { broker, tunnel: None, endpoint: endpoint.clone() })
            }
        }
    }

    /// Opens a session as soon as the broker lets us in; what does not heal by waiting ends it.
    ///
    /// # Errors
    /// The last error at the deadline, or the first that waiting cannot mend.
    pub async fn open_when_ready(
        cluster: &Cluster,
        release: &ReleaseName,
        purpose: &str,
        deadline: Deadline,
    ) -> Result<Self, Error> {
        let started = Instant::now();
        loop {
            let error = match Self::open(cluster, release, purpose).await {
                Ok(session) => return Ok(session),
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

    /// Asks a release's broker for something that changes nothing, again on a new connection where the
    /// first one breaks: a stream whose writer is not there yet ends it with an internal error.
    ///
    /// # Errors
    /// As for [`open`](Self::open), and what the question gives.
    pub async fn ask<T>(
        cluster: &Cluster,
        release: &ReleaseName,
        purpose: &str,
        question: impl AsyncFn(&Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut retries = ASK_RETRIES;
        loop {
            let session = Self::open(cluster, release, purpose).await?;
            let answer = question(&session).await;
            session.close().await;
            match answer {
                Err(error) if is_transient(&error) && retries > 0 => retries -= 1,
                answer => return answer,
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// The tunnel's own reason for a failure, where it has one; it says more than the client's
    /// "connection reset".
    pub fn explain(&self, error: broker::Error) -> Error {
        explain(self.tunnel.as_ref(), error)
    }

    /// Logs out and closes the tunnel.
    pub async fn close(self) {
        self.broker.close().await;
    }
}

pub(crate) fn explain(tunnel: Option<&Tunnel>, error: broker::Error) -> Error {
    match tunnel.and_then(Tunnel::failure) {
        Some(failure) if error.is_transient() => Error::Cluster(failure),
        _ => Error::Broker(error),
    }
}

/// An error at the deadline says how long it was waited for.
pub(crate) fn after_waiting(error: Error, started: Instant) -> Error {
    match error {
        Error::Cluster(cluster::Error::BrokerNotReady { diagnosis, .. }) => {
            let seconds = started.elapsed().as_secs().max(1);
            Error::Cluster(cluster::Error::BrokerNotReady { seconds, diagnosis })
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
