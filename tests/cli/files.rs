//! Files that the command line names and that are wrong: nothing is done, and the exit code says it.

use workqueue_test_support::Sandbox;

/// Nobody listens there.
const URL: &str = "amqp://u:p@127.0.0.1:1";

#[test]
fn a_file_that_a_flag_names_and_nobody_can_read_is_a_wrong_command_line() {
    let sandbox = Sandbox::new();
    sandbox.kubeconfig("c", "c");
    sandbox.file("values.yaml", "");
    for args in [
        &["local", "--script", "missing", "apple"][..],
        &["run", "--image", "i:1", "--script", "missing", "apple"],
        &["map", "--image", "i:1", "--script", "missing"],
        &["run", "--image", "i:1", "--build", "missing", "apple"],
        &["build", "missing", "--image", "i:1"],
        &["render", "-f", "missing"],
        &["render", "-f", "values.yaml,missing"],
        &["render", "--set-file", "broker.extraConfig=missing"],
        &["render", "--chart", "missing"],
        &["enqueue", "--broker-url", URL, "--broker-ca", "missing", "apple"],
        &["status", "--kubeconfig", "missing"],
        &["--kubeconfig", "missing", "status"],
    ] {
        let outcome = sandbox.run(args).exits(2);
        assert!(outcome.stderr.contains("missing"), "{args:?}: {outcome}");
        assert!(outcome.stderr.contains("No such file or directory"), "{args:?}: {outcome}");
    }
}

#[test]
fn input_that_nobody_can_read_is_no_wrong_command_line() {
    let sandbox = Sandbox::new();
    for args in [
        &["enqueue", "--broker-url", URL, "-f", "missing"][..],
        &["enqueue", "--dry-run", "-f", "missing"],
        &["local", "-f", "missing", "--", "true"],
    ] {
        sandbox.run(args).exits(3).says("cannot open missing: No such file or directory");
    }
}
