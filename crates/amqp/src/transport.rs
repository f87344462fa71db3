//! The stream of bytes that the publisher writes to: TCP, TLS over it, or whatever leads to a broker.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::error::LOGIN_TIMEOUT;
use crate::{Endpoint, Error};

/// A stream of bytes in both directions: TCP, TLS, or a tunnel.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

impl Endpoint {
    /// Connects to the broker's address.
    ///
    /// # Errors
    /// [`Error::Connection`], [`Error::LoginTimeout`], and [`Error::Address`] for bad certificates.
    pub async fn open_stream(&self) -> Result<Box<dyn ByteStream>, Error> {
        let connecting = tokio::time::timeout(LOGIN_TIMEOUT, connect(self));
        connecting.await.map_err(|_| Error::LoginTimeout)?
    }
}

async fn connect(endpoint: &Endpoint) -> Result<Box<dyn ByteStream>, Error> {
    let unreachable = |error: std::io::Error| Error::Connection(error.to_string());
    let host = &endpoint.host;
    let socket = TcpStream::connect((host.as_str(), endpoint.port)).await.map_err(unreachable)?;
    // Large writes are batched already; small ones must not wait for more.
    socket.set_nodelay(true).map_err(unreachable)?;
    let Some(tls) = &endpoint.tls else { return Ok(Box::new(socket)) };
    let name = ServerName::try_from(host.clone())
        .map_err(|_| Error::Address(format!("no certificate can have the name {host:?}")))?;
    let stream = tls.connector()?.connect(name, socket).await.map_err(unreachable)?;
    Ok(Box::new(stream))
}
