//! The event loop over the queue in memory, with real programs.

mod deaths;
mod programs;
mod residents;

use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::output::console;
use super::*;
use workqueue_core::memory_queue::{MemoryQueue, Store};
use workqueue_core::record::{Reason, ResultRecord, Status, WorkerLocation};

/// Nothing here may take longer.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Clone, Default)]
struct Recorder {
    records: Arc<Mutex<Vec<ResultRecord>>>,
    superseded: Arc<Mutex<Vec<String>>>,
}

impl WorkerObserver for Recorder {
    fn on(&self, notice: WorkerNotice<'_>) {
        match notice {
            WorkerNotice::Settled(record) => {
                self.records.lock().expect("no test panics here").push(record.clone())
            }
            WorkerNotice::Superseded(record) => {
                self.superseded.lock().expect("no test panics here").push(record.id.clone());
            }
            _ => {}
        }
    }
}

struct Run {
    report: WorkerReport,
    records: Vec<ResultRecord>,
    output: Vec<u8>,
    superseded: Vec<String>,
}

impl Run {
    fn record(&self, id: &str) -> &ResultRecord {
        self.records.iter().find(|record| record.id == id).expect("a record of the item")
    }
}

fn sh(script: &str) -> WorkerPlan {
    WorkerPlan {
        program: ["sh", "-c", script, "sh"].map(OsString::from).to_vec(),
        runtime: None,
        mode: WorkerMode::Drain,
        concurrency: 1,
        retries: 0,
        backoff: Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(1) },
        item_timeout: None,
        grace: Duration::from_secs(20),
        linger: Duration::from_secs(30),
        halt: None,
        failed_before: None,
        max_deaths: MAX_DEATHS,
        queue: "job1".to_owned(),
        run: Some("r1".to_owned()),
        location: WorkerLocation::default(),
        keep_output: None,
        grouped: false,
        end_lines: false,
        capture: None,
    }
}

fn store(items: &[&[u8]]) -> Store {
    let store = Store::default();
    for (number, body) in (1..).zip(items) {
        store.push(&number.to_string(), body);
    }
    store
}

fn start(
    store: &Store,
    plan: WorkerPlan,
) -> (mpsc::UnboundedSender<StopSignal>, impl Future<Output = Run> + use<>) {
    let (stop_tx, stop_rx) = mpsc::unbounded_channel();
    let queue = MemoryQueue::over_store(store, plan.concurrency);
    let (recorder, (console, mut chunks_rx)) = (Recorder::default(), console());
    let watch = recorder.clone();
    let working = async move {
        let listening = tokio::spawn(async move {
            let mut output = Vec::new();
            while let Some(chunk) = chunks_rx.recv().await {
                output.extend(chunk.bytes);
            }
            output
        });
        let working = run(queue, plan, stop_rx, console, Reaper::default(), watch);
        let report = timeout(LONGEST, working).await.expect("it ends").expect("it works");
        let output = listening.await.expect("it listens");
        let (records, superseded) = (recorder.records.lock(), recorder.superseded.lock());
        let records = records.expect("no test panics here").clone();
        Run { report, records, output, superseded: superseded.expect("no test panics here").clone() }
    };
    (stop_tx, working)
}

async fn work(items: &[&[u8]], plan: WorkerPlan) -> Run {
    let (_stop_tx, working) = start(&store(items), plan);
    working.await
}

#[tokio::test]
async fn items_come_on_standard_input_with_their_names() {
    let script = r#"echo "$(cat) $WORKQUEUE_ITEM_ID $WORKQUEUE_ATTEMPT $WORKQUEUE_QUEUE $WORKQUEUE_RUN""#;
    let run = work(&[b"apple", b"fig"], sh(script)).await;
    assert_eq!(String::from_utf8_lossy(&run.output), "apple 1 1 job1 r1\nfig 2 1 job1 r1\n");
    assert_eq!((run.report.done, run.report.failed), (2, 0));
    assert_eq!(run.report.ending, Ending::Drained);
    assert_eq!(run.record("2").stdout.tail, "fig 2 1 job1 r1\n");
}

#[tokio::test]
async fn an_empty_queue_is_left_soon() {
    let started = Instant::now();
    let run = work(&[], sh("true")).await;
    assert_eq!(run.report.ending, Ending::Drained);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn bytes_of_any_value_pass() {
    let body = b"a\0b\nc\xff\n";
    let run = work(&[body], sh("cat")).await;
    assert_eq!(run.output, body);
}

#[tokio::test]
async fn a_nul_byte_cannot_be_an_argument_and_is_no_reason_to_stop() {
    let mut plan = sh(r#"printf %s "$1""#);
    plan.program.push("{}".into());
    plan.retries = 5;
    let run = work(&[b"a\0b", b"two\nlines"], plan).await;
    assert_eq!(run.output, b"two\nlines");
    assert_eq!(run.record("1").reason, Some(Reason::Unstartable));
    assert_eq!(run.record("1").attempts, 1);
}

#[tokio::test]
async fn ten_megabytes_come_through_also_unread() {
    let big = vec![b'x'; 10 * 1024 * 1024];
    let run = work(&[&big], sh("wc -c")).await;
    assert_eq!(String::from_utf8_lossy(&run.output).trim(), "10485760");
    let run = work(&[&big], sh("exit 0")).await;
    assert_eq!(run.report.done, 1);
    let run = work(&[&big], sh("head -c 1; exec sleep 0.2")).await;
    assert_eq!(run.report.done, 1);
}

#[tokio::test]
async fn a_hundred_megabytes_of_output_pass_and_their_end_is_kept() {
    let run = work(&[b"x"], sh("head -c 100000000 /dev/zero; echo end")).await;
    assert_eq!(run.output.len(), 100_000_004);
    let stdout = &run.record("1").stdout;
    assert_eq!(stdout.bytes, 100_000_004);
    assert!(stdout.tail.ends_with("\0end\n") && stdout.tail.len() == 4096);
}

#[tokio::test]
async fn failures_are_tried_again_and_then_given_up() {
    let plan = WorkerPlan {
        retries: 2,
        ..sh(
            r#"echo "try $WORKQUEUE_ATTEMPT" >&2; [ "$(cat)" = good -o "$WORKQUEUE_ATTEMPT" = 3 ] || exit 7"#,
        )
    };
    let run = work(&[b"good", b"bad"], plan.clone()).await;
    assert_eq!((run.report.done, run.report.failed), (2, 0));
    assert_eq!((run.record("1").attempts, run.record("2").attempts), (1, 3));
    let run = work(&[b"bad"], WorkerPlan { retries: 1, ..plan }).await;
    let record = run.record("1");
    assert_eq!((record.status, record.reason, record.exit), (Status::Failed, Some(Reason::Exit), Some(7)));
    assert_eq!((record.attempts, record.stderr.tail.as_str()), (2, "try 2\n"));
}

#[tokio::test]
async fn the_status_for_no_retry_is_heeded_and_signals_are_told() {
    let run = work(&[b"x"], WorkerPlan { retries: 9, ..sh("exit 65") }).await;
    assert_eq!((run.record("1").attempts, run.record("1").reason), (1, Some(Reason::DoNotRetry)));
    let run = work(&[b"x"], sh("kill -9 $$")).await;
    let record = run.record("1");
    assert_eq!((record.reason, record.exit, record.signal), (Some(Reason::Signal), None, Some(9)));
}

#[tokio::test]
async fn a_program_that_never_ends_is_ended() {
    let plan = WorkerPlan { item_timeout: Some(Duration::from_millis(300)), ..sh("exec sleep 1000") };
    let run = work(&[b"x"], plan).await;
    let record = run.record("1");
    assert_eq!((record.reason, record.signal), (Some(Reason::Timeout), Some(15)));
}

#[tokio::test]
async fn a_whole_group_that_ignores_sigterm_is_ended() {
    let script = "trap '' TERM; sleep 1000 & echo $!; sleep 1000 & echo $!; wait; wait; wait";
    let plan = WorkerPlan { item_timeout: Some(Duration::from_millis(300)), ..sh(script) };
    let run = work(&[b"x"], plan).await;
    assert_eq!(run.record("1").reason, Some(Reason::Timeout));
    let pids = String::from_utf8_lossy(&run.output).into_owned();
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        assert!(has_ended(pid).await, "process {pid} is still there");
    }
}

#[tokio::test]
async fn what_a_program_leaves_behind_ends_with_it() {
    let started = Instant::now();
    let run = work(&[b"x"], sh("sleep 1000 & echo $!")).await;
    assert_eq!(run.report.done, 1);
    assert!(started.elapsed() < Duration::from_secs(8), "the open output was waited for");
    assert!(has_ended(String::from_utf8_lossy(&run.output).trim()).await);
}

/// Whether a process is gone, or only waits for its new parent to take note.
async fn has_ended(pid: &str) -> bool {
    for _ in 0..200 {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) if !stat.contains(") Z ") => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => return true,
        }
    }
    false
}

#[tokio::test]
async fn several_at_a_time_are_told_apart() {
    let started = Instant::now();
    let items: Vec<&[u8]> = vec![b"x"; 8];
    let run = work(&items, WorkerPlan { concurrency: 8, ..sh("printf 'a\nb'; sleep 0.5") }).await;
    assert_eq!(run.report.done, 8);
    assert!(started.elapsed() < Duration::from_secs(4), "they did not run concurrently");
    let output = String::from_utf8_lossy(&run.output).into_owned();
    for id in 1..=8 {
        let lines: Vec<_> = output.lines().filter(|line| line.starts_with(&format!("{id}\t"))).collect();
        assert_eq!(lines, [format!("{id}\ta"), format!("{id}\tb")]);
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_started_burns_no_items() {
    let (store, plan) = (store(&[b"x"]), WorkerPlan { program: vec!["/nowhere/x".into()], ..sh("") });
    let (_stop_tx, stop_rx) = mpsc::unbounded_channel();
    let queue = MemoryQueue::over_store(&store, 1);
    let error = run(queue, plan, stop_rx, console().0, Reaper::default(), Recorder::default()).await;
    assert_eq!(error.expect_err("there is none").to_string(), "cannot start /nowhere/x");
    assert_eq!(store.ready(), 1);
}

#[tokio::test]
async fn sigterm_lets_running_items_finish_and_gives_the_rest_back() {
    let store = store(&[b"a", b"b", b"c"]);
    let (stop_tx, working) = start(&store, WorkerPlan { concurrency: 1, ..sh("sleep 0.5; cat") });
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stop_tx.send(StopSignal::Terminate).expect("it listens");
    };
    let (run, ()) = tokio::join!(working, stopping);
    assert_eq!(run.report.ending, Ending::Stopped(StopSignal::Terminate));
    assert_eq!((run.report.done, run.output.as_slice()), (1, b"a".as_slice()));
    assert_eq!(store.ready(), 2);
}

#[tokio::test]
async fn after_the_grace_period_running_items_go_back() {
    let store = store(&[b"a"]);
    let script = "trap '' TERM; sleep 1000; sleep 1000";
    let plan = WorkerPlan { grace: Duration::from_millis(300), ..sh(script) };
    let (stop_tx, working) = start(&store, plan);
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stop_tx.send(StopSignal::Terminate).expect("it listens");
    };
    let started = Instant::now();
    let (run, ()) = tokio::join!(working, stopping);
    assert_eq!((run.report.requeued, run.records.len(), store.ready()), (1, 0, 1));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let store = store(&[b"a"]);
    let (stop_tx, working) = start(&store, sh("trap '' TERM; sleep 1000; sleep 1000"));
    let stopping = async {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            stop_tx.send(StopSignal::Interrupt).expect("it listens");
        }
    };
    let started = Instant::now();
    let (run, ()) = tokio::join!(working, stopping);
    assert_eq!(run.report.ending, Ending::Stopped(StopSignal::Interrupt));
    assert_eq!(store.ready(), 1);
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_signal_between_two_attempts_gives_the_item_back() {
    let store = store(&[b"a"]);
    let backoff = Backoff { initial: LONGEST, max: LONGEST };
    let (stop_tx, working) = start(&store, WorkerPlan { retries: 3, backoff, ..sh("exit 1") });
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop_tx.send(StopSignal::Terminate).expect("it listens");
    };
    let (run, ()) = tokio::join!(working, stopping);
    assert_eq!((run.report.requeued, store.ready()), (1, 1));
}

#[tokio::test]
async fn an_item_that_comes_again_keeps_its_program() {
    let store = store(&[b"a", b"b"]);
    let (_stop_tx, working) = start(&store, WorkerPlan { concurrency: 2, ..sh("sleep 1; cat") });
    let breaking = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        store.break_sessions();
    };
    let (run, ()) = tokio::join!(working, breaking);
    assert_eq!((run.report.done, run.records.len()), (2, 2));
    assert_eq!(run.output.len(), 8, "a program ran twice: {:?}", String::from_utf8_lossy(&run.output));
    assert!(run.superseded.is_empty());
}

#[tokio::test]
async fn equal_items_without_an_id_of_their_own_are_both_done() {
    let store = Store::default();
    store.push("same", b"x");
    store.push("same", b"x");
    let (_stop_tx, working) = start(&store, WorkerPlan { concurrency: 2, ..sh("sleep 0.6; echo ran") });
    let breaking = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        store.break_sessions();
    };
    let (run, ()) = tokio::join!(working, breaking);
    assert_eq!(run.report.done, 2);
    assert_eq!(run.output, b"same\tran\nsame\tran\n");
}

#[tokio::test]
async fn one_item_and_eight_workers_all_end() {
    let store = store(&[b"x"]);
    let mut runs = Vec::new();
    let mut stops = Vec::new();
    for _ in 0..8 {
        let (stop_tx, working) = start(&store, sh("sleep 0.5"));
        stops.push(stop_tx);
        runs.push(tokio::spawn(working));
    }
    let mut done = 0;
    for run in runs {
        done += run.await.expect("it runs").report.done;
    }
    assert_eq!((done, store.ready()), (1, 0));
}

#[tokio::test]
async fn an_item_that_comes_while_workers_step_aside_is_done() {
    let store = store(&[b"x"]);
    let (_stop_tx, working) = start(&store, sh("cat"));
    let adding = async {
        tokio::time::sleep(Duration::from_millis(1200)).await;
        store.push("late", b"y");
    };
    let (run, ()) = tokio::join!(working, adding);
    assert_eq!((run.report.done, run.output.as_slice()), (2, b"xy".as_slice()));
}

#[tokio::test]
async fn once_takes_one_item() {
    let store = store(&[b"a", b"b"]);
    let (_stop_tx, working) = start(&store, WorkerPlan { mode: WorkerMode::Once, ..sh("cat; exit 4") });
    let run = working.await;
    let Ending::Once(record) = &run.report.ending else { panic!("{:?}", run.report) };
    assert_eq!((record.exit, store.ready()), (Some(4), 1));
    let run = work(&[], WorkerPlan { mode: WorkerMode::Once, ..sh("true") }).await;
    assert_eq!(run.report.ending, Ending::Drained);
}

#[tokio::test]
async fn failures_halt_the_work_and_what_is_left_stays() {
    let items: Vec<String> = (1..=20).map(|number| number.to_string()).collect();
    let bodies: Vec<&[u8]> = items.iter().map(String::as_bytes).collect();
    let halting = |script: &str, rule: &str| WorkerPlan { halt: rule.parse().ok(), ..sh(script) };

    let queue = store(&bodies);
    let (_stop_tx, working) = start(&queue, halting("test $(cat) != 3", "soon,fail=1"));
    let run = working.await;
    assert_eq!(run.report.ending, Ending::Halted);
    assert_eq!((run.report.done, run.report.failed, queue.ready()), (2, 1, 17));

    // One that takes its place finds that the run has halted, and takes nothing.
    let plan = WorkerPlan { failed_before: Some(0), ..halting("true", "soon,fail=1") };
    let (_stop_tx, working) = start(&queue, plan);
    let run = working.await;
    assert_eq!((run.report.ending, run.report.done, queue.ready()), (Ending::Halted, 0, 17));

    // Those of an earlier run do not count.
    let (_stop_tx, working) = start(&queue, halting("true", "soon,fail=1"));
    let run = working.await;
    assert_eq!((run.report.ending, run.report.done), (Ending::Drained, 17));
}

#[tokio::test]
async fn a_halt_now_ends_what_runs() {
    let queue = store(&[b"sleep 50", b"exit 1", b"true"]);
    let plan = WorkerPlan { halt: "now,fail=1".parse().ok(), concurrency: 2, ..sh("eval \"$(cat)\"") };
    let started = Instant::now();
    let (_stop_tx, working) = start(&queue, plan);
    let run = working.await;
    assert_eq!(run.report.ending, Ending::Halted);
    assert_eq!((run.report.done, run.report.failed, queue.ready()), (0, 1, 2));
    assert!(started.elapsed() < Duration::from_secs(10));
}
