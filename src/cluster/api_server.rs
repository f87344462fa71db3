//! What the API server says of itself: its version and its clock.

use std::time::Duration;

use http::Request;
use http::header::DATE;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use kube::client::Body;
use tokio::time::Instant;

use super::{Cluster, Error};

/// An answer of the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAnswer {
    /// Such as `v1.20.2`.
    pub version: String,
    /// The server's clock, in whole seconds; `None` if the answer has no `Date`.
    pub server_time: Option<Timestamp>,
    /// This machine's clock when the server was asked.
    pub asked_at: Timestamp,
    /// How long the answer took.
    pub took: Duration,
}

impl Cluster {
    /// Asks the server for its version and its time.
    ///
    /// # Errors
    /// The server cannot be reached, or does not know the user.
    pub async fn greet(&self) -> Result<ServerAnswer, Error> {
        let version = self.server_version().await?;
        // Over the connection that is open now, so that the time of the answer is near.
        let request = Request::get("/version").body(Body::empty()).map_err(kube::Error::HttpError);
        let request = request.map_err(|error| self.error("asking for the server's time", error))?;
        let (asked_at, started) = (Timestamp::now(), Instant::now());
        let answer = self.call("asking for the server's time", self.client.send(request)).await?;
        let took = started.elapsed();
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
        let server_time = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
        Ok(ServerAnswer { version, server_time, asked_at, took })
    }
}
