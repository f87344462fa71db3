//! What goes wrong around a cluster is said clearly: one error, one hint, one exit code.

use crate::bed::{Bed, finish, kubectl, seed_worker, spawn};

fn workqueue(args: &[&str]) -> crate::bed::Outcome {
    finish(spawn(kubectl(), &[&["workqueue"], args].concat()), b"")
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn no_cluster_no_context_no_namespace() {
    workqueue(&["up", "--kubeconfig", "/nonexistent"])
        .exits(1)
        .says("error: no cluster to talk to")
        .says("hint:");
    workqueue(&["status", "--context", "nonesuch"]).exits(1).says("there is no context \"nonesuch\"");
    workqueue(&["up", "-n", "nonesuch"])
        .exits(1)
        .says("error: namespace \"nonesuch\" does not exist")
        .says("--create-namespace");

    let config = std::env::temp_dir().join(format!("workqueue-e2e-{}.kubeconfig", std::process::id()));
    let text = "{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: \
        'https://127.0.0.1:1'}}], contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {}}]}";
    std::fs::write(&config, text).expect("writable");
    let path = config.display().to_string();
    workqueue(&["up", "--kubeconfig", &path]).exits(1).says("cannot be reached").says("kubectl cluster-info");
    std::fs::remove_file(&config).expect("ours");
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
fn nobody(bed: &Bed) -> String {
    let mut config = bed.kubectl(&["config", "view", "--raw", "--minify", "-o", "json"]).ok().json();
    config["users"][0]["user"]["as"] = "nobody".into();
    let path = std::env::temp_dir().join(format!("{}.kubeconfig", bed.namespace));
    std::fs::write(&path, config.to_string()).expect("writable");
    path.display().to_string()
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_missing_right_is_named_with_its_rule() {
    let bed = Bed::with_release("rights");
    let config = nobody(&bed);
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
    let subject = "operatorRole.subjects[0].kind=User,operatorRole.subjects[0].name=nobody,\
        operatorRole.subjects[0].apiGroup=rbac.authorization.k8s.io";
    bed.up(&["--set", subject]).ok();
    bed.kubectl(&["delete", "rolebinding", "reader"]).ok();
    bed.workqueue(&[&["run", "--image", &seed_worker(), "apple"], &forbidden[..]].concat()).ok();
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_broker_that_never_gets_ready_is_explained() {
    let bed = Bed::new("stuck");
    let image = ["--set", "broker.image.repository=127.0.0.1:5000/nonesuch,broker.image.tag=1"];
    bed.workqueue(&[&["up", "--timeout", "40s"], &image[..]].concat())
        .exits(5)
        .says("error: the broker is not ready after")
        .says("pod workqueue-broker-0: ")
        .says("ImagePull")
        .says("event: Failed");
    // The next run repairs it.
    bed.up(&[]).ok();

    bed.up(&["--set", "broker.extraConfig=nonsense = 1", "--timeout", "80s"])
        .exits(5)
        .says("log: ")
        .says("nonsense");
    bed.up(&[]).ok();
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn workers_whose_image_cannot_be_pulled_do_not_wait_for_ever() {
    let bed = Bed::with_release("pull");
    bed.workqueue(&["run", "--image", "127.0.0.1:5000/nonesuch:1", "apple"])
        .exits(4)
        .says("error: the workers cannot start: pod workqueue-job1-")
        .says("ImagePull");
    assert_eq!(bed.kubectl(&["get", "jobs", "-o", "name"]).ok().stdout, "", "the Job is gone");
    assert_eq!(bed.messages("job1"), 1, "the item is still there");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn values_that_the_chart_does_not_know_are_refused_before_anything_is_done() {
    let bed = Bed::new("values");
    bed.up(&["--set", "broker.replcas=3"]).exits(1).says("replcas");
    assert_eq!(
        bed.kubectl(&["get", "secrets", "-o", "name"])
            .ok()
            .stdout
            .lines()
            .filter(|line| line.contains("workqueue"))
            .count(),
        0
    );
}
