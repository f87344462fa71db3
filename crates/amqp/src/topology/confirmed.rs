//! What is in a queue: the only place that decides whether a count of 0 is true.
//!
//! A passive declaration of a quorum queue answers 0 messages and 0 consumers if the queue's leader is
//! away or does not answer within 250 ms (`rabbit_quorum_queue:stat`). A count other than 0 and 0 comes
//! from the leader. Otherwise `basic.get` asks for a message: only a leader answers that the queue is
//! empty.

use std::time::Duration;

use lapin::Channel;
use lapin::message::Delivery as Message;
use lapin::options::{BasicGetOptions, BasicNackOptions};

use super::reported::{Depth, counting, reported_on};
use crate::broker::{answer, close_channel, short};
use crate::error::is_not_found;
use crate::{Broker, Error};
use workqueue_core::names::QueueName;

/// How long a queue's leader may take to answer `basic.get`.
const GET_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// A depth, and the message that confirmed it.
pub(crate) struct ConfirmedDepth {
    /// Counts `message` as ready.
    pub depth: Depth,
    /// A message that arrived instead of a confirmation that there is none. It is not settled.
    pub message: Option<Message>,
}

/// The depth of a queue, or `None` if there is no such queue. A queue whose count is 0 was asked for a
/// message, so it must not be a stream: a broker closes the connection when a stream is asked.
///
/// The message, if there is one, is requeued. RabbitMQ before 4.3 counts that as a delivery.
///
/// # Errors
/// [`Error::NoAnswer`] if the queue's leader does not answer; lost connections; refusals other than
/// `NOT_FOUND`.
pub async fn depth(broker: &Broker, name: &QueueName) -> Result<Option<Depth>, Error> {
    let channel = broker.channel().await?;
    let depth = depth_on(&channel, name).await?;
    if depth.is_some() {
        close_channel(&channel).await;
    }
    Ok(depth)
}

/// The same on a channel, which the broker closes if there is no such queue.
///
/// # Errors
/// As for [`depth`]. The channel is of no use then, as for [`confirmed_depth`].
pub(crate) async fn depth_on(channel: &Channel, name: &QueueName) -> Result<Option<Depth>, Error> {
    let Some(ConfirmedDepth { depth, message }) = confirmed_depth(channel, name).await? else {
        return Ok(None);
    };
    if let Some(message) = message {
        let requeue = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        answer(format!("counting queue {name}"), message.acker.nack(requeue)).await?;
    }
    Ok(Some(depth))
}

/// As for [`depth`], but keeps the message. After an error the channel is of no use: it may still
/// receive a message, which is requeued when the channel is closed.
///
/// # Errors
/// As for [`depth`].
pub(crate) async fn confirmed_depth(
    channel: &Channel,
    name: &QueueName,
) -> Result<Option<ConfirmedDepth>, Error> {
    let Some(depth) = reported_on(channel, name).await? else { return Ok(None) };
    if depth != Depth::default() {
        return Ok(Some(ConfirmedDepth { depth, message: None }));
    }
    let getting = channel.basic_get(short(name), BasicGetOptions::default());
    let message = match tokio::time::timeout(GET_TIMEOUT, getting).await {
        Err(_) => return Err(Error::NoAnswer { queue: name.clone(), seconds: GET_TIMEOUT.as_secs() }),
        Ok(Err(error)) if is_not_found(&error) => return Ok(None),
        Ok(got) => got.map_err(|error| counting(name, &error))?.map(|got| got.delivery),
    };
    // The leader has just answered, so that it answers this as well.
    let Some(mut depth) = reported_on(channel, name).await? else { return Ok(None) };
    depth.ready += u32::from(message.is_some());
    Ok(Some(ConfirmedDepth { depth, message }))
}

#[cfg(test)]
mod tests {
    use bytes::BufMut as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::Endpoint;
    use crate::fake_broker::FakeBroker;
    use crate::publisher::frames::{self, Frame};

    /// What the fake broker does with a `basic.get`.
    #[derive(Clone, Copy, PartialEq)]
    enum Get {
        Unanswered,
        Empty,
        Message,
    }

    /// Plays a queue whose counts are these forever. Returns whether it was asked for a message, and
    /// whether it got that back.
    async fn play(mut fake: FakeBroker, counts: (u32, u32), get: Get) -> (bool, bool) {
        let (mut asked, mut requeued) = (false, false);
        while let Some(frame) = fake.next_frame().await {
            match frame {
                Frame::Method { id: (20, 10), .. } => fake.say(1, (20, 11), |out| out.put_u32(0)).await,
                Frame::Method { id: (20, 40), .. } => fake.say(1, (20, 41), |_| {}).await,
                Frame::Method { id: (10, 50), .. } => {
                    fake.say(0, (10, 51), |_| {}).await;
                    break;
                }
                Frame::Method { id: (50, 10), .. } => {
                    fake.say(1, (50, 11), |out| {
                        frames::put_short(out, "job1");
                        out.put_u32(counts.0);
                        out.put_u32(counts.1);
                    })
                    .await;
                }
                Frame::Method { id: (60, 70), .. } => {
                    asked = true;
                    match get {
                        Get::Unanswered => {}
                        Get::Empty => fake.say(1, (60, 72), |out| frames::put_short(out, "")).await,
                        Get::Message => fake.say_message(b"item").await,
                    }
                }
                Frame::Confirm { tag: 1, ack: false, .. } => requeued = true,
                _ => {}
            }
        }
        (asked, requeued)
    }

    async fn count(counts: (u32, u32), get: Get) -> (Result<Option<Depth>, Error>, (bool, bool)) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("amqp://{}", listener.local_addr().expect("it is bound"));
        let broker = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("it connects");
            play(FakeBroker::login(stream).await, counts, get).await
        });
        let endpoint = Endpoint::parse(&url, None).expect("legal");
        let client = Broker::connect(&endpoint, "test").await.expect("the login is answered");
        let depth = depth(&client, &"job1".parse().expect("legal")).await;
        client.close().await;
        (depth, broker.await.expect("it plays"))
    }

    #[tokio::test]
    async fn a_count_other_than_zero_is_believed() {
        for (ready, consumers) in [(3, 0), (0, 2)] {
            let (depth, (asked, _)) = count((ready, consumers), Get::Unanswered).await;
            assert_eq!(depth.expect("it is answered"), Some(Depth { ready, consumers }));
            assert!(!asked, "the queue was disturbed");
        }
    }

    #[tokio::test]
    async fn an_empty_queue_is_empty_once_its_leader_says_so() {
        let (depth, (asked, _)) = count((0, 0), Get::Empty).await;
        assert_eq!(depth.expect("it is answered"), Some(Depth::default()));
        assert!(asked);
    }

    #[tokio::test]
    async fn a_leader_that_does_not_answer_is_an_error_and_no_empty_queue() {
        let (depth, _) = count((0, 0), Get::Unanswered).await;
        let error = depth.expect_err("nobody knows what is in the queue");
        assert_eq!(error.to_string(), "the leader of queue job1 has not answered for 1 s");
        assert!(error.is_transient());
    }

    #[tokio::test]
    async fn a_message_that_was_not_counted_is_counted_and_requeued() {
        let (depth, (_, requeued)) = count((0, 0), Get::Message).await;
        assert_eq!(depth.expect("it is answered"), Some(Depth { ready: 1, consumers: 0 }));
        assert!(requeued);
    }
}
