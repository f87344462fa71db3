//! The rule, with what workers would tell each other.

use super::*;

const MAX: u32 = 3;

fn item(id: &str) -> MarkedItem {
    MarkedItem::new(id, 0, b"x")
}

fn start(id: &str, worker: &str) -> MarkMessage {
    MarkMessage::Start { item: item(id), worker: worker.to_owned(), number: 1 }
}

fn end(id: &str, worker: &str, number: Option<u64>) -> MarkMessage {
    let items = vec![EndedItem { item: item(id), number }];
    MarkMessage::End { worker: worker.to_owned(), items }
}

/// A worker that has heard these messages, and holds an item that came back.
fn with_item(heard: impl IntoIterator<Item = MarkMessage>) -> (Deaths, Instant) {
    let (mut deaths, now) = (Deaths::new(MAX, "me".to_owned()), Instant::now());
    let look = deaths.came_back(now, 1, item("a"));
    assert_eq!(deaths.admit(now, 1, 0), Admission::Wait);
    for message in heard {
        deaths.hear(message);
    }
    assert_eq!(deaths.hear(look), None, "nobody answers itself");
    (deaths, now)
}

/// The item was set aside long enough, and looked up again.
fn after_hold(deaths: &mut Deaths, now: Instant) -> Instant {
    let later = now + HOLD;
    let looks = deaths.held_long_enough(later);
    let [(1, look)] = looks.as_slice() else { panic!("one item was held: {looks:?}") };
    assert_eq!(deaths.admit(later, 1, 0), Admission::Wait, "answers may be on their way");
    deaths.hear(look.clone());
    later
}

/// The item's mark is told and heard, and it starts.
fn starts(deaths: &mut Deaths, now: Instant, running: usize) -> Admission {
    let Admission::Tell(mark) = deaths.admit(now, 1, running) else { panic!("it is marked") };
    assert_eq!(deaths.admit(now, 1, running), Admission::Wait, "its mark was not heard yet");
    deaths.hear(mark);
    deaths.admit(now, 1, running)
}

#[test]
fn an_item_that_never_came_back_starts_at_once() {
    let mut deaths = Deaths::new(MAX, "me".to_owned());
    assert_eq!(deaths.admit(Instant::now(), 1, 7), Admission::Start { alone: false });
}

#[test]
fn an_item_of_which_nothing_is_known_is_marked_and_runs_alone() {
    let (mut deaths, now) = with_item([]);
    assert_eq!(deaths.admit(now, 1, 2), Admission::WaitToBeAlone);
    assert_eq!(starts(&mut deaths, now, 0), Admission::Start { alone: true });
    assert_eq!(deaths.settled(1), Some(MarkMessage::Settled { item: item("a") }));
    assert_eq!(deaths.settled(1), None);
}

#[test]
fn an_item_that_living_workers_gave_back_runs_beside_others() {
    let (mut deaths, now) = with_item([end("a", "w1", None)]);
    assert_eq!(starts(&mut deaths, now, 3), Admission::Start { alone: false });
    let (mut deaths, now) = with_item([start("a", "w1"), end("a", "w1", Some(1))]);
    assert_eq!(starts(&mut deaths, now, 3), Admission::Start { alone: false });
    let (mut deaths, now) = with_item([end("a", "w1", None), start("a", "w2")]);
    assert_eq!(deaths.admit(now, 1, 3), Admission::WaitToBeAlone, "w2 died");
}

#[test]
fn an_item_fails_after_so_many_deaths_and_a_hold() {
    let two = [start("a", "w1"), start("a", "w2")];
    let (mut deaths, now) = with_item(two.clone());
    assert_eq!(starts(&mut deaths, now, 0), Admission::Start { alone: true });

    let (mut deaths, now) = with_item(two.into_iter().chain([start("a", "w3")]));
    assert_eq!(deaths.admit(now, 1, 0), Admission::Hold { deaths: 3 });
    assert_eq!(deaths.decides_at(), Some(now + HOLD));
    assert_eq!(deaths.held_long_enough(now), []);
    let later = after_hold(&mut deaths, now);
    let workers = ["w1", "w2", "w3"].map(str::to_owned).to_vec();
    assert_eq!(deaths.admit(later, 1, 5), Admission::Failed { workers });
}

#[test]
fn workers_that_answer_in_time_are_not_dead() {
    let (mut deaths, now) = with_item([start("a", "w1"), start("a", "w2"), start("a", "w3")]);
    assert_eq!(deaths.admit(now, 1, 0), Admission::Hold { deaths: 3 });
    deaths.hear(MarkMessage::Alive { item: item("a"), worker: "w2".to_owned() });
    let later = after_hold(&mut deaths, now);
    assert_eq!(starts(&mut deaths, later, 0), Admission::Start { alone: true });
}

#[test]
fn an_answer_to_an_earlier_look_proves_nothing_now() {
    let alive = MarkMessage::Alive { item: item("a"), worker: "w3".to_owned() };
    let marks = [start("a", "w1"), start("a", "w2"), start("a", "w3"), alive];
    let (mut deaths, now) = with_item(marks);
    assert_eq!(deaths.admit(now, 1, 0), Admission::Hold { deaths: 3 });
}

#[test]
fn a_worker_answers_looks_as_long_as_it_has_a_mark() {
    let (mut deaths, now) = with_item([]);
    let look = |id| MarkMessage::Look { item: item(id), worker: "other".to_owned(), number: 1 };
    assert_eq!(deaths.hear(look("a")), None, "it has not started the item");
    starts(&mut deaths, now, 0);
    let alive = MarkMessage::Alive { item: item("a"), worker: "me".to_owned() };
    assert_eq!(deaths.hear(look("a")), Some(alive));
    assert_eq!(deaths.hear(look("b")), None);
    deaths.let_go(1, || panic!("it is known"));
    let ended = deaths.take_ended().expect("the mark has an end");
    assert_eq!(ended, end("a", "me", Some(2)));
    deaths.hear(ended);
    assert_eq!(deaths.hear(look("a")), None);
    assert_eq!(deaths.take_ended(), None);
}

#[test]
fn twenty_returns_are_no_death() {
    let returns = (0..20).flat_map(|n| {
        let worker = format!("w{n}");
        [start("a", &worker), end("a", &worker, Some(1))]
    });
    let (mut deaths, now) = with_item(returns);
    assert_eq!(starts(&mut deaths, now, 3), Admission::Start { alone: false });
}

#[test]
fn a_retried_item_and_one_with_another_body_start_at_zero() {
    let others = [MarkedItem::new("a", 1, b"x"), MarkedItem::new("a", 0, b"y")];
    let marks = others.into_iter().flat_map(|item| {
        ["w1", "w2", "w3"].map(|worker| MarkMessage::Start {
            item: item.clone(),
            worker: worker.to_owned(),
            number: 1,
        })
    });
    let (mut deaths, now) = with_item(marks);
    assert_eq!(starts(&mut deaths, now, 0), Admission::Start { alone: true });
}

#[test]
fn many_marks_of_one_worker_are_one_death_and_its_own_are_none() {
    let marks = ["w1", "me"].into_iter().flat_map(|worker| {
        (1..9).map(|number| MarkMessage::Start { item: item("a"), worker: worker.to_owned(), number })
    });
    let (mut deaths, now) = with_item(marks);
    assert!(matches!(deaths.admit(now, 1, 0), Admission::Tell(_)), "one death");
}

#[test]
fn a_settled_item_leaves_no_marks() {
    let marks = ["w1", "w2", "w3"].map(|worker| start("a", worker));
    let settled = MarkMessage::Settled { item: item("a") };
    let (mut deaths, now) = with_item(marks.into_iter().chain([settled]));
    assert_eq!(starts(&mut deaths, now, 0), Admission::Start { alone: true });
}

#[test]
fn without_marks_work_goes_on_and_nothing_fails() {
    let (mut deaths, now) = (Deaths::new(MAX, "me".to_owned()), Instant::now());
    deaths.came_back(now, 1, item("a"));
    assert!(deaths.deafened());
    assert!(!deaths.deafened(), "it is said once");
    assert_eq!(deaths.admit(now, 1, 1), Admission::WaitToBeAlone);
    assert_eq!(deaths.admit(now, 1, 0), Admission::Start { alone: true });
}

#[test]
fn an_item_whose_answers_were_not_heard_does_not_fail() {
    let (mut deaths, now) = with_item(["w1", "w2", "w3"].map(|worker| start("a", worker)));
    assert_eq!(deaths.admit(now, 1, 0), Admission::Hold { deaths: 3 });
    assert_eq!(deaths.held_long_enough(now + HOLD).len(), 1);
    deaths.deafened();
    assert_eq!(deaths.admit(now + HOLD, 1, 0), Admission::Start { alone: true });
}

#[test]
fn a_stream_that_is_silent_for_too_long_holds_nothing_up() {
    let (mut deaths, now) = (Deaths::new(MAX, "me".to_owned()), Instant::now());
    deaths.came_back(now, 1, item("a"));
    assert!(!deaths.is_overdue(now));
    let late = deaths.decides_at().expect("it does not wait forever");
    assert!(deaths.is_overdue(late) && deaths.deafened());
    assert_eq!(deaths.admit(late, 1, 0), Admission::Start { alone: true });
    assert_eq!(deaths.decides_at(), None);
}

#[test]
fn an_item_that_is_redelivered_to_the_worker_that_runs_it_is_marked_again() {
    let mut deaths = Deaths::new(MAX, "me".to_owned());
    let mark = deaths.runs_again(1, item("a"));
    assert_eq!(mark, MarkMessage::Start { item: item("a"), worker: "me".to_owned(), number: 1 });
    deaths.let_go(1, || panic!("it is known"));
    assert_eq!(deaths.take_ended(), Some(end("a", "me", Some(1))));
}
