//! The few frames of AMQP 0-9-1 that a publisher needs, to and from bytes.
//!
//! Written here for speed: the parts that all messages share are encoded once, and a confirm is
//! three numbers. Layouts: <https://www.rabbitmq.com/amqp-0-9-1-reference>.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::properties::PERSISTENT;

/// What a client says first: the protocol and its version.
pub(crate) const PROTOCOL_HEADER: &[u8] = b"AMQP\0\0\x09\x01";

/// Bytes of a frame beside its payload: type, channel, size, and the end octet.
pub(crate) const FRAME_OVERHEAD: usize = 8;

const FRAME_END: u8 = 0xce;
const METHOD: u8 = 1;
pub(crate) const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;

/// Class of `basic` methods and of content headers.
const BASIC: u16 = 60;

/// Bits of a content header's flags.
const HAS_HEADERS: u16 = 1 << 13;
const HAS_DELIVERY_MODE: u16 = 1 << 12;
const HAS_EXPIRATION: u16 = 1 << 8;
const HAS_MESSAGE_ID: u16 = 1 << 7;

/// A frame from the broker, as far as a publisher needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A method other than a confirm.
    Method {
        /// Class and method.
        id: (u16, u16),
        /// Its arguments.
        arguments: Bytes,
    },
    /// `basic.ack` or `basic.nack`.
    Confirm {
        /// The delivery tag.
        tag: u64,
        /// Whether it is about all tags up to this one.
        multiple: bool,
        /// `basic.ack`, not `basic.nack`.
        ack: bool,
    },
    /// A returned message's header, with its id.
    ReturnedHeader(Option<String>),
    /// A returned message's body, or a heartbeat.
    Ignored,
}

/// Bytes that are not AMQP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the broker sent a malformed frame")]
pub(crate) struct Malformed;

/// Removes the next complete frame from the buffer.
pub(crate) fn decode(buffer: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
    let Some(head) = buffer.get(..7) else { return Ok(None) };
    // A broker that refuses the protocol version answers with its own header.
    if head.starts_with(b"AMQP") {
        return Err(Malformed);
    }
    let kind = head[0];
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
    if buffer.len() < size + FRAME_OVERHEAD {
        return Ok(None);
    }
    if buffer[size + 7] != FRAME_END {
        return Err(Malformed);
    }
    let frame = payload(kind, &buffer[7..7 + size])?;
    buffer.advance(size + FRAME_OVERHEAD);
    Ok(Some(frame))
}

fn payload(kind: u8, mut payload: &[u8]) -> Result<Frame, Malformed> {
    match kind {
        METHOD => {
            let id = (payload.try_get_u16().or(Err(Malformed))?, payload.try_get_u16().or(Err(Malformed))?);
            if let (BASIC, 80 | 120) = id {
                let tag = payload.try_get_u64().or(Err(Malformed))?;
                let multiple = payload.try_get_u8().or(Err(Malformed))? & 1 == 1;
                return Ok(Frame::Confirm { tag, multiple, ack: id.1 == 80 });
            }
            Ok(Frame::Method { id, arguments: Bytes::copy_from_slice(payload) })
        }
        HEADER => message_id(payload).map(Frame::ReturnedHeader),
        BODY | HEARTBEAT => Ok(Frame::Ignored),
        _ => Err(Malformed),
    }
}

/// Finds the message id among the properties of a content header. They are in the order of the
/// flags, from the highest.
fn message_id(mut header: &[u8]) -> Result<Option<String>, Malformed> {
    header = header.get(12..).ok_or(Malformed)?;
    let flags = header.try_get_u16().or(Err(Malformed))?;
    for bit in (7..16).rev().filter(|bit| flags & (1 << bit) != 0) {
        match bit {
            13 => {
                let size = header.try_get_u32().or(Err(Malformed))? as usize;
                header = header.get(size..).ok_or(Malformed)?;
            }
            // Delivery mode and priority.
            12 | 11 => _ = header.try_get_u8().or(Err(Malformed))?,
            7 => return short_string(&mut header).map(Some),
            _ => _ = short_string(&mut header)?,
        }
    }
    Ok(None)
}

/// Reads a string of at most 255 bytes.
pub(crate) fn short_string(bytes: &mut impl bytes::Buf) -> Result<String, Malformed> {
    let size = usize::from(bytes.try_get_u8().or(Err(Malformed))?);
    if bytes.remaining() < size {
        return Err(Malformed);
    }
    Ok(String::from_utf8_lossy(&bytes.copy_to_bytes(size)).into_owned())
}

pub(crate) fn put_short(out: &mut BytesMut, text: &str) {
    // Longer ones cannot be encoded; callers check what users choose.
    let text = &text.as_bytes()[..text.len().min(255)];
    out.put_u8(text.len() as u8);
    out.put_slice(text);
}

pub(crate) fn put_long(out: &mut BytesMut, text: &[u8]) {
    out.put_u32(text.len() as u32);
    out.put_slice(text);
}

/// Appends a frame whose payload a closure writes.
pub(crate) fn put_frame(out: &mut BytesMut, kind: u8, channel: u16, payload: impl FnOnce(&mut BytesMut)) {
    out.put_u8(kind);
    out.put_u16(channel);
    let size_at = out.len();
    out.put_u32(0);
    payload(out);
    let size = (out.len() - size_at - 4) as u32;
    out[size_at..size_at + 4].copy_from_slice(&size.to_be_bytes());
    out.put_u8(FRAME_END);
}

/// Appends a method.
pub(crate) fn put_method(
    out: &mut BytesMut,
    channel: u16,
    id: (u16, u16),
    arguments: impl FnOnce(&mut BytesMut),
) {
    put_frame(out, METHOD, channel, |out| {
        out.put_u16(id.0);
        out.put_u16(id.1);
        arguments(out);
    });
}

/// Appends a heartbeat.
pub(crate) fn put_heartbeat(out: &mut BytesMut) {
    put_frame(out, HEARTBEAT, 0, |_| {});
}

/// Appends a part of a message's body.
pub(crate) fn put_body(out: &mut BytesMut, channel: u16, part: &[u8]) {
    put_frame(out, BODY, channel, |out| out.put_slice(part));
}

/// What all messages of a batch share, encoded once.
#[derive(Debug, Clone)]
pub(crate) struct MessageFrames {
    /// The whole `basic.publish` frame.
    publish: Bytes,
    channel: u16,
    flags: u16,
    /// The properties in front of the message id.
    properties: Bytes,
}

impl MessageFrames {
    /// Messages to a queue, with headers and a time to live in milliseconds.
    pub(crate) fn new(channel: u16, queue: &str, headers: &[(String, String)], ttl: Option<u128>) -> Self {
        let mut publish = BytesMut::new();
        put_method(&mut publish, channel, (BASIC, 40), |out| {
            out.put_u16(0);
            put_short(out, "");
            put_short(out, queue);
            // Mandatory: otherwise items for a queue that was deleted meanwhile would be dropped silently.
            out.put_u8(1);
        });
        let mut properties = BytesMut::new();
        let mut flags = HAS_DELIVERY_MODE | HAS_MESSAGE_ID;
        if !headers.is_empty() {
            flags |= HAS_HEADERS;
            put_long(&mut properties, &table(headers));
        }
        properties.put_u8(PERSISTENT);
        if let Some(milliseconds) = ttl {
            flags |= HAS_EXPIRATION;
            put_short(&mut properties, &milliseconds.to_string());
        }
        Self { publish: publish.freeze(), channel, flags, properties: properties.freeze() }
    }

    /// Appends a message's method and header frames; its body has to follow.
    pub(crate) fn put(&self, out: &mut BytesMut, message_id: &str, size: usize) {
        out.put_slice(&self.publish);
        put_frame(out, HEADER, self.channel, |out| {
            out.put_u16(BASIC);
            out.put_u16(0);
            out.put_u64(size as u64);
            out.put_u16(self.flags);
            out.put_slice(&self.properties);
            put_short(out, message_id);
        });
    }
}

/// The fields of a table that are strings, and those of no nested table. The table begins with its
/// length; what comes behind it is not read, nor what follows a field of a rare type.
pub(crate) fn text_fields(mut bytes: Bytes) -> Result<Vec<(String, String)>, Malformed> {
    let mut table = long_string(&mut bytes)?;
    let mut fields = Vec::new();
    while table.has_remaining() {
        let name = short_string(&mut table)?;
        match table.try_get_u8().or(Err(Malformed))? {
            b'S' => {
                let value = long_string(&mut table)?;
                fields.push((name, String::from_utf8_lossy(&value).into_owned()));
            }
            b'F' => _ = long_string(&mut table)?,
            b't' => _ = table.try_get_u8().or(Err(Malformed))?,
            _ => break,
        }
    }
    Ok(fields)
}

/// Reads bytes behind their length of 4 bytes.
fn long_string(bytes: &mut Bytes) -> Result<Bytes, Malformed> {
    let size = bytes.try_get_u32().or(Err(Malformed))? as usize;
    if bytes.remaining() < size {
        return Err(Malformed);
    }
    Ok(bytes.split_to(size))
}

/// A field table of strings, without its length.
pub(crate) fn table(fields: &[(String, String)]) -> BytesMut {
    let mut table = BytesMut::new();
    for (key, value) in fields {
        put_short(&mut table, key);
        table.put_u8(b'S');
        put_long(&mut table, value.as_bytes());
    }
    table
}
