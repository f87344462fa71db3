//! A pod's port as a stream of bytes: `kubectl port-forward` without a listener.
//!
//! kube's own forwarder reads 4 KiB at a time, flushes each piece, and passes it between tasks. This
//! one sends each write of the caller as one frame, in the caller's task.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::{Sink, Stream};
use k8s_openapi::api::core::v1::Pod;
use kube::Resource as _;
use kube::api::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::{Cluster, Error, pod_tls};

/// Maximum size of a sent frame in bytes.
const FRAME_MAX: usize = 128 * 1024;

/// The channels of the protocol `v4.channel.k8s.io` for the first port, and the channel on which
/// `v5` reports that another channel is closed.
const DATA: u8 = 0;
const ERROR: u8 = 1;
const CLOSED: u8 = 255;

/// Timeout of the TLS handshake.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes at the start of each channel: the port's number.
const PREFIX: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodPort {
    pub number: u16,
    /// Whether the port only accepts TLS.
    pub tls: bool,
}

/// A stream of bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

impl Cluster {
    /// Connects to a pod's port, with a TLS handshake if the port requires it.
    ///
    /// # Errors
    /// [`Error::Forbidden`] with the missing rule, [`Error::Tunnel`].
    pub async fn pod_stream(&self, pod: &str, port: PodPort) -> Result<Box<dyn Duplex>, Error> {
        let PodPort { number, tls } = port;
        let what = format!("forwarding port {number} of pod {pod}");
        let request = Request::new(Pod::url_path(&(), Some(&self.namespace))).portforward(pod, &[number]);
        let request = request.map_err(|error| Error::Api {
            what: what.clone(),
            message: error.to_string(),
            code: None,
        })?;
        let broken = |reason: String| Error::Tunnel { pod: pod.to_owned(), reason };
        let connection =
            self.call(what, self.client.connect(request)).await.map_err(|error| match error {
                // The pod ended since it was found: the next one may answer.
                Error::Api { message, .. } => broken(message),
                error => error,
            })?;
        let stream = PodStream::new(connection.into_stream());
        if !tls {
            return Ok(Box::new(stream));
        }
        match tokio::time::timeout(TLS_TIMEOUT, pod_tls::over(stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(broken(format!("the TLS handshake with port {number} failed: {error}"))),
            Err(_) => Err(broken(format!("the TLS handshake with port {number} timed out"))),
        }
    }
}

/// Converts the frames of a WebSocket to a stream of bytes.
struct PodStream<S> {
    socket: S,
    incoming: Bytes,
    /// Whether the channels for data and errors have sent the port's number.
    started: [bool; 2],
}

impl<S> PodStream<S> {
    fn new(socket: S) -> Self {
        Self { socket, incoming: Bytes::new(), started: [false; 2] }
    }

    /// Handles a frame. Returns `false` at the end of the stream.
    fn take(&mut self, mut frame: Bytes) -> io::Result<bool> {
        if frame.is_empty() {
            return Ok(true);
        }
        let channel = frame.get_u8();
        let Some(started) = self.started.get_mut(usize::from(channel)) else { return Ok(channel != CLOSED) };
        if !std::mem::replace(started, true) {
            if frame.len() != PREFIX {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the tunnel starts with an unexpected frame",
                ));
            }
            return Ok(true);
        }
        match channel {
            DATA => self.incoming = frame,
            ERROR => return Err(io::Error::other(String::from_utf8_lossy(&frame).trim().to_owned())),
            _ => {}
        }
        Ok(true)
    }
}

impl<S: Stream<Item = Result<Message, SocketError>> + Unpin> AsyncRead for PodStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.incoming.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Binary(frame))) => {
                    if !self.take(frame)? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
            }
        }
        let size = self.incoming.len().min(buffer.remaining());
        buffer.put_slice(&self.incoming.split_to(size));
        Poll::Ready(Ok(()))
    }
}

impl<S: Sink<Message, Error = SocketError> + Unpin> AsyncWrite for PodStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(context)).map_err(broken)?;
        let size = bytes.len().min(FRAME_MAX);
        let mut frame = BytesMut::with_capacity(size + 1);
        frame.put_u8(DATA);
        frame.put_slice(&bytes[..size]);
        Pin::new(&mut self.socket).start_send(Message::Binary(frame.freeze())).map_err(broken)?;
        Poll::Ready(Ok(size))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context).map_err(broken)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(context).map_err(broken)
    }
}

fn broken(error: SocketError) -> io::Error {
    match error {
        SocketError::Io(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use tokio::io::AsyncReadExt as _;

    async fn read(frames: &[&'static [u8]]) -> (Vec<u8>, Option<String>) {
        let frames: Vec<_> =
            frames.iter().map(|frame| Ok(Message::Binary(Bytes::from_static(frame)))).collect();
        let mut stream = PodStream::new(stream::iter(frames));
        let mut bytes = Vec::new();
        let error = stream.read_to_end(&mut bytes).await.err();
        (bytes, error.map(|error| error.to_string()))
    }

    #[tokio::test]
    async fn data_follows_the_ports_number_and_errors_end_the_stream() {
        let start: [&[u8]; 2] = [b"\0\x28\x16", b"\x01\x28\x16"];
        let frames = [&start[..], &[b"\0ab", b"\0", b"\0c"]].concat();
        assert_eq!(read(&frames).await, (b"abc".to_vec(), None));
        let frames = [&start[..], &[b"\0ab", b"\x01no such port\n"]].concat();
        assert_eq!(read(&frames).await, (b"ab".to_vec(), Some("no such port".to_owned())));
        let frames = [&start[..], &[b"\0ab", b"\xff\0", b"\0c"]].concat();
        assert_eq!(read(&frames).await, (b"ab".to_vec(), None), "what follows the end is not read");
        assert!(read(&[b"\0abc"]).await.1.is_some(), "the first frame has another size");
    }
}
