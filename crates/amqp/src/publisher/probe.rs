//! Asks a broker what it is, and whether it takes messages now: publishes one that reaches no queue.
//!
//! A broker with an alarm says so only to a connection that publishes.

use std::time::Duration;

use super::connection::{
    BLOCKED, CHANNEL, CHANNEL_CLOSE, CHANNEL_OPEN_OK, CLOSE, CONFIRM_SELECT_OK, Connection, close_reason,
};
use super::frames::{self, Frame, MessageFrames};
use super::login;
use crate::{ByteStream, Endpoint, Error};
use workqueue_core::names::random_suffix;

/// How long the broker may take to confirm a message that no queue stores.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// Length of the random name of a queue that does not exist.
const NAME_LENGTH: usize = 16;

/// What a broker is, and how it answers a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Its product name, such as `RabbitMQ`.
    pub product: Option<String>,
    /// Its version, such as `4.0.5`.
    pub version: Option<String>,
    /// What it did with the message.
    pub answer: ProbeAnswer,
}

/// What a broker does with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// It takes messages.
    Confirmed,
    /// An alarm blocks publishers. Holds the broker's words, such as `low on memory`.
    Blocked(String),
    /// The user may not publish. Holds the broker's words.
    Refused(String),
}

/// Logs in over a stream that leads to the broker, and publishes a message that reaches no queue.
///
/// # Errors
/// [`Error::LoginRefused`], [`Error::LoginTimeout`], or [`Error::Connection`], also if the broker
/// confirms nothing.
pub async fn probe(stream: Box<dyn ByteStream>, endpoint: &Endpoint, purpose: &str) -> Result<Probe, Error> {
    let mut connection = login::login(stream, endpoint, purpose).await?;
    let property = |connection: &Connection, name: &str| {
        connection.server.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    };
    let (product, version) = (property(&connection, "product"), property(&connection, "version"));
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, publish(&mut connection)).await;
    connection.close().await;
    let answer = answer.unwrap_or_else(|_| {
        let seconds = ANSWER_TIMEOUT.as_secs();
        Err(Error::Connection(format!("the broker has not confirmed a message for {seconds} s")))
    });
    Ok(Probe { product, version, answer: answer? })
}

async fn publish(connection: &mut Connection) -> Result<ProbeAnswer, Error> {
    loop {
        match connection.next_frame()? {
            None => connection.pump().await?,
            Some(Frame::Confirm { .. }) => return Ok(ProbeAnswer::Confirmed),
            Some(Frame::Method { id: CHANNEL_OPEN_OK, .. }) => connection.put_confirm_select(),
            Some(Frame::Method { id: CONFIRM_SELECT_OK, .. }) => {
                let nowhere = random_suffix(NAME_LENGTH);
                let message = MessageFrames::new(CHANNEL, &nowhere, &[], None);
                message.put(&mut connection.output, "", 1);
                frames::put_body(&mut connection.output, CHANNEL, b"?");
            }
            Some(Frame::Method { id: BLOCKED, mut arguments }) => {
                let reason = frames::short_string(&mut arguments).unwrap_or_default();
                return Ok(ProbeAnswer::Blocked(reason));
            }
            Some(Frame::Method { id: CHANNEL_CLOSE, arguments }) => {
                return Ok(ProbeAnswer::Refused(close_reason(arguments).1));
            }
            Some(Frame::Method { id: CLOSE, arguments }) => return Err(connection.closed(arguments)),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut as _;

    use super::*;
    use crate::fake_broker::FakeBroker;

    async fn ask(play: impl AsyncFnOnce(&mut FakeBroker)) -> Result<Probe, Error> {
        let endpoint = Endpoint::parse("amqp://mq", None).expect("legal");
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let broker = async {
            let mut fake = FakeBroker::login(theirs).await;
            fake.open_channel().await;
            play(&mut fake).await;
            fake
        };
        let (probed, _fake) = tokio::join!(probe(Box::new(ours), &endpoint, "test"), broker);
        probed
    }

    #[tokio::test]
    async fn a_broker_is_asked_with_a_message() {
        let probed = ask(async |fake| {
            fake.messages(1).await;
            fake.ack(1, false).await;
        });
        let probed = probed.await.expect("it is answered");
        assert_eq!((probed.version, probed.answer), (None, ProbeAnswer::Confirmed));
        let probed = ask(async |fake| {
            fake.messages(1).await;
            fake.say(0, BLOCKED, |out| frames::put_short(out, "low on memory")).await;
        });
        let blocked = ProbeAnswer::Blocked("low on memory".to_owned());
        assert_eq!(probed.await.expect("it is answered").answer, blocked);
        let probed = ask(async |fake| {
            fake.messages(1).await;
            fake.say(1, CHANNEL_CLOSE, |out| {
                out.put_u16(403);
                frames::put_short(out, "ACCESS_REFUSED - no");
                out.put_u32(0);
            })
            .await;
        });
        let refused = ProbeAnswer::Refused("ACCESS_REFUSED - no".to_owned());
        assert_eq!(probed.await.expect("it is answered").answer, refused);
    }

    #[tokio::test]
    async fn a_broker_that_confirms_nothing_is_not_well() {
        let silent = ask(async |fake| _ = fake.messages(1).await);
        assert!(silent.await.expect_err("there is no answer").to_string().contains("not confirmed"));
    }

    #[test]
    fn the_properties_of_a_broker_are_read() {
        let mut table = frames::table(&[("product".to_owned(), "RabbitMQ".to_owned())]);
        frames::put_short(&mut table, "capabilities");
        table.put_u8(b'F');
        frames::put_long(&mut table, b"\x0bbasic.nackst\x01");
        table.put_slice(&frames::table(&[("version".to_owned(), "4.0.5".to_owned())]));
        let mut bytes = bytes::BytesMut::new();
        frames::put_long(&mut bytes, &table);
        let fields = frames::text_fields(bytes.freeze()).expect("well-formed");
        let expected = [("product", "RabbitMQ"), ("version", "4.0.5")];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(frames::text_fields(bytes::Bytes::from_static(b"\0\0\0\x09\x03abcS")).is_err());
    }
}
