//! Programs that stay, over a broker: nothing is lost and nothing left running, whoever dies.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use workqueue_test_support::{Bench, Running, Sandbox, awslambdaric, ended, root, worker};

use super::losses::Wire;

/// A process that has not ended by then does not end.
const LONGEST: Duration = Duration::from_secs(30);

const PROGRAM: [&str; 4] = ["python3", "-m", "awslambdaric", "app.handler"];

/// Starts a worker with AWS's client for Python; an item takes so many seconds.
fn start(bench: &Bench, url: &str, starts: &Path, seconds: &str, flags: &[&str]) -> Running {
    let mut command = Command::new(worker());
    command.env("BROKER_URL", url).env("QUEUE", &bench.queue).env("WORKQUEUE_RUN", "r1");
    let path = format!("{}:{}", awslambdaric(None).display(), root().join("tests/runtime").display());
    command.env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1").env("STARTS", starts);
    command.env("WORK_SECONDS", seconds);
    let head = ["--runtime-api", "--backoff", "10ms"];
    Running::start(command.args(head).args(flags).arg("--").args(PROGRAM))
}

/// The processes that were started.
fn pids(starts: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(starts).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until all programs have ended.
fn all_ended(pids: &[String]) {
    let deadline = Instant::now() + LONGEST;
    // A process that has ended may wait for its parent.
    let runs = |pid: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    while let Some(pid) = pids.iter().find(|pid| runs(pid)) {
        assert!(Instant::now() < deadline, "process {pid} is left behind");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn items(count: u32) -> Vec<String> {
    (1..=count).map(|number| number.to_string()).collect()
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_thousand_items_end_as_their_handler_does_over_a_broker() {
    let (bench, files) = (Bench::with_items(&items(1000)).await, Sandbox::new());
    let flags = ["--concurrency", "2", "--retries", "0", "--item-timeout", "5s"];
    let starts = files.path("starts");
    ended(start(&bench, &bench.url, &starts, "0", &flags)).await.ok().says("993 items done, 7 failed");
    let records = bench.records(1000).await;
    let ids: HashSet<&str> = records.iter().filter_map(|record| record["id"].as_str()).collect();
    assert_eq!((records.len(), ids.len()), (1000, 1000));
    let reasons: BTreeSet<(&str, &str)> = records
        .iter()
        .filter(|record| record["status"] == "failed")
        .map(|record| {
            (record["id"].as_str().unwrap_or_default(), record["reason"].as_str().unwrap_or_default())
        })
        .collect();
    let expected = [("100", "error"), ("250", "timeout"), ("300", "error"), ("500", "error")];
    let expected = expected.into_iter().chain([("700", "error"), ("750", "signal"), ("900", "error")]);
    assert_eq!(reasons, expected.collect());
    assert_eq!((bench.ready("").await, bench.ready(".failed").await), (0, 7));
    // Two slots, and at most one more start for each program that was ended or ended itself.
    assert!((3..=4).contains(&pids(&starts).len()), "{:?}", pids(&starts));
    all_ended(&pids(&starts));
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_worker_that_is_killed_loses_no_item_and_leaves_no_program() {
    let (bench, files) = (Bench::with_items(&items(99)).await, Sandbox::new());
    let (first, second) = (files.path("first"), files.path("second"));
    let worker = start(&bench, &bench.url, &first, "0.1", &["--concurrency", "2"]);
    let deadline = Instant::now() + LONGEST;
    while pids(&first).len() < 2 {
        assert!(Instant::now() < deadline, "the second program does not start");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    worker.kill();
    all_ended(&pids(&first));
    assert_eq!(pids(&first).len(), 2, "one a slot");
    let flags = ["--concurrency", "2", "--idle-timeout", "1s"];
    ended(start(&bench, &bench.url, &second, "0", &flags)).await.ok();
    // Items that came back run alone.
    assert!((1..=2).contains(&pids(&second).len()), "one a slot");
    all_ended(&pids(&second));
    let records = bench.records(200).await;
    let ids: HashSet<&str> = records.iter().filter_map(|record| record["id"].as_str()).collect();
    assert_eq!(ids.len(), 99);
    assert!(records.iter().all(|record| record["status"] == "done"));
    assert_eq!((bench.ready("").await, bench.ready(".failed").await), (0, 0));
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_connection_that_breaks_leaves_programs_that_stay_running() {
    let (bench, files) = (Bench::with_items(&items(99)).await, Sandbox::new());
    let (wire, starts) = (Wire::to(&bench.url).await, files.path("starts"));
    let worker = start(&bench, &wire.url, &starts, "0.1", &["--concurrency", "2"]);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        wire.cut.notify_waiters();
    }
    ended(worker).await.ok();
    assert_eq!(pids(&starts).len(), 2, "one a slot, over all connections");
    all_ended(&pids(&starts));
    let records = bench.records(200).await;
    let ids: HashSet<&str> = records.iter().filter_map(|record| record["id"].as_str()).collect();
    assert_eq!((ids.len(), bench.ready("").await, bench.ready(".failed").await), (99, 0, 0));
    bench.clear().await;
}
