//! The clients against a broker that a test plays: what no real broker does on demand.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::publisher::{Envelopes, Progress, Publisher};
use super::wire::{self, Frame};
use super::{Broker, Endpoint, Error, Stream};
use workqueue_core::item::{Item, Position};

/// The broker's end of a connection.
struct Fake {
    stream: Box<dyn Stream>,
    input: BytesMut,
}

impl Fake {
    /// Takes a client's login.
    async fn login(stream: impl Stream + 'static) -> Self {
        let mut fake = Self { stream: Box::new(stream), input: BytesMut::new() };
        while fake.input.len() < 8 {
            fake.stream.read_buf(&mut fake.input).await.expect("it talks");
        }
        assert_eq!(&fake.input[..8], wire::PROTOCOL_HEADER);
        fake.input.advance(8);
        fake.say(0, (10, 10), |out| {
            out.put_slice(&[0, 9, 0, 0, 0, 0]);
            wire::put_long(out, b"PLAIN");
            wire::put_long(out, b"en_US");
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

    async fn open_channel(&mut self) {
        self.hear((20, 10)).await;
        self.say(1, (20, 11), |out| out.put_u32(0)).await;
        self.hear((85, 10)).await;
        self.say(1, (85, 11), |_| {}).await;
    }

    async fn say(&mut self, channel: u16, id: (u16, u16), arguments: impl FnOnce(&mut BytesMut)) {
        let mut out = BytesMut::new();
        wire::put_method(&mut out, channel, id, arguments);
        self.stream.write_all(&out).await.expect("it listens");
    }

    /// Closes the channel over a message, as a broker does whose limit is 1000 bytes.
    async fn close_over_size(&mut self) {
        self.say(1, (20, 40), |out| {
            out.put_u16(406);
            wire::put_short(out, "PRECONDITION_FAILED - message size 5000 is larger than max size 1000");
            out.put_u32(0);
        })
        .await;
    }

    async fn ack(&mut self, tag: u64, multiple: bool) {
        self.say(1, (60, 80), |out| {
            out.put_u64(tag);
            out.put_u8(multiple.into());
        })
        .await;
    }

    async fn frame(&mut self) -> Frame {
        loop {
            if let Some(frame) = wire::decode(&mut self.input).expect("it speaks AMQP") {
                return frame;
            }
            self.stream.read_buf(&mut self.input).await.expect("it talks");
        }
    }

    async fn hear(&mut self, wanted: (u16, u16)) {
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
    async fn messages(&mut self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < count {
            if let Frame::ReturnedHeader(id) = self.frame().await {
                ids.extend(id);
            }
        }
        ids
    }
}

fn publisher(sizes: &[usize]) -> Publisher {
    let mut publisher = Publisher::new(&"job1".parse().expect("legal"), "b", 0, &Envelopes::default());
    for (number, size) in (1..).zip(sizes) {
        publisher.push(Item { body: vec![b'x'; *size].into(), position: Position::Argument(number) });
    }
    publisher
}

/// Plays one connection: the publisher works until the broker's part is over, and longer if
/// something is in flight then. Gives what its last step came to, and the part's result.
async fn play<T>(
    publisher: &mut Publisher,
    part: impl AsyncFnOnce(Fake) -> T,
) -> (Result<Progress, Error>, T) {
    let endpoint = Endpoint::parse("amqp://mq", None).expect("legal");
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let work = async {
        publisher.connect(Box::new(ours), &endpoint, "test").await?;
        loop {
            match publisher.drive().await? {
                Progress::Moved if publisher.is_waiting() => {}
                progress => return Ok(progress),
            }
        }
    };
    let part = async {
        let mut fake = Fake::login(theirs).await;
        fake.open_channel().await;
        part(fake).await
    };
    tokio::join!(work, part)
}

#[tokio::test]
async fn what_was_not_confirmed_goes_out_again_and_nothing_else() {
    let mut publisher = publisher(&[1, 1, 1, 10_000, 1]);
    let (broken, ids) = play(&mut publisher, async |mut fake: Fake| {
        let ids = fake.messages(5).await;
        fake.ack(2, true).await;
        ids
    })
    .await;
    assert!(broken.expect_err("the broker hung up").is_transient());
    assert_eq!(ids, ["b.1", "b.2", "b.3", "b.4", "b.5"]);
    assert_eq!((publisher.tally().confirmed, publisher.settled_up_to()), (2, 2));

    let (done, ids) = play(&mut publisher, async |mut fake: Fake| {
        let ids = fake.messages(3).await;
        fake.ack(3, true).await;
        ids
    })
    .await;
    done.expect("all is confirmed");
    assert_eq!(ids, ["b.3", "b.4", "b.5"]);
    assert_eq!((publisher.tally().confirmed, publisher.tally().repeated), (5, 3));
}

#[tokio::test]
async fn an_item_that_is_too_large_is_refused_and_the_rest_goes_on() {
    let mut publisher = publisher(&[1, 5000, 1, 6000, 1]);
    let (done, ids) = play(&mut publisher, async |mut fake: Fake| {
        fake.messages(2).await;
        fake.close_over_size().await;
        fake.hear((20, 41)).await;
        fake.open_channel().await;
        let ids = fake.messages(3).await;
        fake.ack(3, true).await;
        ids
    })
    .await;
    done.expect("the rest is confirmed");
    assert_eq!(ids, ["b.1", "b.3", "b.5"], "the other large one is not even sent");
    let tally = publisher.tally();
    assert_eq!((tally.confirmed, tally.refused, tally.repeated), (3, 2, 1));
    assert_eq!(tally.first_refused.as_ref().map(|(position, _)| position), Some(&Position::Argument(2)));
}

#[tokio::test]
async fn items_that_are_all_too_large_are_refused_at_once() {
    let mut publisher = publisher(&[5000, 6000, 7000]);
    let (done, ()) = play(&mut publisher, async |mut fake: Fake| {
        fake.messages(1).await;
        fake.close_over_size().await;
        // Not as long as the publisher's heartbeats are apart.
        tokio::time::sleep(Duration::from_secs(1)).await;
    })
    .await;
    done.expect("it did not wait for the broker to hang up");
    assert_eq!((publisher.tally().refused, publisher.tally().repeated), (3, 0));
}

#[tokio::test]
async fn an_alarm_is_told_with_its_reason() {
    let mut publisher = publisher(&[1]);
    let (blocked, ()) = play(&mut publisher, async |mut fake: Fake| {
        fake.messages(1).await;
        fake.say(0, (10, 60), |out| wire::put_short(out, "low on disk")).await;
    })
    .await;
    assert_eq!(blocked.ok(), Some(Progress::Blocked("low on disk".to_owned())));
}

#[tokio::test]
async fn a_refused_login_is_no_lost_connection() {
    let mut publisher = publisher(&[1]);
    let endpoint = Endpoint::parse("amqp://mq", None).expect("legal");
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let mut refusal = BytesMut::new();
    wire::put_method(&mut refusal, 0, (10, 50), |out| {
        out.put_u16(403);
        wire::put_short(out, "ACCESS_REFUSED");
        out.put_u32(0);
    });
    theirs.write_all(&refusal).await.expect("it listens");
    let result = publisher.connect(Box::new(ours), &endpoint, "test").await;
    assert!(matches!(result, Err(Error::LoginRefused)), "{result:?}");
}

#[tokio::test]
async fn an_answer_that_never_comes_is_a_lost_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("amqp://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("it connects");
        let _silent = Fake::login(stream).await;
        std::future::pending::<()>().await;
    });
    let endpoint = Endpoint::parse(&url, None).expect("legal");
    let broker = Broker::connect(&endpoint, "test").await.expect("the login is answered");
    let channel = broker.channel().await.map(|_| ());
    assert!(channel.expect_err("the broker is silent").is_transient());
}
