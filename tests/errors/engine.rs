//! The engine, its daemon, registries and the tools of local clusters.

use super::sandbox::Sandbox;
use super::{SCRIPT, assert_fails, engine};

fn with_script() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("worker.py", SCRIPT);
    sandbox
}

const BUILD: [&str; 4] = ["build", "worker.py", "--image", "registry.example/team/worker:1"];
const PUSH: [&str; 5] = ["build", "worker.py", "--image", "registry.example/team/worker:1", "--push"];

#[test]
fn docker_absent() {
    let outcome = with_script().run(&BUILD);
    let expected = "\
error: cannot start \"docker\": No such file or directory (os error 2)
hint: install Docker, or name another engine with --docker podman
";
    assert_fails(&outcome, 1, expected);
}

#[test]
fn daemon_down() {
    let sandbox = with_script();
    let words =
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
    engine(&sandbox, &format!("build | version) echo 'ERROR: {words}' >&2; exit 1 ;;"));
    let expected = format!(
        "\
ERROR: {words}
error: docker cannot reach its daemon: ERROR: {words}
hint: start the daemon; `docker version` shows whether it answers
"
    );
    assert_fails(&sandbox.run(&BUILD), 1, &expected);
}

#[test]
fn a_build_that_fails_has_said_why() {
    let sandbox = with_script();
    engine(&sandbox, "build) echo 'Step 3/9 : RUN false'; echo 'exit code: 1' >&2; exit 17 ;;");
    let expected = "\
Step 3/9 : RUN false
exit code: 1
error: `docker build` failed (exit code 17)
";
    assert_fails(&sandbox.run(&BUILD), 1, expected);
}

#[test]
fn a_quiet_build_that_fails_shows_its_last_lines() {
    let sandbox = with_script();
    engine(
        &sandbox,
        "build) n=0; while [ $n -lt 30 ]; do n=$((n+1)); echo line $n; done; echo why >&2; exit 1 ;;",
    );
    let outcome = sandbox.run(&[BUILD.as_slice(), &["--quiet"]].concat());
    assert_eq!(outcome.code, Some(1));
    let (first, last) = (outcome.stderr.lines().nth(1), outcome.stderr.lines().last());
    assert_eq!(outcome.stderr.lines().next(), Some("error: `docker build` failed (exit code 1)"));
    assert_eq!((first, last), (Some("  line 17"), Some("  why")));
}

#[test]
fn push_denied() {
    let sandbox = with_script();
    engine(&sandbox, "push) echo 'denied: requested access to the resource is denied' >&2; exit 1 ;;");
    let expected = "\
denied: requested access to the resource is denied
error: registry.example refused the push of registry.example/team/worker:1: denied: requested access to the resource is denied
hint: log in with `docker login registry.example`, with an account that may push there
";
    assert_fails(&sandbox.run(&PUSH), 1, expected);
}

#[test]
fn push_unauthorised() {
    let sandbox = with_script();
    engine(&sandbox, "push) echo 'unauthorized: authentication required' >&2; exit 1 ;;");
    let expected = "\
unauthorized: authentication required
error: docker.io refused the push of worker: unauthorized: authentication required
hint: name a repository of your own: --image USER/worker, and log in with `docker login`
";
    assert_fails(&sandbox.run(&["build", "worker.py", "--image", "worker", "--push"]), 1, expected);
}

#[test]
fn push_failed() {
    let sandbox = with_script();
    let words = "Get \"https://registry.example/v2/\": dial tcp: lookup registry.example: no such host";
    engine(&sandbox, &format!("push) echo '{words}' >&2; exit 1 ;;"));
    let expected = format!(
        "\
{words}
error: the push of registry.example/team/worker:1 failed: {words}
hint: check that registry.example is a registry and can be reached. The image is built: you can push it later
"
    );
    assert_fails(&sandbox.run(&PUSH), 1, &expected);
}

#[test]
fn the_tool_of_a_local_cluster_absent() {
    let sandbox = with_script();
    sandbox.kubeconfig("kind-dev", "kind-dev");
    engine(&sandbox, "");
    let expected = "\
error: cannot start \"kind\": No such file or directory (os error 2)
hint: put it on PATH, or push the image to a registry that the cluster pulls from with --push
";
    assert_fails(&sandbox.run(&BUILD), 1, expected);
}

#[test]
fn the_tool_of_a_local_cluster_fails() {
    let sandbox = with_script();
    sandbox.kubeconfig("k3d-dev", "k3d-dev");
    engine(&sandbox, "");
    sandbox.program("k3d", "echo 'FATA[0000] no nodes found' >&2; exit 1");
    let expected = "\
FATA[0000] no nodes found
error: `k3d image import` failed (exit code 1)
";
    assert_fails(&sandbox.run(&BUILD), 1, expected);
}
