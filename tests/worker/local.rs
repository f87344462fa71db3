//! The worker's loop over a queue in memory: `kubectl workqueue local`.

use std::process::Command;

use workqueue_test_support::{Outcome, Sandbox, plugin, run, run_with_input};

/// Runs it to its end. Items must have no newline, or no NUL with `null`.
pub fn local(items: &[impl AsRef<[u8]>], null: bool, flags: &[&str], program: &[&str]) -> Outcome {
    let mut command = Command::new(plugin());
    // As a worker does.
    command.args(["local", "-j1", "--line-buffer", "--backoff", "10ms", "-f", "-"]);
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

/// `local` over three items at a time, with flags, a log, and a program.
fn with_log(files: &Sandbox, flags: &[&str], script: &str) -> Outcome {
    let mut command = Command::new(plugin());
    command.args(["local", "-j1", "--retries=0", "--joblog"]).arg(files.path("log")).args(flags);
    command.args(["a", "b", "c", "--", "sh", "-c", script, "sh", "{}"]);
    run(&mut command)
}

#[test]
fn a_log_is_continued_as_gnu_parallel_does() {
    let files = Sandbox::new();
    let ended = with_log(&files, &["--halt", "soon,fail=1"], "echo $1; [ $1 != b ]").exits(6);
    assert_eq!(ended.stdout, "a\nb\n");
    with_log(&files, &[], "echo $1").exits(1).says("exists").says("--resume-failed");
    assert_eq!(with_log(&files, &["--resume"], "echo $1").ok().stdout, "c\n");
    assert_eq!(with_log(&files, &["--resume"], "echo $1").ok().stdout, "");
    assert_eq!(with_log(&files, &["--resume-failed"], "echo $1").ok().stdout, "b\n");
    assert_eq!(with_log(&files, &["--resume-failed"], "echo $1").ok().stdout, "");
    let numbers: Vec<String> =
        files.read("log").lines().map(|line| line.split('\t').next().unwrap_or("").to_owned()).collect();
    assert_eq!(numbers, ["Seq", "1", "2", "3", "2"]);
}

#[test]
fn output_is_whole_and_that_of_the_last_attempt() {
    let script = "echo $WORKQUEUE_ATTEMPT; [ $WORKQUEUE_ATTEMPT = 2 ]";
    let local = |flag: &str| {
        let mut command = Command::new(plugin());
        run(command.args(["local", "--backoff=1ms", flag, "a", "--", "sh", "-c", script])).ok().stdout
    };
    assert_eq!(local("--group"), "2\n");
    assert_eq!(local("--line-buffer"), "1\t1\n1\t2\n");
}

#[test]
fn outputs_come_in_the_order_of_the_items_and_in_the_formats_of_map() {
    let local = |flags: &[&str], script: &str| {
        let mut command = Command::new(plugin());
        command.args(["local", "-j3", "--retries=0"]).args(flags);
        run(command.args(["0.4", "0", "0.2", "--", "sh", "-c", script, "sh", "{}"]))
    };
    assert_eq!(local(&["-k"], "sleep $1; echo $1").ok().stdout, "0.4\n0\n0.2\n");
    let large = local(&["-k"], "sleep $1; yes $1 | head -c 3000000").ok();
    let expected: Vec<u8> = ["0.4", "0", "0.2"]
        .iter()
        .flat_map(|item| format!("{item}\n").into_bytes().into_iter().cycle().take(3_000_000))
        .collect();
    assert!(large.bytes == expected);
    // One that failed holds up nobody.
    let failed = local(&["-k", "--tag"], "sleep $1; echo out; echo err >&2; [ $1 != 0.4 ]").exits(6);
    assert_eq!(failed.stdout, "0\tout\n0.2\tout\n");
    assert_eq!(failed.stderr.lines().filter(|line| *line == "err").count(), 3, "{}", failed.stderr);
    let json = local(&["-k", "--format", "jsonl"], "sleep $1; printf '\\377'; [ $1 != 0 ]").exits(6);
    let lines: Vec<serde_json::Value> =
        json.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["outputBase64"], "/w==");
    assert_eq!(
        (&lines[1]["status"], &lines[1]["item"], &lines[1]["output"]),
        (&"failed".into(), &"0".into(), &"".into())
    );
}

#[test]
fn fewer_programs_run_where_files_are_short() {
    let script =
        "ulimit -n 64; seq 100 | \"$0\" local -j 50 --retries 0 -f - -- sh -c 'sleep 0.05; cat; echo'";
    let ended =
        run(Command::new("sh").args(["-c", script]).arg(plugin())).ok().says("100 items done, 0 failed");
    assert!(ended.stderr.contains("the limit of 64 open files (ulimit -n) allows"), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 100);
}

#[test]
fn a_program_that_opens_the_terminal_is_not_stopped() {
    let program = "sh -c 'read key < /dev/tty || echo none'";
    let line = format!("{} local a -- {program} 2>&1", plugin().display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    run(&mut script).ok().prints("none");
}

#[test]
fn an_item_does_not_become_part_of_a_script() {
    let refused = run(Command::new(plugin()).args(["local", "a", "--", "sh", "-c", "echo {}"])).exits(2);
    assert_eq!(
        refused.stderr,
        "error: the script after sh -c holds {}: an item would become part of the script, whatever is in it\n\
         hint: let the script take the item as \"$1\": `sh -c '…' sh {}`; for braces of its own, write '{''}'\n"
    );
    let done = run(Command::new(plugin()).args(["local", "-j1", "a b", "--", "echo", "{}", "{}.png"])).ok();
    assert_eq!(done.stdout, "a b a b.png\n");
}
