//! What goes wrong around a cluster is said clearly: one error, one hint, one exit code.

use workqueue_test_support::{Bed, Outcome, Sandbox, kubectl, registry, run, seed_worker};

fn workqueue(args: &[&str]) -> Outcome {
    run(kubectl().arg("workqueue").args(args))
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn no_cluster_no_context_no_namespace() {
    workqueue(&["up", "--kubeconfig", "/nonexistent"])
        .exits(2)
        .says("error: no cluster to talk to")
        .says("hint:");
    workqueue(&["status", "--context", "nonesuch"]).exits(1).says("there is no context \"nonesuch\"");
    workqueue(&["up", "-n", "nonesuch"])
        .exits(1)
        .says("error: namespace \"nonesuch\" does not exist")
        .says("--create-namespace");

    let files = Sandbox::new();
    let text = "{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: \
        'https://127.0.0.1:1'}}], contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {}}]}";
    let path = files.file("kubeconfig", text).display().to_string();
    workqueue(&["up", "--kubeconfig", &path]).exits(1).says("cannot be reached").says("kubectl cluster-info");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_release_that_is_not_there() {
    let bed = Bed::new("absent");
    bed.workqueue(&["enqueue", "a"])
        .exits(1)
        .says("there is no broker of release \"workqueue\"")
        .says("kubectl workqueue up");
    bed.workqueue(&["down", "--yes"]).ok().says("release workqueue has no objects");
}

/// A kubeconfig for a user without any right: the administrator, impersonating one.
fn nobody(bed: &Bed, files: &Sandbox) -> String {
    let mut config = bed.kubectl(&["config", "view", "--raw", "--minify", "-o", "json"]).ok().json();
    config["users"][0]["user"]["as"] = "nobody".into();
    files.file("kubeconfig", config.to_string()).display().to_string()
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_missing_right_is_named_with_its_rule() {
    let bed = Bed::with_release("rights");
    let files = Sandbox::new();
    let config = nobody(&bed, &files);
    let forbidden = ["--kubeconfig", config.as_str()];
    bed.workqueue(&[&["enqueue", "a"], &forbidden[..]].concat())
        .exits(1)
        .says("is forbidden")
        .says(r#"apiGroups: [""], resources: ["services"], verbs: ["list"]"#);

    // All rights but the one to forward ports.
    bed.kubectl(&[
        "create",
        "role",
        "reader",
        "--verb=get,list,watch",
        "--resource=pods,services,secrets,jobs.batch",
    ])
    .ok();
    bed.kubectl(&["create", "rolebinding", "reader", "--role=reader", "--user=nobody"]).ok();
    bed.workqueue(&[&["enqueue", "a"], &forbidden[..]].concat())
        .exits(1)
        .says(r#"resources: ["pods/portforward"], verbs: ["get", "create"]"#);

    // The Role that the chart ships is enough.
    let subject = "roles.create=true,roles.subjects.run[0].kind=User,roles.subjects.run[0].name=nobody,\
        roles.subjects.run[0].apiGroup=rbac.authorization.k8s.io";
    bed.up(&["--set", subject]).ok();
    bed.kubectl(&["delete", "rolebinding", "reader"]).ok();
    bed.workqueue(&[&["run", "--image", &seed_worker(), "apple"], &forbidden[..]].concat()).ok();
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_broker_that_never_gets_ready_is_explained() {
    let bed = Bed::new("stuck");
    bed.kubectl(&["create", "quota", "q", "--hard=pods=0"]).ok();
    bed.up(&["--timeout", "8s"])
        .exits(5)
        .says("waiting for the first pod: FailedCreate: ")
        .says("it has no pods yet: FailedCreate: ")
        .says("exceeded quota: q");
    bed.kubectl(&["delete", "quota", "q"]).ok();
    let image = format!("broker.image.repository={}/nonesuch,broker.image.tag=1", registry());
    bed.workqueue(&["up", "--timeout", "40s", "--set", &image])
        .exits(5)
        .says("error: the broker is not ready after")
        .says("pod workqueue-broker-0: ")
        .says("ImagePull")
        .says("event: Failed");
    // The next run repairs it.
    bed.up(&[]).ok();

    let crashes = bed.up(&["--set", "broker.extraConfig=nonsense = 1", "--timeout", "80s"]);
    // Given up before the deadline, or at it: only then it is called one.
    assert!(matches!(crashes.code, Some(1 | 5)), "{crashes}");
    assert_eq!(crashes.code == Some(5), crashes.stderr.contains("--timeout"), "{crashes}");
    crashes.says("log: ").says("nonsense");
    bed.up(&[]).ok();
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn values_that_the_chart_does_not_know_are_refused_before_anything_is_done() {
    let bed = Bed::new("values");
    bed.up(&["--set", "broker.replcas=3"]).exits(2).says("replcas").says("did you mean broker.replicas?");
    let secrets = bed.names("secrets");
    assert!(!secrets.contains("workqueue"), "{secrets}");
}
