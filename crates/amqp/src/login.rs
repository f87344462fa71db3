//! The first words between a publisher and a broker: versions, login, limits.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::link::{CLOSE, HEARTBEAT, Link, malformed};
use super::wire::{self, Frame};
use super::{Endpoint, Error};

/// The largest frame that is agreed to, in bytes: RabbitMQ's default.
const FRAME_MAX: u32 = 128 * 1024;

// Class and method of what is said here, from the reference.
const START: (u16, u16) = (10, 10);
const START_OK: (u16, u16) = (10, 11);
const TUNE: (u16, u16) = (10, 30);
const TUNE_OK: (u16, u16) = (10, 31);
const OPEN: (u16, u16) = (10, 40);
const OPEN_OK: (u16, u16) = (10, 41);

impl Link {
    /// Logs in and asks for the channel.
    pub(super) async fn handshake(&mut self, endpoint: &Endpoint, purpose: &str) -> Result<(), Error> {
        self.expect(START).await?;
        let login = format!("\0{}\0{}", endpoint.credentials.username, endpoint.credentials.password);
        wire::put_method(&mut self.output, 0, START_OK, |out| {
            wire::put_long(out, &client_properties(purpose));
            wire::put_short(out, "PLAIN");
            wire::put_long(out, login.as_bytes());
            wire::put_short(out, "en_US");
        });
        let mut tune = self.expect(TUNE).await?;
        if tune.remaining() < 8 {
            return Err(malformed());
        }
        let (channel_max, frame_max, heartbeat) = (tune.get_u16(), tune.get_u32(), tune.get_u16());
        let frame_max = if frame_max == 0 { FRAME_MAX } else { frame_max.min(FRAME_MAX) };
        self.body_max = (frame_max as usize).saturating_sub(wire::FRAME_OVERHEAD).max(1);
        let ours = HEARTBEAT.as_secs() as u16;
        wire::put_method(&mut self.output, 0, TUNE_OK, |out| {
            out.put_u16(channel_max);
            out.put_u32(frame_max);
            out.put_u16(if heartbeat == 0 { ours } else { heartbeat.min(ours) });
        });
        wire::put_method(&mut self.output, 0, OPEN, |out| {
            wire::put_short(out, &endpoint.vhost);
            wire::put_short(out, "");
            out.put_u8(0);
        });
        self.expect(OPEN_OK).await?;
        self.put_channel_open();
        Ok(())
    }

    /// Waits for one method during the login.
    async fn expect(&mut self, wanted: (u16, u16)) -> Result<Bytes, Error> {
        loop {
            match self.next_frame()? {
                Some(Frame::Method { id, arguments }) if id == wanted => return Ok(arguments),
                Some(Frame::Method { id: CLOSE, arguments }) => return Err(self.closed(arguments)),
                Some(Frame::Method { .. }) => return Err(malformed()),
                Some(_) => {}
                None => self.pump().await?,
            }
        }
    }
}

/// What the broker is told of us. Without `connection.blocked` it would not tell of its alarms.
fn client_properties(purpose: &str) -> BytesMut {
    const CAPABILITIES: [&str; 4] =
        ["authentication_failure_close", "basic.nack", "connection.blocked", "publisher_confirms"];
    let mut capabilities = BytesMut::new();
    for capability in CAPABILITIES {
        wire::put_short(&mut capabilities, capability);
        capabilities.put_slice(b"t\x01");
    }
    let mut properties = wire::table(&[
        ("connection_name".to_owned(), purpose.to_owned()),
        ("product".to_owned(), env!("CARGO_PKG_NAME").to_owned()),
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    wire::put_short(&mut properties, "capabilities");
    properties.put_u8(b'F');
    wire::put_long(&mut properties, &capabilities);
    properties
}
