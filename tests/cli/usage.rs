//! Command lines that are wrong, and what is written where.

use insta::assert_snapshot;
use workqueue_test_support::Sandbox;

use super::{engine, with_script};

#[test]
fn an_image_reference_that_is_not_one() {
    let references = ["host:port/worker", "team/Worker:1", "https://example.org/worker", "worker:", ""];
    let sandbox = Sandbox::new();
    let outcomes = references.map(|reference| sandbox.run(&["build", "--image", reference]).to_string());
    assert_snapshot!(outcomes.join("\n"), @r#"
    exit code 2
    --- stderr
    error: invalid value 'host:port/worker' for '--image <REF>': "host:port/worker" is not an image reference: the registry is HOST or HOST:PORT

    For more information, try '--help'.

    exit code 2
    --- stderr
    error: invalid value 'team/Worker:1' for '--image <REF>': "team/Worker:1" is not an image reference: a repository's name is in lowercase

    For more information, try '--help'.

    exit code 2
    --- stderr
    error: invalid value 'https://example.org/worker' for '--image <REF>': "https://example.org/worker" is not an image reference: a reference has no scheme: leave out everything up to "://"

    For more information, try '--help'.

    exit code 2
    --- stderr
    error: invalid value 'worker:' for '--image <REF>': "worker:" is not an image reference: a tag has 1 to 128 letters, digits, "_", "." and "-", and starts with none of the last two

    For more information, try '--help'.

    exit code 2
    --- stderr
    error: invalid value '' for '--image <REF>': "" is not an image reference: it lacks the repository's name

    For more information, try '--help'.
    "#);
}

#[test]
fn flags_of_a_build_without_one() {
    assert_snapshot!(Sandbox::new().run(&["run", "--image", "worker:1", "--no-cache", "apple"]), @"
    exit code 2
    --- stderr
    error: there is nothing to build
    hint: name a Dockerfile's directory or a script with --build
    ");
}

#[test]
fn values_and_presets_that_the_chart_does_not_have() {
    let sandbox = Sandbox::new();
    let said = |args: &[&str]| sandbox.run(&[&["render"], args].concat()).to_string();
    assert_snapshot!(said(&["--set", "broker.replcas=3"]), @"
    exit code 2
    --- stderr
    error: workqueue/values.schema.json: values do not meet the schema:
    - at /broker: additionalProperties 'replcas' not allowed; did you mean broker.replicas?
    ");
    assert_snapshot!(said(&["--set", "replicas=3"]), @"
    exit code 2
    --- stderr
    error: workqueue/values.schema.json: values do not meet the schema:
    - at /: additionalProperties 'replicas' not allowed; did you mean broker.replicas?
    ");
    assert_snapshot!(said(&["--set", "broker.replicas=three"]), @"
    exit code 2
    --- stderr
    error: workqueue/values.schema.json: values do not meet the schema:
    - at /broker/replicas: want integer, but got string
    ");
    assert_snapshot!(said(&["--set", "broker.replicas"]), @r#"
    exit code 2
    --- stderr
    error: --set: cannot parse "broker.replicas": key "replicas" has no value
    "#);
    assert_snapshot!(said(&["--preset", "ephemral"]), @r#"
    exit code 2
    --- stderr
    error: the chart has no preset "ephemral"; it has: ephemeral, hardened, production, tutorial; did you mean ephemeral?
    "#);
    let incomplete = sandbox.run(&["render", "--set", "broker.tls.enabled=true"]).exits(2);
    incomplete.says("broker.tls.existingSecret: name the Secret");
}

#[test]
fn failed_items_to_retry_that_nobody_has_named() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["failed", "retry", "-n", "ns", "--queue", "a b"]), @"
    exit code 2
    --- stderr
    error: no items are named
    hint: name them by their ids, which `kubectl workqueue failed list --queue 'a b' -n ns` shows, or all with --all
    ");
}

#[test]
fn hints_name_commands_with_the_flags_that_were_given() {
    let sandbox = Sandbox::new();
    let flags = ["-n", "ns", "--release", "r1", "--context", "nonesuch", "--kubeconfig", "my config"];
    sandbox.file("my config", "{apiVersion: v1, kind: Config, contexts: []}");
    let outcome = sandbox.run(&[&["status"], &flags[..]].concat()).exits(1);
    assert_snapshot!(outcome, @r#"
    exit code 1
    --- stderr
    error: no cluster to talk to: there is no context "nonesuch", and no other one
    hint: `kubectl config get-contexts --kubeconfig 'my config'` lists the contexts; choose one with --context, or a file with --kubeconfig
    "#);
}

#[test]
fn flags_for_the_cluster_are_taken_before_the_command_too() {
    let sandbox = Sandbox::new();
    sandbox.kubeconfig("c", "c");
    assert_snapshot!(sandbox.run(&["-n", "ns", "--context", "nonesuch", "-v", "failed", "list", "--queue", "q"]), @r#"
    exit code 1
    --- stderr
    error: no cluster to talk to: there is no context "nonesuch"; there are: c
    hint: `kubectl config get-contexts` lists the contexts; choose one with --context, or a file with --kubeconfig
    "#);
    // What follows `--` is the program's, and commands without a cluster do not mind.
    let program = ["-n", "ns", "local", "apple", "--", "/bin/echo", "-n", "--context", "{}"];
    assert_eq!(sandbox.run(&program).ok().stdout, "--context apple");
    let rendered = sandbox.run(&["--namespace=ns", "--release", "r1", "render"]).ok().stdout;
    assert!(rendered.contains("namespace: \"ns\"") && rendered.contains("r1-workqueue-credentials"));
}

#[test]
fn a_digest_of_what_is_yet_to_be_built() {
    let image = format!("worker@sha256:{}", "a".repeat(64));
    assert_snapshot!(with_script().run(&["run", "--build", "worker.py", "--image", &image, "apple"]), @"
    exit code 2
    --- stderr
    error: an image that is not built yet has no digest
    hint: name it with a tag
    ");
}

#[test]
fn a_chart_into_a_directory_that_is_not_empty() {
    let sandbox = Sandbox::new();
    sandbox.run(&["chart", "mine"]).ok();
    let written = |name: &str| sandbox.path("mine").join(name).is_file();
    assert!(written("Chart.yaml") && written("presets/tutorial.yaml"));
    assert_snapshot!(sandbox.run(&["chart", "mine"]), @"
    exit code 1
    --- stderr
    error: directory mine is not empty
    hint: --force overwrites files of the same names and keeps all others
    ");
    sandbox.run(&["chart", "mine", "--force"]).ok();
    sandbox.file("plain", "");
    assert_snapshot!(sandbox.run(&["chart", "plain"]), @"
    exit code 1
    --- stderr
    error: cannot write plain: Not a directory (os error 20)
    ");
}

#[test]
fn a_doctor_who_reaches_no_cluster_says_so_and_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.kubeconfig("c", "c");
    assert_snapshot!(sandbox.run(&["doctor"]), @"
    exit code 1
    --- stdout
    error    server         the cluster at http://127.0.0.1:1/ cannot be reached: Connection refused (os error 111)
             hint: `kubectl cluster-info` shows whether the cluster is up
    --- stderr
    1 check: 0 ok, 1 error
    ");
}

#[test]
fn a_program_that_stays_asks_for_its_items() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["local", "a", "--runtime-api", "--", "convert", "{}"]), @"
    exit code 2
    --- stderr
    error: the program's arguments hold {}, but with --runtime-api it asks for its items over HTTP
    hint: omit {}, or omit --runtime-api to start the program for each item
    ");
    assert_snapshot!(sandbox.run(&["run", "--image", "i:1", "--runtime-api", "--amqp-consume", "--", "p"]), @"
    exit code 2
    --- stderr
    error: --runtime-api needs workqueue-worker in the pods
    hint: omit --amqp-consume
    ");
}

#[test]
fn an_image_whose_entry_point_nobody_knows() {
    let sandbox = Sandbox::new();
    engine(&sandbox, "buildx | image) exit 1 ;;");
    assert_snapshot!(sandbox.run(&["run", "--image", "registry.example/function:1", "--runtime-api", "apple"]), @"
    exit code 1
    --- stderr
    error: docker does not tell what the image registry.example/function:1 starts
    hint: name the program after --; `docker pull registry.example/function:1 && docker image inspect --format '{{json .Config.Entrypoint}} {{json .Config.Cmd}}' registry.example/function:1` prints it
    ");
}

#[test]
fn hints_in_a_report_carry_the_flags_that_were_given() {
    let sandbox = Sandbox::new();
    sandbox.kubeconfig("c", "c");
    let report = sandbox.run(&["doctor", "-o", "json", "--context", "c"]).exits(1).json();
    let hint = "`kubectl cluster-info --context c` shows whether the cluster is up";
    assert_eq!(report["checks"][0]["hint"], hint);
}

#[test]
fn flags_without_a_command() {
    assert_snapshot!(Sandbox::new().run(&["-n", "ns"]), @"
    exit code 2
    --- stderr
    error: no command is named
    hint: `kubectl workqueue --help` lists the commands
    ");
}
