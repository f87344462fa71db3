//! The publisher against a broker that the test plays.

use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use tokio::io::AsyncWriteExt as _;

use super::frames;
use super::{BatchProperties, PublishProgress, Publisher};
use crate::fake_broker::FakeBroker;
use crate::{Endpoint, Error};
use workqueue_core::item::{Item, Position};

fn publisher(sizes: &[usize]) -> Publisher {
    let mut publisher = Publisher::new(&"job1".parse().expect("legal"), "b", 0, &BatchProperties::default());
    for (number, size) in (1..).zip(sizes) {
        publisher.push(Item { body: vec![b'x'; *size].into(), position: Position::Argument(number) });
    }
    publisher
}

/// Plays one connection: the publisher works until the broker's part is over, and longer if
/// something is in flight then. Gives what its last step came to, and the part's result.
async fn play<T>(
    publisher: &mut Publisher,
    part: impl AsyncFnOnce(FakeBroker) -> T,
) -> (Result<PublishProgress, Error>, T) {
    let endpoint = Endpoint::parse("amqp://mq", None).expect("legal");
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let work = async {
        publisher.connect(Box::new(ours), &endpoint, "test").await?;
        loop {
            match publisher.drive().await? {
                PublishProgress::Moved if publisher.is_waiting() => {}
                progress => return Ok(progress),
            }
        }
    };
    let part = async {
        let mut fake = FakeBroker::login(theirs).await;
        fake.open_channel().await;
        part(fake).await
    };
    tokio::join!(work, part)
}

#[tokio::test]
async fn what_was_not_confirmed_goes_out_again_and_nothing_else() {
    let mut publisher = publisher(&[1, 1, 1, 10_000, 1]);
    let (broken, ids) = play(&mut publisher, async |mut fake: FakeBroker| {
        let ids = fake.messages(5).await;
        fake.ack(2, true).await;
        ids
    })
    .await;
    assert!(broken.expect_err("the broker hung up").is_transient());
    assert_eq!(ids, ["b.1", "b.2", "b.3", "b.4", "b.5"]);
    assert_eq!((publisher.counts().confirmed, publisher.settled_up_to()), (2, 2));

    let (done, ids) = play(&mut publisher, async |mut fake: FakeBroker| {
        let ids = fake.messages(3).await;
        fake.ack(3, true).await;
        ids
    })
    .await;
    done.expect("all is confirmed");
    assert_eq!(ids, ["b.3", "b.4", "b.5"]);
    assert_eq!((publisher.counts().confirmed, publisher.counts().repeated), (5, 3));
}

#[tokio::test]
async fn an_item_that_is_too_large_is_refused_and_the_rest_goes_on() {
    let mut publisher = publisher(&[1, 5000, 1, 6000, 1]);
    let (done, ids) = play(&mut publisher, async |mut fake: FakeBroker| {
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
    let counts = publisher.counts();
    assert_eq!((counts.confirmed, counts.refused, counts.repeated), (3, 2, 1));
    assert_eq!(counts.first_refused.as_ref().map(|(position, _)| position), Some(&Position::Argument(2)));
}

#[tokio::test]
async fn items_that_are_all_too_large_are_refused_at_once() {
    let mut publisher = publisher(&[5000, 6000, 7000]);
    let (done, ()) = play(&mut publisher, async |mut fake: FakeBroker| {
        fake.messages(1).await;
        fake.close_over_size().await;
        // Not as long as the publisher's heartbeats are apart.
        tokio::time::sleep(Duration::from_secs(1)).await;
    })
    .await;
    done.expect("it did not wait for the broker to hang up");
    assert_eq!((publisher.counts().refused, publisher.counts().repeated), (3, 0));
}

#[tokio::test]
async fn an_alarm_is_told_with_its_reason() {
    let mut publisher = publisher(&[1]);
    let (blocked, ()) = play(&mut publisher, async |mut fake: FakeBroker| {
        fake.messages(1).await;
        fake.say(0, (10, 60), |out| frames::put_short(out, "low on disk")).await;
    })
    .await;
    assert_eq!(blocked.ok(), Some(PublishProgress::Blocked("low on disk".to_owned())));
}

#[tokio::test]
async fn a_refused_login_is_no_lost_connection() {
    let mut publisher = publisher(&[1]);
    let endpoint = Endpoint::parse("amqp://mq", None).expect("legal");
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let mut refusal = BytesMut::new();
    frames::put_method(&mut refusal, 0, (10, 50), |out| {
        out.put_u16(403);
        frames::put_short(out, "ACCESS_REFUSED");
        out.put_u32(0);
    });
    theirs.write_all(&refusal).await.expect("it listens");
    let result = publisher.connect(Box::new(ours), &endpoint, "test").await;
    assert!(matches!(result, Err(Error::LoginRefused)), "{result:?}");
}
