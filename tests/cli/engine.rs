//! The engine, its daemon, registries and the tools of local clusters, when they fail.

use insta::assert_snapshot;
use workqueue_test_support::Outcome;

use super::{engine, with_script};

const BUILD: [&str; 4] = ["build", "worker.py", "--image", "registry.example/team/worker:1"];
const PUSH: [&str; 5] = ["build", "worker.py", "--image", "registry.example/team/worker:1", "--push"];

/// Runs the plugin where docker does as these arms of a `case` say.
fn with_engine(arms: &str, args: &[&str]) -> Outcome {
    let sandbox = with_script();
    engine(&sandbox, arms);
    sandbox.run(args)
}

#[test]
fn docker_absent() {
    assert_snapshot!(with_script().run(&BUILD), @r#"
    exit code 1
    --- stderr
    error: cannot start "docker": No such file or directory (os error 2)
    hint: install Docker, or name another engine with --docker podman
    "#);
}

#[test]
fn daemon_down() {
    let words =
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
    let arms = format!("build | version) echo 'ERROR: {words}' >&2; exit 1 ;;");
    assert_snapshot!(with_engine(&arms, &BUILD), @"
    exit code 1
    --- stderr
    ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?
    error: docker cannot reach its daemon: ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?
    hint: start the daemon; `docker version` shows whether it answers
    ");
}

#[test]
fn a_build_that_fails_has_said_why() {
    let arms = "build) echo 'Step 3/9 : RUN false'; echo 'exit code: 1' >&2; exit 17 ;;";
    assert_snapshot!(with_engine(arms, &BUILD), @"
    exit code 1
    --- stderr
    Step 3/9 : RUN false
    exit code: 1
    error: `docker build` failed (exit code 17)
    ");
}

#[test]
fn a_quiet_build_that_fails_shows_its_last_lines() {
    let arms = "build) n=0; while [ $n -lt 30 ]; do n=$((n+1)); echo line $n; done; echo why >&2; exit 1 ;;";
    let outcome = with_engine(arms, &[BUILD.as_slice(), &["--quiet"]].concat());
    assert_snapshot!(outcome, @"
    exit code 1
    --- stderr
    error: `docker build` failed (exit code 1)
      line 17
      line 18
      line 19
      line 20
      line 21
      line 22
      line 23
      line 24
      line 25
      line 26
      line 27
      line 28
      line 29
      line 30
      why
    ");
}

#[test]
fn push_denied() {
    let arms = "push) echo 'denied: requested access to the resource is denied' >&2; exit 1 ;;";
    assert_snapshot!(with_engine(arms, &PUSH), @"
    exit code 1
    --- stderr
    denied: requested access to the resource is denied
    error: registry.example refused the push of registry.example/team/worker:1: denied: requested access to the resource is denied
    hint: log in with `docker login registry.example`, with an account that may push there
    ");
}

#[test]
fn push_unauthorised() {
    let arms = "push) echo 'unauthorized: authentication required' >&2; exit 1 ;;";
    assert_snapshot!(with_engine(arms, &["build", "worker.py", "--image", "worker", "--push"]), @"
    exit code 1
    --- stderr
    unauthorized: authentication required
    error: docker.io refused the push of worker: unauthorized: authentication required
    hint: name a repository of your own: --image USER/worker, and log in with `docker login`
    ");
}

#[test]
fn push_failed() {
    let words = "Get \"https://registry.example/v2/\": dial tcp: lookup registry.example: no such host";
    assert_snapshot!(with_engine(&format!("push) echo '{words}' >&2; exit 1 ;;"), &PUSH), @r#"
    exit code 1
    --- stderr
    Get "https://registry.example/v2/": dial tcp: lookup registry.example: no such host
    error: the push of registry.example/team/worker:1 failed: Get "https://registry.example/v2/": dial tcp: lookup registry.example: no such host
    hint: check that registry.example is a registry and can be reached. The image is built: you can push it later
    "#);
}

#[test]
fn the_tool_of_a_local_cluster_absent() {
    let sandbox = with_script();
    sandbox.kubeconfig("kind-dev", "kind-dev");
    engine(&sandbox, "");
    assert_snapshot!(sandbox.run(&BUILD), @r#"
    exit code 1
    --- stderr
    error: cannot start "kind": No such file or directory (os error 2)
    hint: put it on PATH, or push the image to a registry that the cluster pulls from with --push
    "#);
}

#[test]
fn the_tool_of_a_local_cluster_fails() {
    let sandbox = with_script();
    sandbox.kubeconfig("k3d-dev", "k3d-dev");
    engine(&sandbox, "");
    sandbox.program("k3d", "echo 'FATA[0000] no nodes found' >&2; exit 1");
    assert_snapshot!(sandbox.run(&BUILD), @"
    exit code 1
    --- stderr
    FATA[0000] no nodes found
    error: `k3d image import` failed (exit code 1)
    ");
}
