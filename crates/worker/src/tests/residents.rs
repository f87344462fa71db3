//! Programs that stay: a shell that asks for its items with curl.

use super::*;
use crate::runtime_api::{ItemsAs, RuntimePlan};

/// What every program here begins with.
const CLIENT: &str = r#"
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime
head=$(mktemp)
trap 'rm -f "$head"' EXIT
next() {
  event=$(curl -sSf -D "$head" "$api/invocation/next") || exit 1
  id=$(tr -d '\r' <"$head" | sed -n 's/^Lambda-Runtime-Aws-Request-Id: //p')
  attempt=$(sed -n 's/^Lambda-Runtime-Client-Context: .*"attempt":"\([0-9]*\)".*/\1/p' "$head")
}
respond() { curl -sSf -o /dev/null --data-binary "$1" "$api/invocation/$id/response"; }
fail() { curl -sSf -o /dev/null -d "{\"errorType\":\"$1\",\"errorMessage\":\"$2\"}" "$api/invocation/$id/error"; }
"#;

/// A program that does this for each item.
fn each(script: &str) -> WorkerPlan {
    resident(&format!("while next; do {script}\ndone"))
}

fn resident(script: &str) -> WorkerPlan {
    let runtime = Some(RuntimePlan { items_as: None, concurrency: 1 });
    WorkerPlan { runtime, ..sh(&format!("{CLIENT}{script}")) }
}

/// A path of its own, which does not exist.
fn fresh(name: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("workqueue-{name}-{}", std::process::id()));
    std::fs::remove_file(&path).ok();
    path
}

#[tokio::test]
async fn one_program_answers_for_all_items() {
    let plan = WorkerPlan { end_lines: true, ..each(r#"respond "$$ $event""#) };
    let run = work(&[b"{\"a\": 1}", b"fig", b"3"], plan).await;
    assert_eq!((run.report.done, run.report.failed), (3, 0));
    let output = String::from_utf8_lossy(&run.output).into_owned();
    let lines: Vec<(&str, &str)> = output.lines().filter_map(|line| line.split_once(' ')).collect();
    assert_eq!(lines.iter().map(|(_, event)| *event).collect::<Vec<_>>(), ["{\"a\": 1}", "\"fig\"", "3"]);
    assert!(lines.iter().all(|(pid, _)| *pid == lines[0].0), "one process: {output}");
    assert!(has_ended(lines[0].0).await, "it is left behind");
    assert_eq!(run.record("2").stdout.tail, format!("{} \"fig\"", lines[0].0));
}

#[tokio::test]
async fn an_error_is_a_failed_attempt_and_each_attempt_has_an_id_of_its_own() {
    let ids = fresh("ids");
    let script = format!(
        r#"echo "$id" >>{}; echo "log of $attempt"; if [ "$attempt" = 3 ]; then respond done; else fail ValueError "bad fruit"; fi"#,
        ids.display()
    );
    let run = work(&[b"x"], WorkerPlan { retries: 2, ..each(&script) }).await;
    assert_eq!((run.report.done, run.record("1").attempts), (1, 3));
    assert_eq!(run.record("1").stderr.tail, "log of 3\n");
    let seen = std::fs::read_to_string(&ids).expect("it was written");
    let unique: std::collections::HashSet<&str> = seen.lines().collect();
    assert_eq!(unique.len(), 3, "{seen}");
    std::fs::remove_file(&ids).ok();

    let run = work(&[b"x"], WorkerPlan { retries: 1, ..each(&script) }).await;
    let record = run.record("1");
    assert_eq!((record.status, record.reason, record.exit), (Status::Failed, Some(Reason::Error), None));
    assert_eq!(record.stderr.tail, "log of 2\nValueError: bad fruit\n");
    assert_eq!(record.how(), "reported ValueError: bad fruit");
    std::fs::remove_file(&ids).ok();
}

#[tokio::test]
async fn an_error_can_say_that_the_item_is_not_to_be_retried() {
    let run = work(&[b"x"], WorkerPlan { retries: 9, ..each("fail app.DoNotRetry never") }).await;
    let record = run.record("1");
    assert_eq!((record.attempts, record.reason), (1, Some(Reason::DoNotRetry)));
    assert_eq!(record.how(), "reported what is not to be retried: app.DoNotRetry: never");
}

#[tokio::test]
async fn a_program_that_ends_with_an_item_has_failed_it_and_the_next_one_starts() {
    let plan =
        each(r#"case $event in 1) echo oops; exit 7;; 2) exit 0;; 3) kill -9 $$;; *) respond $$;; esac"#);
    let run = work(&[b"1", b"2", b"3", b"4"], plan).await;
    assert_eq!((run.report.done, run.report.failed), (1, 3));
    let how = |id: &str| (run.record(id).reason, run.record(id).exit, run.record(id).signal);
    assert_eq!(how("1"), (Some(Reason::Exit), Some(7), None));
    assert!(run.record("1").stderr.tail.starts_with("oops\n"), "{:?}", run.record("1").stderr);
    assert_eq!(how("2"), (Some(Reason::Error), None, None));
    assert_eq!(
        run.record("2").stderr.tail,
        "Unanswered: the program exited with 0 before it had answered for this item\n"
    );
    assert_eq!(how("3"), (Some(Reason::Signal), None, Some(9)));
}

#[tokio::test]
async fn an_item_that_is_left_for_the_next_one_has_failed() {
    let run = work(&[b"1", b"2"], each(r#"[ $event = 1 ] || respond "$event""#)).await;
    assert_eq!((run.report.done, run.report.failed), (1, 1));
    assert!(run.record("1").stderr.tail.starts_with("Unanswered: "), "{:?}", run.record("1").stderr);
}

#[tokio::test]
async fn an_item_that_all_of_several_requests_have_left_has_failed() {
    let script = r#"
        loop() { head=$(mktemp); while next; do [ $event = 1 ] || respond ok; done; }
        loop & loop & wait"#;
    let runtime = Some(RuntimePlan { items_as: None, concurrency: 2 });
    let plan = WorkerPlan { runtime, concurrency: 2, ..resident(script) };
    let run = work(&[b"1", b"2", b"3"], plan).await;
    assert_eq!((run.report.done, run.report.failed), (2, 1));
    assert!(run.record("1").stderr.tail.starts_with("Unanswered: "), "{:?}", run.record("1").stderr);
}

#[tokio::test]
async fn a_time_limit_ends_the_program_with_all_its_processes() {
    let script = r#"if [ $event = 1 ]; then sleep 1000 & echo $!; wait; fi; respond "$event""#;
    let plan = WorkerPlan { item_timeout: Some(Duration::from_millis(500)), ..each(script) };
    let run = work(&[b"1", b"2"], plan).await;
    assert_eq!((run.report.done, run.report.failed), (1, 1));
    assert_eq!(run.record("1").reason, Some(Reason::Timeout));
    assert!(has_ended(run.record("1").stderr.tail.trim()).await, "it is left behind");
}

#[tokio::test]
async fn a_program_that_never_starts_ends_the_worker_with_the_reason() {
    let script = r#"curl -sSf -o /dev/null -d '{"errorType":"ImportError","errorMessage":"no module"}' \
        "$api/init/error"; exit 3"#;
    let (queue, plan) = (store(&[b"x"]), resident(script));
    let (_stop_tx, stop_rx) = mpsc::unbounded_channel();
    let memory = MemoryQueue::over_store(&queue, 1);
    let error = run(memory, plan, stop_rx, console().0, Reaper::default(), Recorder::default()).await;
    let error = error.expect_err("it does not start");
    let Error::Program { source, .. } = &error else { panic!("{error}") };
    assert_eq!(
        source.to_string(),
        "it ended 5 times in a row before it took an item; the last time it exited with 3: ImportError: no module"
    );
    assert_eq!(queue.ready(), 1, "the item is not to blame");
}

#[tokio::test]
async fn a_program_that_starts_at_last_does_all_items() {
    let starts = fresh("starts");
    let script = format!(
        "echo >>{0}; [ $(wc -l <{0}) -gt 3 ] || exit 1; while next; do respond x; done",
        starts.display()
    );
    let run = work(&[b"1", b"2"], resident(&script)).await;
    assert_eq!((run.report.done, run.report.failed), (2, 0));
    assert_eq!(run.record("1").attempts, 1, "the item is not to blame");
    std::fs::remove_file(&starts).ok();
}

#[tokio::test]
async fn programs_that_leave_after_some_items_are_started_again() {
    let script = "next; respond $$; exit 0";
    let items: Vec<&[u8]> = vec![b"x"; 8];
    let run = work(&items, WorkerPlan { end_lines: true, ..resident(script) }).await;
    assert_eq!((run.report.done, run.report.failed), (8, 0));
    let output = String::from_utf8_lossy(&run.output).into_owned();
    let pids: std::collections::HashSet<&str> = output.lines().collect();
    assert_eq!(pids.len(), 8);
}

#[tokio::test]
async fn of_several_items_at_a_crash_only_the_one_that_crashes_alone_is_charged() {
    // Two loops in one process group; the item that kills does so after the other has begun.
    let script = r#"
        loop() { head=$(mktemp); while next; do if [ $event = 1 ]; then sleep 0.4; kill -9 -$$; fi; sleep 0.8; respond ok; done; }
        loop & loop & wait"#;
    let runtime = Some(RuntimePlan { items_as: None, concurrency: 2 });
    let plan = WorkerPlan { runtime, concurrency: 2, ..resident(script) };
    let run = work(&[b"1", b"2", b"3"], plan).await;
    assert_eq!((run.report.done, run.report.failed), (2, 1));
    assert_eq!((run.record("1").reason, run.record("1").attempts), (Some(Reason::Signal), 1));
    for id in ["2", "3"] {
        assert_eq!((run.record(id).status, run.record(id).attempts), (Status::Done, 1), "{id}");
    }
}

#[tokio::test]
async fn each_slot_has_a_program_of_its_own() {
    let items: Vec<&[u8]> = vec![b"x"; 6];
    let plan = WorkerPlan { concurrency: 3, ..each("sleep 0.3; respond $$") };
    let run = work(&items, plan).await;
    let output = String::from_utf8_lossy(&run.output).into_owned();
    let pids: std::collections::HashSet<&str> =
        output.lines().filter_map(|line| line.split_once('\t')).map(|(_, pid)| pid).collect();
    assert_eq!((run.report.done, pids.len()), (6, 3), "{output}");
    for pid in pids {
        assert!(has_ended(pid).await, "{pid} is left behind");
    }
}

#[tokio::test]
async fn a_first_signal_lets_the_item_finish_and_a_second_does_not() {
    for (signals, done) in [(1, 1), (2, 0)] {
        let queue = store(&[b"a", b"b"]);
        let begun = fresh("begun");
        let script = format!("touch {}; sleep 1; respond $$", begun.display());
        let (stop_tx, working) = start(&queue, each(&script));
        let stopping = async {
            while !begun.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            for _ in 0..signals {
                stop_tx.send(StopSignal::Terminate).expect("it listens");
            }
        };
        let (run, ()) = tokio::join!(working, stopping);
        assert_eq!((run.report.done, queue.ready()), (done, 2 - done as usize), "{signals}");
        std::fs::remove_file(&begun).ok();
    }
}

#[tokio::test]
async fn an_item_that_waits_for_a_program_goes_back_at_a_signal() {
    let queue = store(&[b"a"]);
    let (stop_tx, working) = start(&queue, resident("sleep 1000"));
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop_tx.send(StopSignal::Terminate).expect("it listens");
    };
    let (run, ()) = tokio::join!(working, stopping);
    assert_eq!((run.report.requeued, queue.ready()), (1, 1));
}

#[tokio::test]
async fn a_halt_ends_the_program_of_an_item_that_runs() {
    let queue = store(&[b"1", b"2", b"3"]);
    let script = "if [ $event = 1 ]; then sleep 0.5; fail E m; else sleep 1000; fi";
    let plan = WorkerPlan { halt: "now,fail=1".parse().ok(), concurrency: 2, ..each(script) };
    let (_stop_tx, working) = start(&queue, plan);
    let run = working.await;
    assert_eq!((run.report.ending, run.report.failed, queue.ready()), (Ending::Halted, 1, 2));
}

#[tokio::test]
async fn items_that_are_no_text_fail_unless_they_go_in_base64() {
    let run = work(&[b"\xff"], WorkerPlan { retries: 3, ..each("respond x") }).await;
    let record = run.record("1");
    assert_eq!((record.reason, record.attempts), (Some(Reason::Unstartable), 1));
    assert!(record.stderr.tail.contains("--items-as base64"), "{:?}", record.stderr);
    let runtime = Some(RuntimePlan { items_as: Some(ItemsAs::Base64), concurrency: 1 });
    let run = work(&[b"\xff"], WorkerPlan { runtime, ..each(r#"respond "$event""#) }).await;
    assert_eq!(run.output, b"\"/w==\"");
}

#[tokio::test]
async fn whole_responses_are_kept() {
    let script = r#"head -c 100000 /dev/zero | tr '\0' x | curl -sSf -o /dev/null --data-binary @- "$api/invocation/$id/response""#;
    let run = work(&[b"x"], WorkerPlan { keep_output: Some(99_999), ..each(script) }).await;
    let stdout = &run.record("1").stdout;
    assert_eq!((stdout.bytes, stdout.whole.as_ref().map(Vec::len)), (100_000, Some(99_999)));
    assert_eq!(run.output, b"");
}

#[tokio::test]
async fn what_clients_need_is_in_the_environment() {
    let script = r#"respond "$AWS_LAMBDA_FUNCTION_NAME $AWS_LAMBDA_FUNCTION_VERSION $WORKQUEUE_RUN \
        ${AWS_LAMBDA_FUNCTION_MEMORY_SIZE:+m} ${AWS_LAMBDA_LOG_STREAM_NAME+s} ${LAMBDA_TASK_ROOT:+t} ${_HANDLER:+h}""#;
    let run = work(&[b"x"], each(script)).await;
    let output = String::from_utf8_lossy(&run.output).into_owned();
    let words: Vec<&str> = output.split_whitespace().filter(|word| *word != "\\").collect();
    assert_eq!(words, ["job1", "$LATEST", "r1", "m", "s", "t", "h"]);
}
