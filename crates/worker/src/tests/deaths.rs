//! Items that came back: whether they run alone, fail, or go back again.

use super::*;
use workqueue_core::mark::{MarkMessage, MarkedItem};

/// A directory of its own, for what programs tell each other.
fn directory(name: &str) -> std::path::PathBuf {
    let directory = std::env::temp_dir().join(format!("workqueue-{name}-{}", std::process::id()));
    std::fs::remove_dir_all(&directory).ok();
    std::fs::create_dir_all(&directory).expect("a temporary directory");
    directory
}

/// Writes how many programs run, itself included, after the item.
fn counts_its_like(directory: &std::path::Path) -> String {
    let directory = directory.display();
    format!("cd {directory}; touch $$; sleep 0.4; echo $(cat) beside $(ls | wc -l); rm $$")
}

/// This worker died with the item.
fn died(store: &Store, id: &str, body: &[u8], worker: &str) {
    let item = MarkedItem::new(id, 0, body);
    store.tell(MarkMessage::Start { item, worker: format!("{worker}/1"), number: 1 });
}

#[tokio::test]
async fn an_item_that_came_back_runs_alone_and_then_all_slots_are_used_again() {
    let store = store(&[b"a", b"b"]);
    store.push_again("back", b"back", 1);
    for id in ["c", "d"] {
        store.push(id, id.as_bytes());
    }
    let directory = directory("alone");
    let (_stop_tx, working) =
        start(&store, WorkerPlan { concurrency: 2, ..sh(&counts_its_like(&directory)) });
    let run = working.await;
    let output = String::from_utf8_lossy(&run.output).into_owned();
    assert_eq!((run.report.done, run.report.failed), (5, 0));
    assert!(output.contains("back beside 1\n"), "{output}");
    for id in ["a", "b", "c", "d"] {
        assert!(output.contains(&format!("{id} beside ")), "{output}");
    }
    assert!(output.contains(" beside 2\n"), "others run beside each other: {output}");
    std::fs::remove_dir_all(&directory).ok();
}

#[tokio::test]
async fn an_item_that_ended_worker_after_worker_fails_and_others_are_done_meanwhile() {
    let store = Store::default();
    store.push_again("poison", b"p", 4);
    store.push("healthy", b"h");
    for worker in ["pod-a", "pod-b", "pod-c"] {
        died(&store, "poison", b"p", worker);
    }
    let (_stop_tx, working) = start(&store, WorkerPlan { concurrency: 2, ..sh("cat") });
    let run = working.await;
    assert_eq!((run.report.done, run.report.failed), (1, 1));
    assert_eq!(run.output, b"healthy\th\n");
    let record = run.record("poison");
    assert_eq!((record.status, record.reason, record.attempts), (Status::Failed, Some(Reason::Deaths), 3));
    assert_eq!(record.how(), "ended its worker 3 times");
    assert_eq!(record.stderr.tail, "workers that died with this item: pod-a, pod-b, pod-c\n");
    let order: Vec<&str> = run.records.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(order, ["healthy", "poison"], "the one that waits holds nobody up");
}

#[tokio::test]
async fn fewer_deaths_do_not_make_an_item_fail() {
    let store = Store::default();
    store.push_again("suspect", b"s", 3);
    for worker in ["pod-a", "pod-b"] {
        died(&store, "suspect", b"s", worker);
    }
    let (_stop_tx, working) = start(&store, sh("cat"));
    let run = working.await;
    assert_eq!((run.report.done, run.report.failed), (1, 0));
}

#[tokio::test]
async fn a_worker_that_answers_saves_the_item() {
    let store = Store::default();
    store.push_again("item", b"x", 3);
    for worker in ["pod-a", "pod-b", "pod-c"] {
        died(&store, "item", b"x", worker);
    }
    let (_stop_tx, working) = start(&store, sh("cat"));
    let answering = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let item = MarkedItem::new("item", 0, b"x");
        store.tell(MarkMessage::Alive { item, worker: "pod-b/1".to_owned() });
    };
    let (run, ()) = tokio::join!(working, answering);
    assert_eq!((run.report.done, run.report.failed), (1, 0));
}

#[tokio::test]
async fn items_that_workers_give_back_again_and_again_are_done_in_the_end() {
    let store = store(&[b"a"]);
    for _ in 0..5 {
        let plan = WorkerPlan { grace: Duration::ZERO, ..sh("sleep 1000") };
        let (stop_tx, working) = start(&store, plan);
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            stop_tx.send(StopSignal::Terminate).expect("it listens");
        };
        let (run, ()) = tokio::join!(working, stopping);
        assert_eq!(run.report.requeued, 1);
    }
    let (_stop_tx, working) = start(&store, sh("true"));
    let run = working.await;
    assert_eq!((run.report.done, run.report.failed), (1, 0));
}

#[tokio::test]
async fn a_worker_leaves_at_once_although_items_wait_to_be_alone_or_for_answers() {
    let store = Store::default();
    store.push("runs", b"r");
    store.push_again("poison", b"p", 4);
    store.push_again("back", b"b", 1);
    store.push("fresh", b"f");
    for worker in ["pod-a", "pod-b", "pod-c"] {
        died(&store, "poison", b"p", worker);
    }
    let plan = WorkerPlan { concurrency: 4, ..sh("sleep 0.6; cat") };
    let (stop_tx, working) = start(&store, plan);
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop_tx.send(StopSignal::Terminate).expect("it listens");
    };
    let (run, ()) = tokio::join!(working, stopping);
    assert_eq!((run.report.done, run.report.failed, run.report.requeued), (1, 0, 3));
    assert_eq!((run.output.as_slice(), store.ready()), (b"runs\tr\n".as_slice(), 3));
}

#[tokio::test]
async fn a_halt_counts_items_that_ended_their_workers() {
    let store = Store::default();
    store.push_again("poison", b"p", 4);
    for worker in ["pod-a", "pod-b", "pod-c"] {
        died(&store, "poison", b"p", worker);
    }
    let plan = WorkerPlan { halt: "soon,fail=1".parse().ok(), failed_before: Some(0), ..sh("cat") };
    let (_stop_tx, working) = start(&store, plan);
    let run = working.await;
    assert_eq!((run.report.ending, run.report.failed), (Ending::Halted, 1));
}

#[tokio::test]
async fn once_sets_aside_the_item_that_ended_its_workers() {
    let store = Store::default();
    store.push_again("poison", b"p", 4);
    for worker in ["pod-a", "pod-b", "pod-c"] {
        died(&store, "poison", b"p", worker);
    }
    let (_stop_tx, working) = start(&store, WorkerPlan { mode: WorkerMode::Once, ..sh("cat") });
    let run = working.await;
    let Ending::Once(record) = &run.report.ending else { panic!("{:?}", run.report) };
    assert_eq!((record.reason, store.ready()), (Some(Reason::Deaths), 0));
}
