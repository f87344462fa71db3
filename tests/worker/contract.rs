//! The same cases over both queues.

use std::process::Command;
use std::time::{Duration, Instant};

use workqueue_test_support::{Bench, Outcome};

use super::local::local;

/// No case keeps a worker for longer.
const LONGEST: Duration = Duration::from_secs(40);

/// A case: items, flags, the script of a shell, and what is expected of it.
struct Case {
    items: Vec<Vec<u8>>,
    /// Items end in NUL rather than in a newline.
    null: bool,
    flags: &'static [&'static str],
    script: String,
    expect: Box<dyn Fn(&Outcome)>,
}

impl Case {
    /// A script with one item, that is not tried again.
    fn new(script: &str, expect: impl Fn(&Outcome) + 'static) -> Self {
        Self {
            items: vec![b"x".to_vec()],
            null: false,
            flags: &["--retries", "0"],
            script: script.to_owned(),
            expect: Box::new(expect),
        }
    }

    fn items(mut self, items: &[&[u8]]) -> Self {
        self.items = items.iter().map(|item| item.to_vec()).collect();
        self
    }

    fn flags(mut self, flags: &'static [&'static str]) -> Self {
        self.flags = flags;
        self
    }

    /// The items, and the script for each. A second item shows that the worker goes on.
    fn completed(&self) -> (Vec<Vec<u8>>, String) {
        let mut items = self.items.clone();
        if items.len() == 1 {
            items.push(b"next".to_vec());
        }
        let script = format!(
            "item() {{ {}\n}}; [ \"$WORKQUEUE_ITEM_ID\" = 2 ] && [ {} = 1 ] || item",
            self.script,
            self.items.len()
        );
        (items, script)
    }

    fn check_locally(self) {
        let (items, script) = self.completed();
        let started = Instant::now();
        let ended = local(&items, self.null, self.flags, &["sh", "-c", &script]);
        assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
        assert_ne!(ended.code, None, "{}", ended.stderr);
        (self.expect)(&ended);
    }

    async fn check_with_broker(self) {
        let (items, script) = self.completed();
        let bench = Bench::with_items(&items).await;
        let started = Instant::now();
        let ended = bench.work(self.flags, &["sh", "-c", &script]).await.ok();
        assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
        (self.expect)(&ended);
        assert_eq!(bench.ready("").await, 0);
        assert_eq!(bench.ready(".failed").await, counts(&ended).1);
        bench.clear().await;
    }
}

/// Items that were done and that failed, from the closing line of either executable.
fn counts(ended: &Outcome) -> (u64, u64) {
    let line =
        ended.stderr.lines().find(|line| line.contains(" item done, ") || line.contains(" items done, "));
    let line = line.unwrap_or_else(|| panic!("it does not count:\n{}", ended.stderr));
    let mut numbers = line.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let mut next = || numbers.next().and_then(|number| number.parse().ok()).expect("a number");
    (next(), next())
}

fn assert_counts(ended: &Outcome, done: u64, failed: u64) {
    assert_eq!(counts(ended), (done, failed), "{}", ended.stderr);
}

/// Makes two tests of each list of cases.
macro_rules! contract {
    ($($name:ident: $cases:expr;)*) => {
        mod in_memory {
            use super::*;
            $(#[test]
            fn $name() {
                $cases.into_iter().for_each(Case::check_locally);
            })*
        }
        mod with_broker {
            use super::*;
            $(#[tokio::test]
            #[ignore = "needs a broker: run `make e2e`"]
            async fn $name() {
                for case in $cases {
                    case.check_with_broker().await;
                }
            })*
        }
    };
}

contract! {
    items_come_as_they_are: [
        Case::new("cat; echo", |ended| assert_eq!(ended.bytes, b"a\0b\xff\nplain\n"))
            .items(&[b"a\0b\xff", b"plain"]),
        Case {
            null: true,
            ..Case::new("cat; echo", |ended| assert_eq!(ended.bytes, b"two\nlines\nplain\n"))
                .items(&[b"two\nlines", b"plain"])
        },
    ];
    a_program_that_never_ends: [
        Case::new("exec sleep 1000", |ended| assert_counts(ended, 1, 1))
            .flags(&["--retries", "1", "--item-timeout", "500ms"]),
    ];
    a_program_that_forks_and_ignores_sigterm: [forks_and_ignores_sigterm()];
    a_hundred_megabytes_of_output: [
        Case::new("head -c 99999999 /dev/zero; echo", |ended| {
            assert_eq!(ended.bytes.len(), 100_000_000);
            assert_counts(ended, 2, 0);
        }),
    ];
    ten_megabytes_of_input_read_and_unread: [
        Case::new("wc -c", |ended| {
            assert_eq!(ended.stdout.split_whitespace().collect::<Vec<_>>(), ["10485760", "1"]);
        })
        .items(&[&[b'x'; 10 << 20], b"y"]),
        Case::new("exit 0", |ended| assert_counts(ended, 2, 0)).items(&[&[b'x'; 10 << 20], b"y"]),
    ];
    failures_are_repeated_until_there_is_no_retry_left: [
        Case::new(THIRD_TIME, |ended| {
            assert_eq!(ended.stdout, "attempt 1\nattempt 2\nattempt 3\n");
            assert_counts(ended, 2, 0);
        })
        .flags(&["--retries", "2"]),
        Case::new(THIRD_TIME, |ended| assert_counts(ended, 1, 1)).flags(&["--retries", "1"]),
    ];
    the_status_for_no_retry: [
        Case::new("echo once; exit 65", |ended| {
            assert_eq!(ended.stdout, "once\n");
            assert_counts(ended, 1, 1);
        })
        .flags(&["--retries", "5"]),
    ];
}

/// A script that succeeds when it is started for the third time.
const THIRD_TIME: &str = "echo \"attempt $WORKQUEUE_ATTEMPT\"; [ \"$WORKQUEUE_ATTEMPT\" = 3 ]";

/// Leaves no process behind.
fn forks_and_ignores_sigterm() -> Case {
    // A time that nobody else sleeps for.
    let time = format!("1000.{}{}", std::process::id(), rand::random::<u32>());
    let script = format!("trap '' TERM; sleep {time} & sleep {time} & wait; wait; wait");
    let expect = move |ended: &Outcome| {
        assert_counts(ended, 1, 1);
        let left = Command::new("pgrep").args(["-f", &time]).output().expect("pgrep is there");
        assert_eq!(String::from_utf8_lossy(&left.stdout), "", "processes are left");
    };
    Case::new(&script, expect).flags(&["--retries", "0", "--item-timeout", "300ms"])
}

const NUL_AND_NEWLINES: &[u8] = b"a\0b\nc\n\0";

#[test]
fn an_item_with_nul_and_newlines_in_memory() {
    let quoted = br#""a\u0000b\nc\n\u0000""#;
    assert_eq!(local(&[quoted], false, &["--json"], &["cat"]).ok().bytes, NUL_AND_NEWLINES);
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn an_item_with_nul_and_newlines_with_broker() {
    let bench = Bench::with_items(&[NUL_AND_NEWLINES]).await;
    // In a log the next output begins on a line of its own.
    assert_eq!(bench.work(&[], &["cat"]).await.ok().bytes, [NUL_AND_NEWLINES, b"\n"].concat());
    bench.clear().await;
}
