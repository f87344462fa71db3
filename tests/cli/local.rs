//! `local`: a line that is tried here works with `map` in a cluster.

use insta::assert_snapshot;
use workqueue_test_support::{Outcome, Sandbox, numbers, run_with_input};

const SQUARE: &str = "#!/bin/sh -u\nread -r n\necho $((n * n))$*\n";

fn local(sandbox: &Sandbox, flags: &[&str], input: &str) -> Outcome {
    run_with_input(&mut sandbox.command(&[&["local"], flags].concat()), input.as_bytes())
}

#[test]
fn a_script_is_started_by_its_first_line_for_what_comes_on_standard_input() {
    let sandbox = Sandbox::new();
    sandbox.file("square.sh", SQUARE);
    let squares: String = (1..=10).map(|n| format!("{}\n", n * n)).collect();
    assert_eq!(local(&sandbox, &["-k", "--script", "square.sh"], &numbers(10)).ok().stdout, squares);
    assert_eq!(
        local(&sandbox, &["-k", "--script", "./square.sh", "-f", "-"], &numbers(10)).ok().stdout,
        squares
    );
    // A directory, as in the pods; what is after `--` are its arguments.
    sandbox.file("work/main.sh", SQUARE);
    assert_eq!(local(&sandbox, &["--script", "work", "--", "!"], "3\n").ok().stdout, "9!\n");
    assert_eq!(local(&sandbox, &["--script", "square.sh", "4"], "").ok().stdout, "16\n");
    assert_eq!(local(&sandbox, &["--", "/bin/cat"], "a\n").ok().stdout, "a");
}

#[test]
fn a_script_that_cannot_be_started_is_said() {
    let sandbox = Sandbox::new();
    sandbox.file("plain.py", "print(1)\n");
    assert_snapshot!(local(&sandbox, &["--script", "plain.py"], "1\n"), @"
    exit code 2
    --- stderr
    error: plain.py does not start with #!
    hint: begin the script with a line that names its interpreter, such as #!/usr/bin/env python3
    ");
    sandbox.file("lost.py", "#!/usr/bin/python9\n");
    assert_snapshot!(local(&sandbox, &["--script", "lost.py"], "1\n"), @"
    exit code 1
    --- stderr
    0 items done, 0 failed
    error: cannot start /usr/bin/python9: No such file or directory (os error 2)
    hint: name a program on PATH, or the path of an executable file (./work.sh)
    ");
    assert_snapshot!(local(&sandbox, &[], "1\n"), @"
    exit code 2
    --- stderr
    error: there is no program to start
    hint: name it after --, or a script with --script
    ");
}
