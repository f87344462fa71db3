//! AMQP only: connections to a broker, its queues, the publisher and the worker's side.
//!
//! Knows nothing of Kubernetes: an [`Endpoint`] may be a tunnel's loopback end or any address.

mod browse;
pub mod consumer;
mod consumers;
mod delivery;
mod dial;
mod endpoint;
pub mod failed;
mod failed_message;
#[cfg(test)]
mod fake;
mod link;
mod login;
pub mod look;
mod pace;
mod properties;
pub mod publisher;
pub mod retry;
mod session;
mod settle;
pub mod stream;
mod tally;
pub mod topology;
mod window;
mod wire;

use std::time::Duration;

use futures_util::stream::BoxStream;
use lapin::{Channel, ConnectionProperties, ErrorKind};

use workqueue_core::names::QueueName;

pub use dial::Tls;
pub use endpoint::Endpoint;
pub use failed_message::{FailedMessage, failed_history};
pub use link::Stream;

/// Seconds between heartbeats that are asked for where neither the URL nor the purpose asks for
/// others; two missed ones end the connection.
const HEARTBEAT_SECONDS: u16 = 30;

/// How long a broker may take from the TCP connection to the AMQP login.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a broker may take to answer a request. Unit tests play one that never does.
const ANSWER: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });

/// How long taking leave may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// Reply code of a broker that shuts down, or of an operator who closes a connection.
const CONNECTION_FORCED: u16 = 320;

/// Reply code for a queue that is not there, or whose node is away.
const NOT_FOUND: u16 = 404;

/// Reply code of a broker that has come upon a fault of its own.
const INTERNAL_ERROR: u16 = 541;

/// What can go wrong between us and a broker.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker refused user and password.
    #[error("the broker refused the login")]
    LoginRefused,
    /// No AMQP connection came about in time.
    #[error("the broker did not answer the login within {} s", LOGIN_TIMEOUT.as_secs())]
    LoginTimeout,
    /// The broker's address cannot be right.
    #[error("the broker's address is not usable: {0}")]
    Address(String),
    /// The connection could not be made, or broke.
    #[error("the connection to the broker failed: {0}")]
    Connection(String),
    /// The broker refused an operation and said why.
    #[error("{operation} was refused by the broker: {reason}")]
    Refused {
        /// What was asked for.
        operation: String,
        /// The broker's words.
        reason: String,
    },
    /// There is no such queue.
    #[error("there is no queue {0}")]
    NoQueue(QueueName),
    /// The broker could not be reached for too long.
    #[error("the broker could not be reached for {seconds} s")]
    Unreachable {
        /// How long it was tried.
        seconds: u64,
        /// The last attempt's error.
        #[source]
        last: Box<Error>,
    },
}

impl Error {
    /// Turns lapin's error into ours, knowing what was asked for.
    fn from_lapin(operation: impl Into<String>, error: &lapin::Error) -> Self {
        match error.kind() {
            ErrorKind::ProtocolError(refusal) => {
                Self::refused(refusal.get_id(), operation, refusal.get_message().to_string())
            }
            ErrorKind::IOError(source) => Self::Connection(source.to_string()),
            _ => Self::Connection(error.to_string()),
        }
    }

    /// The broker's words of closing, by its reply code: what an operator or a crash has ended is a
    /// lost connection and may be tried again, everything else is a refusal.
    /// <https://www.rabbitmq.com/amqp-0-9-1-reference#constants>
    fn refused(code: u16, operation: impl Into<String>, reason: String) -> Self {
        match code {
            CONNECTION_FORCED | INTERNAL_ERROR => Self::Connection(reason),
            NOT_FOUND if topology::is_passing(&reason) => Self::Connection(reason),
            _ => Self::Refused { operation: operation.into(), reason },
        }
    }

    /// Whether another attempt on a new connection may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Connection(_) | Self::LoginTimeout)
    }
}

/// A connection to a broker.
pub struct Broker {
    connection: lapin::Connection,
}

impl Broker {
    /// Connects and logs in; `purpose` is the connection's name in the broker's own tools.
    ///
    /// # Errors
    /// [`Error::LoginRefused`], [`Error::LoginTimeout`] or [`Error::Connection`].
    pub async fn connect(endpoint: &Endpoint, purpose: &str) -> Result<Self, Error> {
        let mut uri = endpoint.uri();
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let tls = endpoint.tls.as_ref().map(Tls::for_lapin).unwrap_or_default();
        let properties = ConnectionProperties::default().with_connection_name(purpose.into());
        let runtime =
            lapin::runtime::default_runtime().map_err(|error| Error::from_lapin("connecting", &error))?;
        let connecting = lapin::Connection::connect_uri_with_config(uri, properties, tls, runtime);
        match tokio::time::timeout(LOGIN_TIMEOUT, connecting).await {
            Err(_) => Err(Error::LoginTimeout),
            Ok(Ok(connection)) => Ok(Self { connection }),
            Ok(Err(error)) => match Error::from_lapin("the login", &error) {
                Error::Refused { reason, .. } if reason.contains("ACCESS_REFUSED") => {
                    Err(Error::LoginRefused)
                }
                other => Err(other),
            },
        }
    }

    /// What the broker says about the connection as a whole.
    fn events(&self) -> BoxStream<'static, lapin::Event> {
        Box::pin(self.connection.events_listener())
    }

    /// Opens a channel.
    pub(crate) async fn channel(&self) -> Result<Channel, Error> {
        answer("opening a channel", self.connection.create_channel()).await
    }

    /// Takes leave of the broker, which would log a warning otherwise.
    pub async fn close(self) {
        // Nothing is left to be lost here: a broker that has gone already needs no farewell.
        tokio::time::timeout(FAREWELL, self.connection.close(200, "done".into())).await.ok();
    }
}

/// An answer in reasonable time. A connection that is dead without knowing it gives none, nor does
/// lapin where the connection breaks just as it is asked.
async fn within<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let timely = tokio::time::timeout(ANSWER, answer).await;
    timely.unwrap_or_else(|_| Err(Error::Connection("the broker does not answer".to_owned())))
}

/// The same for one request of lapin's; `operation` says what was asked for.
async fn answer<T>(
    operation: impl Into<String>,
    request: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Error> {
    within(async { request.await.map_err(|error| Error::from_lapin(operation, &error)) }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_fault_of_the_broker_ended_may_be_tried_again() {
        let refused = |code| Error::refused(code, "reading queue q", "why".to_owned());
        assert!(refused(CONNECTION_FORCED).is_transient() && refused(INTERNAL_ERROR).is_transient());
        assert_eq!(refused(403).to_string(), "reading queue q was refused by the broker: why");
    }
}
