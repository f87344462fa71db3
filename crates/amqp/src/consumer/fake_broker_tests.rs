//! Settlements with a broker that is played frame by frame: it confirms late, or not, or refuses.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::BufMut as _;
use lapin::message::Delivery as Message;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::held_delivery::HeldDelivery;
use super::notes::Notes;
use super::patience::CONFIRM_DEADLINE;
use super::plan::{ConsumerPlan, LedgerPlan};
use super::settle::Settler;
use super::settlements::Settlements;
use super::wanted::{Switch, Wanted};
use crate::confirms::Exchange;
use crate::fake_broker::FakeBroker;
use crate::publisher::frames::{self, Frame};
use crate::{Broker, Endpoint, Error};
use workqueue_core::queue::{QueueEvent, Settlement};
use workqueue_core::record::{ResultRecord, Status};

/// What the broker does with a message.
#[derive(Clone, Copy)]
enum Answer {
    Ack,
    /// An ack after the deadline.
    LateAck,
    Nack,
    Nothing,
    /// It closes the channel.
    TooLarge,
}

/// Plays a broker that answers one message after the other like this. Gives the ids of the messages, once
/// the client has hung up.
async fn play(mut fake: FakeBroker, answers: Vec<Answer>) -> Vec<Option<String>> {
    let mut answers = answers.into_iter();
    let (mut channel, mut tag, mut ids) = (0, 0, Vec::new());
    while let Some(frame) = fake.next_frame().await {
        match frame {
            // lapin numbers its channels from 1, and does not use a number again.
            Frame::Method { id: (20, 10), .. } => {
                (channel, tag) = (channel + 1, 0);
                fake.say(channel, (20, 11), |out| out.put_u32(0)).await;
            }
            Frame::Method { id: (85, 10), .. } => fake.say(channel, (85, 11), |_| {}).await,
            Frame::Method { id: (10, 50), .. } => {
                fake.say(0, (10, 51), |_| {}).await;
                break;
            }
            Frame::ReturnedHeader(id) => {
                ids.push(id);
                tag += 1;
                answer(&mut fake, channel, tag, answers.next().expect("no more messages")).await;
            }
            _ => {}
        }
    }
    ids
}

async fn answer(fake: &mut FakeBroker, channel: u16, tag: u64, answer: Answer) {
    if matches!(answer, Answer::LateAck) {
        tokio::time::sleep(2 * CONFIRM_DEADLINE).await;
    }
    match answer {
        Answer::Nothing => {}
        Answer::Ack | Answer::LateAck | Answer::Nack => {
            let method = if matches!(answer, Answer::Nack) { 120 } else { 80 };
            let confirm = |out: &mut bytes::BytesMut| {
                out.put_u64(tag);
                out.put_u8(0);
            };
            fake.say(channel, (60, method), confirm).await;
        }
        Answer::TooLarge => {
            let close = |out: &mut bytes::BytesMut| {
                out.put_u16(406);
                frames::put_short(out, "PRECONDITION_FAILED - message size 5 is larger than max size 4");
                out.put_u32(0);
            };
            fake.say(channel, (20, 40), close).await;
        }
    }
}

/// A session's settlements, and what they tell.
struct Playground {
    settlements: Settlements,
    broker: Broker,
    fake: JoinHandle<Vec<Option<String>>>,
    events_rx: mpsc::UnboundedReceiver<Result<QueueEvent, Error>>,
}

impl Playground {
    async fn new(answers: &[Answer]) -> Self {
        Self::with_plan(answers, true, false).await
    }

    async fn with_plan(answers: &[Answer], results: bool, ledger: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("amqp://{}", listener.local_addr().expect("it is bound"));
        let answers = answers.to_vec();
        let fake = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("it connects");
            play(FakeBroker::login(stream).await, answers).await
        });
        let endpoint = Endpoint::parse(&url, None).expect("legal");
        let broker = Broker::connect(&endpoint, "test").await.expect("the login is answered");
        let (events_tx, events_rx) = mpsc::unbounded_channel();
        let plan = ConsumerPlan {
            endpoint,
            queue: "job1".parse().expect("legal"),
            concurrency: 1,
            results,
            ledger: ledger.then(|| LedgerPlan { run: "r1".to_owned(), keeps: false, outputs: false }),
            input: None,
            give_up_after: Duration::ZERO,
            purpose: "test".to_owned(),
        };
        let wanted = Arc::new(Wanted {
            records: Switch::new(results),
            outcomes: Switch::new(ledger),
            outputs: Switch::new(false),
            keeps_outputs: false,
        });
        let settler = Settler::new(&broker, &Exchange::default(), &plan, wanted, &Notes::new(events_tx));
        Self { settlements: Settlements::new(settler), broker, fake, events_rx }
    }

    /// Settles items as they finish together; then they are all acknowledged.
    async fn settle(&mut self, numbers: RangeInclusive<u64>, status: Status) {
        self.finish(numbers.clone(), status);
        let mut settled = Vec::new();
        while !self.settlements.is_empty() {
            settled.extend(self.settlements.next(1).await.expect("the session goes on"));
        }
        assert_eq!(settled, numbers.collect::<Vec<u64>>());
    }

    fn finish(&mut self, numbers: RangeInclusive<u64>, status: Status) {
        for number in numbers {
            let record = Arc::new(record(number, status));
            let message = Message::mock(number, "".into(), "job1".into(), false, Vec::new());
            let (acker, properties) = (message.acker, Arc::new(message.properties));
            let held = HeldDelivery {
                acker,
                tag: number,
                properties,
                id: record.id.clone(),
                body: Arc::default(),
                channel: None,
            };
            let settlement = match status {
                Status::Done => Settlement::Done(record),
                Status::Failed => Settlement::Failed { record, body: Arc::default() },
            };
            self.settlements.settle(number, held, settlement);
        }
    }

    /// The ids of the messages that the broker got, and the notes.
    async fn end(mut self) -> (Vec<Option<String>>, Vec<String>) {
        self.broker.close().await;
        drop(self.settlements);
        let mut notes = Vec::new();
        while let Some(event) = self.events_rx.recv().await {
            match event {
                Ok(QueueEvent::Note(note)) => notes.push(note),
                other => panic!("{other:?}"),
            }
        }
        (self.fake.await.expect("it plays"), notes)
    }
}

fn record(number: u64, status: Status) -> ResultRecord {
    let time = "2026-01-01T00:00:00Z";
    let output = serde_json::json!({"bytes": 0, "tail": ""});
    let record = serde_json::json!({
        "id": format!("b.{number}"), "queue": "job1", "status": status, "attempts": 1, "firstStarted": time,
        "started": time, "ended": time, "size": 1, "host": "h", "stdout": output, "stderr": output,
    });
    serde_json::from_value(record).expect("a record")
}

fn ids(ids: &[&str]) -> Vec<Option<String>> {
    ids.iter().map(|id| (!id.is_empty()).then(|| (*id).to_owned())).collect()
}

#[tokio::test]
async fn what_finishes_together_is_one_message() {
    let mut playground = Playground::new(&[Answer::Ack, Answer::Ack]).await;
    playground.settle(1..=1, Status::Done).await;
    playground.settle(2..=200, Status::Done).await;
    assert_eq!(playground.end().await, (ids(&["b.1", ""]), vec![]));
}

#[tokio::test]
async fn records_that_are_not_confirmed_hold_no_item_and_that_is_said_once() {
    let mut playground = Playground::new(&[Answer::Nothing, Answer::Nothing, Answer::Ack, Answer::Ack]).await;
    playground.settle(1..=1, Status::Done).await;
    playground.settle(2..=3, Status::Done).await;
    playground.settle(4..=4, Status::Done).await;
    playground.settle(5..=5, Status::Done).await;
    let (messages, notes) = playground.end().await;
    assert_eq!(messages, ids(&["b.1", "", "b.4", "b.5"]));
    let [dropped, again] = notes.as_slice() else { panic!("{notes:?}") };
    assert!(dropped.starts_with("records are dropped: job1.results has confirmed none"), "{dropped}");
    assert_eq!(again, "records are confirmed again; 3 records were dropped");
}

#[tokio::test]
async fn a_refused_message_is_published_again_and_that_is_said_once() {
    let mut playground = Playground::new(&[Answer::Nack, Answer::Nack, Answer::Ack]).await;
    playground.settle(1..=1, Status::Done).await;
    let (messages, notes) = playground.end().await;
    assert_eq!(messages, ids(&["b.1", "b.1", "b.1"]));
    let [refused, again] = notes.as_slice() else { panic!("{notes:?}") };
    assert!(refused.starts_with("queue job1.results refuses messages: "), "{refused}");
    assert_eq!(again, "queue job1.results accepts messages again");
}

#[tokio::test]
async fn records_that_are_too_large_together_are_published_one_by_one() {
    let answers = [Answer::TooLarge, Answer::Ack, Answer::TooLarge, Answer::Ack];
    let mut playground = Playground::new(&answers).await;
    playground.settle(1..=3, Status::Done).await;
    let (messages, notes) = playground.end().await;
    assert_eq!(messages, ids(&["", "b.1", "b.2", "b.3"]));
    assert!(notes[0].starts_with("records are dropped: the broker refuses"), "{notes:?}");
}

#[tokio::test]
async fn a_failed_item_waits_for_its_confirm_and_says_so() {
    let mut playground = Playground::new(&[Answer::LateAck, Answer::Ack]).await;
    playground.settle(1..=1, Status::Failed).await;
    let (messages, notes) = playground.end().await;
    assert_eq!(messages, ids(&["b.1", "b.1"]));
    let [late] = notes.as_slice() else { panic!("{notes:?}") };
    assert!(late.starts_with("queue job1.failed has not confirmed item b.1 for "), "{late}");
}

#[tokio::test]
async fn outcomes_that_are_not_confirmed_break_the_session() {
    let mut playground = Playground::with_plan(&[Answer::Ack, Answer::Nothing], false, true).await;
    playground.settle(1..=1, Status::Done).await;
    playground.finish(2..=2, Status::Done);
    let error = playground.settlements.next(1).await.expect_err("an outcome is never dropped");
    assert!(error.is_transient() && error.to_string().contains("job1.outcomes.r1"), "{error}");
}

#[tokio::test]
async fn an_alarm_stops_the_clock() {
    let mut playground = Playground::with_plan(&[Answer::LateAck], false, true).await;
    playground.settlements.set_blocked(true);
    playground.settle(1..=1, Status::Done).await;
    assert_eq!(playground.end().await, (ids(&[""]), vec![]));
}

#[tokio::test]
async fn quick_items_wait_for_others_and_not_for_long() {
    let mut playground = Playground::new(&[Answer::Ack, Answer::Ack]).await;
    playground.finish(1..=3, Status::Done);
    playground.finish(4..=4, Status::Done);
    assert_eq!(playground.settlements.next(4).await.expect("the session goes on"), [1, 2, 3, 4]);
    playground.finish(5..=5, Status::Done);
    assert_eq!(playground.settlements.next(4).await.expect("the session goes on"), [5]);
    assert_eq!(playground.end().await, (ids(&["", "b.5"]), vec![]));
}
