//! From an endpoint to a connected stream.

use tokio::net::TcpStream;

use super::link::Stream;
use super::{Endpoint, Error, LOGIN_TIMEOUT};

impl Endpoint {
    /// Connects to the broker's address.
    ///
    /// # Errors
    /// [`Error::Connection`] and [`Error::LoginTimeout`].
    pub(super) async fn dial(&self) -> Result<Box<dyn Stream>, Error> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let connected = tokio::time::timeout(LOGIN_TIMEOUT, connecting).await;
        let socket = connected.map_err(|_| Error::LoginTimeout)?.map_err(unreachable)?;
        // Writes are large already; what is small must not wait for more.
        socket.set_nodelay(true).map_err(unreachable)?;
        Ok(Box::new(socket))
    }
}

fn unreachable(error: std::io::Error) -> Error {
    Error::Connection(error.to_string())
}
