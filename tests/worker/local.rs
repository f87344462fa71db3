//! The worker's loop over a queue in memory: `kubectl workqueue local`.

use std::process::Command;

use workqueue_test_support::{Outcome, Sandbox, plugin, run, run_with_input};

/// Runs it to its end. Items must have no newline, or no NUL with `null`.
pub fn local(items: &[impl AsRef<[u8]>], null: bool, flags: &[&str], program: &[&str]) -> Outcome {
    let mut command = Command::new(plugin());
    command.args(["local", "-j1", "--backoff", "10ms", "-f", "-"]);
    if null {
        command.arg("-0");
    }
    command.args(flags).arg("--").args(program);
    let end: &[u8] = if null { b"\0" } else { b"\n" };
    let input: Vec<u8> = items.iter().flat_map(|item| [item.as_ref(), end].concat()).collect();
    let ended = run_with_input(&mut command, &input);
    assert!(ended.fed, "not all items were read:\n{}", ended.stderr);
    ended
}

#[test]
fn local_waits_for_a_slow_input() {
    let script = "(echo 1; sleep 4; echo 2) | exec \"$0\" local -f - -- cat";
    run(Command::new("sh").args(["-c", script]).arg(plugin())).ok().says("2 items done");
}

#[test]
fn local_says_how_it_went() {
    let files = Sandbox::new();
    let log = files.path("log").display().to_string();
    let flags = ["--retries", "0", "--joblog", &log];
    local(&["1", "0"], false, &flags, &["sh", "-c", "exit \"$1\"", "sh", "{}"]).exits(6);
    let text = files.read("log");
    let columns: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(columns[0].join(" "), "Seq Host Starttime JobRuntime Send Receive Exitval Signal Command");
    assert_eq!((columns[1][0], columns[1][6], columns[1][8]), ("1", "1", "sh -c 'exit \"$1\"' sh 1"));
    assert_eq!((columns[2][0], columns[2][6]), ("2", "0"));
    local(&["1"], false, &[], &["true"]).ok();
    local(&["1"], false, &[], &["/nowhere/x"]).exits(1);
}
