//! The login of a publisher: protocol version, user and password, limits, and the channel.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::connection::{CLOSE, Connection, HEARTBEAT, malformed};
use super::frames::{self, Frame, Malformed};
use crate::error::LOGIN_TIMEOUT;
use crate::{ByteStream, Endpoint, Error};

/// The largest frame, in bytes: RabbitMQ's default.
const FRAME_MAX: u32 = 128 * 1024;

/// Bytes of the protocol's version at the beginning of [`START`].
const PROTOCOL_VERSION: usize = 2;

// Class and method numbers, from the reference.
const START: (u16, u16) = (10, 10);
const START_OK: (u16, u16) = (10, 11);
const TUNE: (u16, u16) = (10, 30);
const TUNE_OK: (u16, u16) = (10, 31);
const OPEN: (u16, u16) = (10, 40);
const OPEN_OK: (u16, u16) = (10, 41);

/// Logs in over a connected stream, and requests the channel. `purpose` is the connection's name in
/// the broker's own tools.
///
/// # Errors
/// [`Error::LoginRefused`], [`Error::LoginTimeout`] or [`Error::Connection`].
pub(super) async fn login(
    stream: Box<dyn ByteStream>,
    endpoint: &Endpoint,
    purpose: &str,
) -> Result<Connection, Error> {
    let mut connection = Connection::new(stream);
    match tokio::time::timeout(LOGIN_TIMEOUT, handshake(&mut connection, endpoint, purpose)).await {
        Ok(result) => result.map(|()| connection),
        Err(_) => Err(Error::LoginTimeout),
    }
}

async fn handshake(connection: &mut Connection, endpoint: &Endpoint, purpose: &str) -> Result<(), Error> {
    connection.server = server_properties(expect(connection, START).await?).unwrap_or_default();
    let login = format!("\0{}\0{}", endpoint.credentials.username, endpoint.credentials.password);
    frames::put_method(&mut connection.output, 0, START_OK, |out| {
        frames::put_long(out, &client_properties(purpose));
        frames::put_short(out, "PLAIN");
        frames::put_long(out, login.as_bytes());
        frames::put_short(out, "en_US");
    });
    let mut tune = expect(connection, TUNE).await?;
    if tune.remaining() < 8 {
        return Err(malformed());
    }
    let (channel_max, frame_max, heartbeat) = (tune.get_u16(), tune.get_u32(), tune.get_u16());
    let frame_max = if frame_max == 0 { FRAME_MAX } else { frame_max.min(FRAME_MAX) };
    connection.body_max = (frame_max as usize).saturating_sub(frames::FRAME_OVERHEAD).max(1);
    let ours = HEARTBEAT.as_secs() as u16;
    frames::put_method(&mut connection.output, 0, TUNE_OK, |out| {
        out.put_u16(channel_max);
        out.put_u32(frame_max);
        out.put_u16(if heartbeat == 0 { ours } else { heartbeat.min(ours) });
    });
    frames::put_method(&mut connection.output, 0, OPEN, |out| {
        frames::put_short(out, &endpoint.vhost);
        frames::put_short(out, "");
        out.put_u8(0);
    });
    expect(connection, OPEN_OK).await?;
    connection.put_channel_open();
    Ok(())
}

/// What the broker says of itself, as far as it is text: `product`, `version` and others.
fn server_properties(mut start: Bytes) -> Result<Vec<(String, String)>, Malformed> {
    if start.remaining() < PROTOCOL_VERSION {
        return Err(Malformed);
    }
    start.advance(PROTOCOL_VERSION);
    frames::text_fields(start)
}

/// Waits for one method during the login.
async fn expect(connection: &mut Connection, wanted: (u16, u16)) -> Result<Bytes, Error> {
    loop {
        match connection.next_frame()? {
            Some(Frame::Method { id, arguments }) if id == wanted => return Ok(arguments),
            Some(Frame::Method { id: CLOSE, arguments }) => return Err(connection.closed(arguments)),
            Some(Frame::Method { .. }) => return Err(malformed()),
            Some(_) => {}
            None => connection.pump().await?,
        }
    }
}

/// The properties of the client. Without `connection.blocked` the broker would not report its alarms.
fn client_properties(purpose: &str) -> BytesMut {
    const CAPABILITIES: [&str; 4] =
        ["authentication_failure_close", "basic.nack", "connection.blocked", "publisher_confirms"];
    let mut capabilities = BytesMut::new();
    for capability in CAPABILITIES {
        frames::put_short(&mut capabilities, capability);
        capabilities.put_slice(b"t\x01");
    }
    let mut properties = frames::table(&[
        ("connection_name".to_owned(), purpose.to_owned()),
        ("product".to_owned(), env!("CARGO_PKG_NAME").to_owned()),
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    frames::put_short(&mut properties, "capabilities");
    properties.put_u8(b'F');
    frames::put_long(&mut properties, &capabilities);
    properties
}
