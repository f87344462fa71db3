//! An AMQP connection for publishing only: one channel with confirms, frames in and out.
//!
//! One task reads and writes, so that no frame waits for another task to wake up.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;

use super::frames::{self, Frame};
use crate::{ByteStream, Error};

/// The only channel.
pub(super) const CHANNEL: u16 = 1;

/// Time between heartbeats; RabbitMQ recommends 5 to 20 s.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(10);

/// Silence after which a connection is considered dead.
const DEAD_AFTER: Duration = Duration::from_secs(25);

/// Bytes of one read; a broker sends a publisher little but confirms.
const READ_SIZE: usize = 16 * 1024;

// Class and method numbers, from the reference.
pub(super) const CLOSE: (u16, u16) = (10, 50);
const CLOSE_OK: (u16, u16) = (10, 51);
pub(super) const BLOCKED: (u16, u16) = (10, 60);
pub(super) const UNBLOCKED: (u16, u16) = (10, 61);
const CHANNEL_OPEN: (u16, u16) = (20, 10);
pub(super) const CHANNEL_OPEN_OK: (u16, u16) = (20, 11);
pub(super) const CHANNEL_CLOSE: (u16, u16) = (20, 40);
const CHANNEL_CLOSE_OK: (u16, u16) = (20, 41);
const CONFIRM_SELECT: (u16, u16) = (85, 10);
pub(super) const CONFIRM_SELECT_OK: (u16, u16) = (85, 11);

/// The reply code of a refused login.
const ACCESS_REFUSED: u16 = 403;

/// A connection for publishing.
pub(super) struct Connection {
    stream: Box<dyn ByteStream>,
    input: BytesMut,
    /// Frames to be written.
    pub(super) output: BytesMut,
    scratch: Box<[u8]>,
    unflushed: bool,
    last_read: Instant,
    last_heartbeat: Instant,
    /// Bytes of a body that fit into a frame.
    pub(super) body_max: usize,
    /// What the broker said of itself at the login.
    pub(super) server: Vec<(String, String)>,
}

impl Connection {
    /// A connection over a stream, before its login.
    pub(super) fn new(stream: Box<dyn ByteStream>) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            output: BytesMut::from(frames::PROTOCOL_HEADER),
            scratch: vec![0; READ_SIZE].into(),
            unflushed: false,
            last_read: Instant::now(),
            last_heartbeat: Instant::now(),
            body_max: 0,
            server: Vec::new(),
        }
    }

    /// Requests the channel; its confirms are requested once it is open.
    pub(super) fn put_channel_open(&mut self) {
        frames::put_method(&mut self.output, CHANNEL, CHANNEL_OPEN, |out| frames::put_short(out, ""));
    }

    /// Requests publisher confirms.
    pub(super) fn put_confirm_select(&mut self) {
        frames::put_method(&mut self.output, CHANNEL, CONFIRM_SELECT, |out| out.put_u8(0));
    }

    /// Confirms that the broker has closed the channel, and requests a new one.
    pub(super) fn reopen_channel(&mut self) {
        frames::put_method(&mut self.output, CHANNEL, CHANNEL_CLOSE_OK, |_| {});
        self.put_channel_open();
    }

    /// The next complete frame among the bytes read so far.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        frames::decode(&mut self.input).map_err(|_| malformed())
    }

    /// Why the broker has closed the connection.
    pub(super) fn closed(&mut self, arguments: bytes::Bytes) -> Error {
        frames::put_method(&mut self.output, 0, CLOSE_OK, |_| {});
        let (code, reason) = close_reason(arguments);
        if code == ACCESS_REFUSED && self.body_max == 0 {
            return Error::LoginRefused;
        }
        Error::refused(code, "the connection", reason)
    }

    /// Reads or writes as soon as either is possible, and sends heartbeats meanwhile.
    /// Safe to cancel.
    ///
    /// # Errors
    /// A broken connection, or one that has been silent for too long.
    pub(super) async fn pump(&mut self) -> Result<(), Error> {
        let heartbeat = self.last_heartbeat + HEARTBEAT / 2;
        let result = tokio::time::timeout_at(heartbeat, poll_fn(|context| self.poll(context))).await;
        match result {
            Ok(result) => result.map_err(|error| Error::Connection(error.to_string())),
            Err(_) if self.last_read.elapsed() > DEAD_AFTER => {
                Err(Error::Connection(format!("the broker has sent nothing for {} s", DEAD_AFTER.as_secs())))
            }
            Err(_) => {
                self.last_heartbeat = Instant::now();
                // A blocked connection writes nothing: heartbeats must not pile up.
                if self.output.is_empty() {
                    frames::put_heartbeat(&mut self.output);
                }
                Ok(())
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let mut progress = false;
        while !self.output.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, &self.output) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => {
                    self.output.advance(written);
                    (progress, self.unflushed) = (true, true);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        if self.unflushed && Pin::new(&mut self.stream).poll_flush(context)?.is_ready() {
            self.unflushed = false;
        }
        let mut buffer = ReadBuf::new(&mut self.scratch);
        if Pin::new(&mut self.stream).poll_read(context, &mut buffer)?.is_ready() {
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(std::io::ErrorKind::UnexpectedEof.into()));
            }
            self.input.extend_from_slice(buffer.filled());
            self.last_read = Instant::now();
            progress = true;
        }
        if progress {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    /// Closes the connection properly; the broker would log a warning otherwise.
    pub(super) async fn close(mut self) {
        frames::put_method(&mut self.output, 0, CLOSE, |out| {
            out.put_u16(200);
            frames::put_short(out, "done");
            out.put_u32(0);
        });
        // Everything is settled by now: a broker that is gone needs no closing.
        let closing = async {
            while let Ok(frame) = self.next_frame() {
                match frame {
                    Some(Frame::Method { id: CLOSE_OK, .. }) => return,
                    None if self.pump().await.is_err() => return,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(1), closing).await.ok();
    }
}

/// The reply code and text of a `connection.close` or `channel.close`.
pub(super) fn close_reason(mut arguments: bytes::Bytes) -> (u16, String) {
    let code = arguments.try_get_u16().unwrap_or_default();
    (code, frames::short_string(&mut arguments).unwrap_or_default())
}

pub(super) fn malformed() -> Error {
    Error::Connection(frames::Malformed.to_string())
}
