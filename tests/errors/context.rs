//! Contexts that cannot be built. No engine is started for them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

use super::sandbox::Sandbox;
use super::{SCRIPT, assert_fails, engine};

#[track_caller]
fn assert_refused(sandbox: &Sandbox, context: &str, stderr: &str) {
    engine(sandbox, "");
    assert_fails(&sandbox.run(&["build", context, "--image", "worker:1"]), 1, stderr);
    assert_eq!(sandbox.calls(), "");
}

#[test]
fn a_directory_without_a_dockerfile_and_without_a_script() {
    let sandbox = Sandbox::new();
    sandbox.file("empty/README", "nothing to run\n");
    let expected = "\
error: empty has no Dockerfile
hint: write one, or name a script: its Dockerfile is generated (see --print-dockerfile)
";
    assert_refused(&sandbox, "empty", expected);
}

#[test]
fn a_directory_with_a_script() {
    let sandbox = Sandbox::new();
    sandbox.file("work/worker.py", SCRIPT);
    let expected = "\
error: work has no Dockerfile
hint: write one, or build only the script: `kubectl workqueue build work/worker.py`
";
    assert_refused(&sandbox, "work", expected);
}

#[test]
fn a_script_without_a_first_line() {
    let sandbox = Sandbox::new();
    sandbox.file("worker.py", "print(1)\n");
    let expected = "\
error: worker.py is not an executable, and its first line names no interpreter
hint: begin it with a line such as #!/usr/bin/env python3
";
    assert_refused(&sandbox, "worker.py", expected);
}

#[test]
fn a_script_from_windows() {
    let sandbox = Sandbox::new();
    sandbox.file("worker.sh", "#!/bin/sh\r\ncat\r\n");
    let expected = "\
error: the first line of worker.sh ends in a carriage return, as on Windows
hint: fix it with: sed -i 's/\\r$//' worker.sh
";
    assert_refused(&sandbox, "worker.sh", expected);
}

#[test]
fn an_interpreter_without_a_known_image() {
    let sandbox = Sandbox::new();
    sandbox.file("worker.tcl", "#!/usr/bin/env tclsh\n");
    let expected = "\
error: there is no default base image for \"tclsh\", the interpreter of worker.tcl
hint: name an image that has it with --base-image
";
    assert_refused(&sandbox, "worker.tcl", expected);
}

#[test]
fn a_context_that_is_not_there() {
    let expected = "error: cannot read ./nothing: No such file or directory (os error 2)\n";
    assert_refused(&Sandbox::new(), "./nothing", expected);
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
        let mut as_nobody = std::process::Command::new(&program);
        as_nobody.args(command.get_args()).current_dir(sandbox.path("")).env_clear().uid(65534).gid(65534);
        command = as_nobody;
    }
    let outcome = sandbox.finish(&mut command);
    locked(0o755);
    assert_fails(&outcome, 1, "error: cannot read locked: Permission denied (os error 13)\n");
}

#[test]
fn no_worker_to_make_an_image_of() {
    let sandbox = Sandbox::new();
    sandbox.file("worker", "#!/bin/sh\n");
    engine(&sandbox, "");
    let build = ["build", "--worker-only", "--image", "worker:1"];
    let hint = "hint: the installer includes one; in a checkout, `scripts/build-worker` builds it and --worker names it\n";
    let expected =
        format!("error: there is no static workqueue-worker next to the program or on PATH\n{hint}");
    assert_fails(&sandbox.run(&build), 1, &expected);
    let expected = format!("error: worker is not a static executable\n{hint}");
    assert_fails(&sandbox.run(&[build.as_slice(), &["--worker", "worker"]].concat()), 1, &expected);
    assert_eq!(sandbox.calls(), "");
}
