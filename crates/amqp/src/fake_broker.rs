//! A broker that a test plays frame by frame: for what no real broker does on demand.

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::ByteStream;
use crate::publisher::frames::{self, Frame};

/// The broker's end of a connection.
pub(crate) struct FakeBroker {
    pub stream: Box<dyn ByteStream>,
    input: BytesMut,
}

impl FakeBroker {
    /// Takes a client's login.
    pub async fn login(stream: impl ByteStream + 'static) -> Self {
        let mut fake = Self { stream: Box::new(stream), input: BytesMut::new() };
        while fake.input.len() < 8 {
            fake.stream.read_buf(&mut fake.input).await.expect("it talks");
        }
        assert_eq!(&fake.input[..8], frames::PROTOCOL_HEADER);
        fake.input.advance(8);
        fake.say(0, (10, 10), |out| {
            out.put_slice(&[0, 9, 0, 0, 0, 0]);
            frames::put_long(out, b"PLAIN");
            frames::put_long(out, b"en_US");
        })
        .await;
        fake.hear((10, 11)).await;
        fake.say(0, (10, 30), |out| {
            out.put_u16(0);
            out.put_u32(4096);
            out.put_u16(60);
        })
        .await;
        fake.hear((10, 31)).await;
        fake.hear((10, 40)).await;
        fake.say(0, (10, 41), |out| out.put_u8(0)).await;
        fake
    }

    pub async fn open_channel(&mut self) {
        self.hear((20, 10)).await;
        self.say(1, (20, 11), |out| out.put_u32(0)).await;
        self.hear((85, 10)).await;
        self.say(1, (85, 11), |_| {}).await;
    }

    pub async fn say(&mut self, channel: u16, id: (u16, u16), arguments: impl FnOnce(&mut BytesMut)) {
        let mut out = BytesMut::new();
        frames::put_method(&mut out, channel, id, arguments);
        self.stream.write_all(&out).await.expect("it listens");
    }

    /// Closes the channel over a message, as a broker does whose limit is 1000 bytes.
    pub async fn close_over_size(&mut self) {
        self.say(1, (20, 40), |out| {
            out.put_u16(406);
            frames::put_short(out, "PRECONDITION_FAILED - message size 5000 is larger than max size 1000");
            out.put_u32(0);
        })
        .await;
    }

    pub async fn ack(&mut self, tag: u64, multiple: bool) {
        self.say(1, (60, 80), |out| {
            out.put_u64(tag);
            out.put_u8(multiple.into());
        })
        .await;
    }

    /// A message that the client has asked for with `basic.get`: delivery tag 1 on channel 1.
    pub async fn say_message(&mut self, body: &[u8]) {
        self.say(1, (60, 71), |out| {
            out.put_u64(1);
            out.put_u8(0);
            frames::put_short(out, "");
            frames::put_short(out, "");
            out.put_u32(0);
        })
        .await;
        let mut out = BytesMut::new();
        frames::put_frame(&mut out, frames::HEADER, 1, |out| {
            out.put_slice(&[0, 60, 0, 0]);
            out.put_u64(body.len() as u64);
            out.put_u16(0);
        });
        frames::put_body(&mut out, 1, body);
        self.stream.write_all(&out).await.expect("it listens");
    }

    pub async fn frame(&mut self) -> Frame {
        self.next_frame().await.expect("it talks")
    }

    /// The next frame; `None` once the client has hung up.
    pub async fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = frames::decode(&mut self.input).expect("it speaks AMQP") {
                return Some(frame);
            }
            if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    pub async fn hear(&mut self, wanted: (u16, u16)) {
        loop {
            match self.frame().await {
                Frame::Method { id, .. } if id == wanted => return,
                // Messages that were on their way.
                Frame::Method { id: (60, 40), .. } | Frame::ReturnedHeader(_) | Frame::Ignored => {}
                other => panic!("{other:?} instead of {wanted:?}"),
            }
        }
    }

    /// Takes a number of messages, and gives their ids.
    pub async fn messages(&mut self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < count {
            if let Frame::ReturnedHeader(id) = self.frame().await {
                ids.extend(id);
            }
        }
        ids
    }
}
