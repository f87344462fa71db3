//! Contexts that cannot be built. No engine is started for them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use insta::assert_snapshot;
use workqueue_test_support::{Outcome, Sandbox};

use super::{SCRIPT, engine};

/// Builds a context in which this file is all there is.
fn build(context: &str, file: &str, content: &str) -> Outcome {
    let sandbox = Sandbox::new();
    sandbox.file(file, content);
    engine(&sandbox, "");
    let outcome = sandbox.run(&["build", context, "--image", "worker:1"]);
    assert_eq!(sandbox.calls(), "", "an engine was started");
    outcome
}

#[test]
fn a_directory_without_a_dockerfile_and_without_a_script() {
    assert_snapshot!(build("empty", "empty/README", "nothing to run\n"), @"
    exit code 2
    --- stderr
    error: empty has no Dockerfile
    hint: write one, or name a script: its Dockerfile is generated (see --print-dockerfile)
    ");
}

#[test]
fn a_directory_with_a_script() {
    assert_snapshot!(build("work", "work/worker.py", SCRIPT), @"
    exit code 2
    --- stderr
    error: work has no Dockerfile
    hint: write one, or build only the script: `kubectl workqueue build work/worker.py`
    ");
}

#[test]
fn a_script_without_a_first_line() {
    assert_snapshot!(build("worker.py", "worker.py", "print(1)\n"), @"
    exit code 2
    --- stderr
    error: worker.py is not an executable, and its first line names no interpreter
    hint: begin it with a line such as #!/usr/bin/env python3
    ");
}

#[test]
fn a_script_from_windows() {
    assert_snapshot!(build("worker.sh", "worker.sh", "#!/bin/sh\r\ncat\r\n"), @r"
    exit code 2
    --- stderr
    error: the first line of worker.sh ends in a carriage return, as on Windows
    hint: fix it with: sed -i 's/\r$//' worker.sh
    ");
}

#[test]
fn an_interpreter_without_a_known_image() {
    assert_snapshot!(build("worker.tcl", "worker.tcl", "#!/usr/bin/env tclsh\n"), @r#"
    exit code 2
    --- stderr
    error: there is no default base image for "tclsh", the interpreter of worker.tcl
    hint: name an image that has it with --base-image
    "#);
}

#[test]
fn a_context_that_is_not_there() {
    assert_snapshot!(build("./nothing", "something", ""), @"
    exit code 2
    --- stderr
    error: cannot read ./nothing: No such file or directory (os error 2)
    ");
}

#[test]
fn a_directory_that_cannot_be_read() {
    let sandbox = Sandbox::new();
    let directory = sandbox.path("locked");
    fs::create_dir(&directory).expect("writable");
    let locked = |mode| fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).expect("ours");
    locked(0o000);
    let mut command = sandbox.command(&["build", "locked", "--image", "worker:1"]);
    if fs::read_dir(&directory).is_ok() {
        // Root reads everything: somebody else tries, with a program that they may start.
        let program = sandbox.path("kubectl-workqueue");
        fs::copy(command.get_program(), &program).expect("writable");
        let mut as_nobody = Command::new(&program);
        as_nobody.args(command.get_args()).current_dir(sandbox.path("")).env_clear().uid(65534).gid(65534);
        command = as_nobody;
    }
    let outcome = sandbox.finish(&mut command);
    locked(0o755);
    assert_snapshot!(outcome, @"
    exit code 2
    --- stderr
    error: cannot read locked: Permission denied (os error 13)
    ");
}

#[test]
fn no_worker_to_make_an_image_of() {
    let sandbox = Sandbox::new();
    sandbox.file("worker", "#!/bin/sh\n");
    engine(&sandbox, "");
    let build = ["build", "--worker-only", "--image", "worker:1"];
    assert_snapshot!(sandbox.run(&build), @"
    exit code 1
    --- stderr
    error: there is no static workqueue-worker next to the program or on PATH
    hint: the installer includes one; in a checkout, `scripts/build-worker` builds it and --worker names it
    ");
    assert_snapshot!(sandbox.run(&[build.as_slice(), &["--worker", "worker"]].concat()), @"
    exit code 2
    --- stderr
    error: worker is not a static executable
    hint: the installer includes one; in a checkout, `scripts/build-worker` builds it and --worker names it
    ");
    assert_eq!(sandbox.calls(), "");
}
