//! The same cases over both queues.

use std::time::{Duration, Instant};

use super::backend::{Bench, Ended, broker_url, local};

/// A case: items, flags, the script of a shell, and what is expected of it.
struct Case<'a> {
    items: &'a [&'a [u8]],
    null: bool,
    flags: &'a [&'a str],
    script: &'a str,
    expect: fn(&Ended),
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self { items: &[b"x"], null: false, flags: &["--retries", "0"], script: "true", expect: |_| {} }
    }
}

async fn check(case: Case<'_>) {
    // A second item shows that the worker goes on, and makes both count in words.
    let mut items = case.items.to_vec();
    if items.len() == 1 {
        items.push(b"next");
    }
    let script = format!(
        "item() {{ {}\n}}; [ \"$WORKQUEUE_ITEM_ID\" = 2 ] && [ {} = 1 ] || item",
        case.script,
        case.items.len()
    );
    let program = ["sh", "-c", &script];
    let ended = local(&items, case.null, case.flags, &program).await;
    assert_ne!(ended.code(), None, "{}", ended.stderr);
    (case.expect)(&ended);
    let Some(url) = broker_url() else { return };
    let bench = Bench::new(&url).await;
    bench.fill(&items).await;
    let ended = bench.work(case.flags, &program).await;
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    (case.expect)(&ended);
    assert_eq!(bench.ready("").await, 0);
    assert_eq!(bench.ready(".failed").await, ended.counts().expect("it counts").1);
    bench.clear().await;
}

fn counts(ended: &Ended, done: u64, failed: u64) {
    assert_eq!(ended.counts(), Some((done, failed)), "{}", ended.stderr);
}

#[tokio::test]
async fn items_come_as_they_are() {
    let case = Case { items: &[b"a\0b\xff", b"plain"], script: "cat; echo", ..Case::default() };
    let expect: fn(&Ended) = |ended| assert_eq!(ended.stdout, b"a\0b\xff\nplain\n");
    check(Case { expect, ..case }).await;
    let case = Case { items: &[b"two\nlines", b"plain"], null: true, script: "cat; echo", ..Case::default() };
    check(Case { expect: |ended| assert_eq!(ended.stdout, b"two\nlines\nplain\n"), ..case }).await;
}

#[tokio::test]
async fn an_item_with_nul_and_newlines() {
    let (item, quoted) = (b"a\0b\nc\n\0", br#""a\u0000b\nc\n\u0000""#);
    let run = local(&[quoted], false, &["--json"], &["cat"]).await;
    assert_eq!((run.code(), run.stdout.as_slice()), (Some(0), &item[..]), "{}", run.stderr);
    let Some(url) = broker_url() else { return };
    let bench = Bench::new(&url).await;
    bench.fill(&[item]).await;
    let run = bench.work(&[], &["cat"]).await;
    assert_eq!((run.code(), run.stdout.as_slice()), (Some(0), &item[..]), "{}", run.stderr);
    bench.clear().await;
}

#[tokio::test]
async fn a_program_that_never_ends() {
    let flags = ["--retries", "1", "--item-timeout", "500ms"];
    let case = Case { flags: &flags, script: "exec sleep 1000", ..Case::default() };
    check(Case { expect: |ended| counts(ended, 1, 1), ..case }).await;
}

#[tokio::test]
async fn a_program_that_forks_and_ignores_sigterm() {
    let started = Instant::now();
    let flags = ["--retries", "0", "--item-timeout", "300ms"];
    // A time that nobody else sleeps for.
    let time = format!("1000.{}", std::process::id());
    let script = format!("trap '' TERM; sleep {time} & sleep {time} & wait; wait; wait");
    check(Case { flags: &flags, script: &script, expect: |ended| counts(ended, 1, 1), ..Case::default() })
        .await;
    assert!(started.elapsed() < Duration::from_secs(40));
    let left = std::process::Command::new("pgrep").args(["-f", &time]).output().expect("pgrep is there");
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "processes are left");
}

#[tokio::test]
async fn a_hundred_megabytes_of_output() {
    let case = Case { script: "head -c 100000000 /dev/zero", ..Case::default() };
    let expect: fn(&Ended) = |ended| {
        assert_eq!(ended.stdout.len(), 100_000_000);
        counts(ended, 2, 0);
    };
    check(Case { expect, ..case }).await;
}

#[tokio::test]
async fn ten_megabytes_of_input_read_and_unread() {
    let big = vec![b'x'; 10 * 1024 * 1024];
    let case = Case { items: &[&big, b"y"], script: "wc -c", ..Case::default() };
    check(Case {
        expect: |ended| assert_eq!(ended.stdout().split_whitespace().collect::<Vec<_>>(), ["10485760", "1"]),
        ..case
    })
    .await;
    check(Case {
        items: &[&big, b"y"],
        script: "exit 0",
        expect: |ended| counts(ended, 2, 0),
        ..Case::default()
    })
    .await;
}

#[tokio::test]
async fn failures_are_repeated_and_then_given_up() {
    let script = "echo \"attempt $WORKQUEUE_ATTEMPT\"; [ \"$WORKQUEUE_ATTEMPT\" = 3 ]";
    let case = Case { flags: &["--retries", "2"], script, ..Case::default() };
    let expect: fn(&Ended) = |ended| {
        assert_eq!(ended.stdout(), "attempt 1\nattempt 2\nattempt 3\n");
        counts(ended, 2, 0);
    };
    check(Case { expect, ..case }).await;
    let case = Case { flags: &["--retries", "1"], script, ..Case::default() };
    check(Case { expect: |ended| counts(ended, 1, 1), ..case }).await;
}

#[tokio::test]
async fn the_status_for_no_retry() {
    let case = Case { flags: &["--retries", "5"], script: "echo once; exit 65", ..Case::default() };
    let expect: fn(&Ended) = |ended| {
        assert_eq!(ended.stdout(), "once\n");
        counts(ended, 1, 1);
    };
    check(Case { expect, ..case }).await;
}

#[tokio::test]
async fn local_waits_for_a_slow_input() {
    let script = "(echo 1; sleep 4; echo 2) | exec \"$0\" local -f - -- cat";
    let command = ["-c", script, env!("CARGO_BIN_EXE_kubectl-workqueue")];
    let run = tokio::process::Command::new("sh").args(command).output().await.expect("there is a shell");
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && stderr.contains("2 items done"), "{stderr}");
}

#[tokio::test]
async fn local_says_how_it_went() {
    let log = std::env::temp_dir().join(format!("workqueue-joblog-{}", std::process::id()));
    let flags = ["--retries", "0", "--joblog", log.to_str().expect("a plain path")];
    let ended = local(&[b"1", b"0"], false, &flags, &["sh", "-c", "exit \"$1\"", "sh", "{}"]).await;
    assert_eq!(ended.code(), Some(6), "{}", ended.stderr);
    let text = std::fs::read_to_string(&log).expect("it was written");
    std::fs::remove_file(&log).expect("it is ours");
    let columns: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(columns[0].join(" "), "Seq Host Starttime JobRuntime Send Receive Exitval Signal Command");
    assert_eq!((columns[1][0], columns[1][6], columns[1][8]), ("1", "1", "sh -c 'exit \"$1\"' sh 1"));
    assert_eq!((columns[2][0], columns[2][6]), ("2", "0"));
    let ended = local(&[b"1"], false, &[], &["true"]).await;
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let ended = local(&[b"1"], false, &[], &["/nowhere/x"]).await;
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
}
