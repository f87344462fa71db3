//! A connection to a broker through lapin, and answers that arrive in reasonable time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use lapin::types::ShortString;
use lapin::{Channel, ConnectionProperties};

use crate::error::LOGIN_TIMEOUT;
use crate::{Endpoint, Error, Tls};
use workqueue_core::names::QueueName;

/// Seconds between heartbeats, where neither the URL nor the caller asks for others; two missed
/// ones end the connection.
const HEARTBEAT_SECONDS: u16 = 30;

/// How long a broker may take to answer a request. Unit tests play one that never does.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });

/// How long closing a channel or a connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection to a broker. Clones share it.
#[derive(Clone)]
pub struct Broker {
    connection: Arc<lapin::Connection>,
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
            Ok(Ok(connection)) => Ok(Self { connection: Arc::new(connection) }),
            Ok(Err(error)) => match Error::from_lapin("the login", &error) {
                Error::Refused { reason, .. } if reason.contains("ACCESS_REFUSED") => {
                    Err(Error::LoginRefused)
                }
                other => Err(other),
            },
        }
    }

    /// The events of the connection itself, such as alarms and errors.
    pub(crate) fn events(&self) -> BoxStream<'static, lapin::Event> {
        Box::pin(self.connection.events_listener())
    }

    /// Whether the connection itself is well. A channel that the broker has closed leaves it so.
    pub fn is_connected(&self) -> bool {
        self.connection.status().connected()
    }

    /// Opens a channel.
    pub(crate) async fn channel(&self) -> Result<Channel, Error> {
        answer("opening a channel", self.connection.create_channel()).await
    }

    /// Closes the connection properly; the broker would log a warning otherwise.
    pub async fn close(self) {
        // Nothing can be lost here: a broker that is gone needs no closing.
        tokio::time::timeout(CLOSE_TIMEOUT, self.connection.close(200, "done".into())).await.ok();
    }
}

/// Closes a channel.
pub(crate) async fn close_channel(channel: &Channel) {
    // All requests on it have been answered; a channel that is gone needs no closing.
    tokio::time::timeout(CLOSE_TIMEOUT, channel.close(200, "done".into())).await.ok();
}

/// An answer in reasonable time. A connection that is dead without knowing it gives none, nor does
/// lapin when the connection breaks just as the request is made.
pub(crate) async fn within<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let timely = tokio::time::timeout(ANSWER_TIMEOUT, answer).await;
    timely.unwrap_or_else(|_| Err(Error::Connection("the broker does not answer".to_owned())))
}

/// The same for one request of lapin's; `operation` says what was requested.
pub(crate) async fn answer<T>(
    operation: impl Into<String>,
    request: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Error> {
    within(async { request.await.map_err(|error| Error::from_lapin(operation, &error)) }).await
}

/// A queue's name as lapin takes it.
pub(crate) fn short(name: &QueueName) -> ShortString {
    name.as_str().into()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::fake_broker::FakeBroker;

    #[tokio::test]
    async fn an_answer_that_never_comes_is_a_lost_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("amqp://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("it connects");
            let _silent = FakeBroker::login(stream).await;
            std::future::pending::<()>().await;
        });
        let endpoint = Endpoint::parse(&url, None).expect("legal");
        let broker = Broker::connect(&endpoint, "test").await.expect("the login is answered");
        let channel = broker.channel().await.map(|_| ());
        assert!(channel.expect_err("the broker is silent").is_transient());
    }
}
