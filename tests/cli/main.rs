//! The programs as a user on a machine without a cluster sees them: what they print, where, and how
//! they exit. Engines, tools and clusters are fake programs and addresses where nobody answers.
//!
//! Whole outputs are snapshots in the source. After a change of texts, `cargo insta test --review`
//! (or `--accept`, and then `git diff`) brings them up to date.

mod build;
mod context;
mod credentials;
mod engine;
mod files;
mod input;
mod install;
mod local;
mod manifests;
mod several;
mod terminal;
mod usage;
mod values;

use workqueue_test_support::Sandbox;

/// The tutorial's script.
const SCRIPT: &str = "#!/usr/bin/env python\nimport sys\nprint(\"Processing \" + sys.stdin.readlines()[0])\n";

/// A sandbox with the tutorial's script as `worker.py`.
fn with_script() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("worker.py", SCRIPT);
    sandbox
}

/// Puts a fake docker on PATH: the arms of a `case` over its first argument; all else succeeds.
fn engine(sandbox: &Sandbox, arms: &str) {
    sandbox.program("docker", &format!("case $1 in\n{arms}\ninspect) echo linux/amd64 ;; *) : ;;\nesac"));
}
