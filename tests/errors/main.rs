//! Every error of building an image as the user sees it: text, hint and exit code of the real
//! program, with fake engines on PATH.

#[path = "../sandbox/mod.rs"]
mod sandbox;

mod context;
mod engine;
mod usage;

use sandbox::{Outcome, Sandbox};

/// The tutorial's script.
const SCRIPT: &str = "#!/usr/bin/env python\nimport sys\nprint(\"Processing \" + sys.stdin.readlines()[0])\n";

/// An engine with which all goes well, for the commands that are not what a test is about.
const FINE: &str = "inspect) echo linux/amd64 ;; *) : ;;";

/// A fake engine: the arms of a `case` over its first argument, the others succeed.
fn engine(sandbox: &Sandbox, arms: &str) {
    sandbox.program("docker", &format!("case $1 in\n{arms}\n{FINE}\nesac"));
}

/// Checks all that a failed program printed.
#[track_caller]
fn assert_fails(outcome: &Outcome, code: i32, stderr: &str) {
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(code), stderr), "stdout: {}", outcome.stdout);
    assert_eq!(outcome.stdout, "");
}
