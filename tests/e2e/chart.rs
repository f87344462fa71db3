//! The chart's life on a cluster: differences, changes, what is no longer wanted, and Helm beside us.

use std::process::Command;

use workqueue_test_support::{
    Bed, Outcome, Sandbox, kubectl, root, run, seed_worker, variable, worker_image,
};

/// Runs helm with the test bed's cluster.
fn helm(bed: &Bed, args: &[&str]) -> Outcome {
    let path = run(&mut Command::new(root().join("crates/helm-template/tests/tools/helm"))).ok().stdout;
    let mut helm = Command::new(path.trim());
    helm.env("KUBECONFIG", variable("WORKQUEUE_TEST_KUBECONFIG"));
    run(helm.args(["--namespace", &bed.namespace]).args(args))
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn diff_shows_what_up_would_do_and_masks_secrets() {
    let bed = Bed::new("diff");
    let generated = bed.diff(&[]).exits(1).stdout;
    assert!(generated.contains("+++ rendered/secret/workqueue-credentials"), "{generated}");
    assert!(generated.contains("+  password: '***'") && !generated.contains("amqp://"), "{generated}");

    let secret = ["--set", "auth.password=opensesame"];
    let first = bed.diff(&secret).exits(1);
    assert!(first.stdout.contains("+++ rendered/statefulset.apps/workqueue-broker"), "{}", first.stdout);
    assert!(first.stdout.contains("+  password: '***'"), "{}", first.stdout);
    assert!(
        !first.stdout.contains("opensesame") && !first.stdout.contains("b3BlbnNlc2FtZQ"),
        "{}",
        first.stdout
    );
    bed.up(&[&secret[..], &["--no-wait"]].concat()).ok();
    assert_eq!(bed.diff(&secret).ok().stdout, "");

    let changed =
        bed.diff(&[&secret[..], &["--set", "broker.consumerTimeoutSeconds=7200"]].concat()).exits(1);
    assert!(changed.stdout.contains("configmap/workqueue-broker"), "{}", changed.stdout);
    assert_eq!(bed.diff(&secret).ok().stdout, "", "diff changed something");
    bed.workqueue(&["diff", "--set", "broker.replcas=2"]).exits(2).says("replcas");
    values_are_remembered(&bed);
}

/// Of a release that was given an image and a password.
fn values_are_remembered(bed: &Bed) {
    assert_eq!(bed.workqueue(&["diff"]).ok().stdout, "", "it was given the same");
    bed.workqueue(&["up", "--no-wait"]).ok().says("nothing changed");
    let reset = bed.workqueue(&["diff", "--reset-values"]).exits(1).stdout;
    assert!(reset.contains("statefulset.apps/workqueue-broker"), "{reset}");

    // With values, as with Helm, only those count; what that would lose is named.
    let more = ["--set", "broker.consumerTimeoutSeconds=7200"];
    let dropped = bed.workqueue(&[&["diff"], &more[..]].concat()).exits(1);
    let dropped = dropped.says("was given auth.password, broker.image.repository, broker.image.tag before");
    assert!(!dropped.stderr.contains("opensesame"), "{}", dropped.stderr);
    dropped.says("--reuse-values keeps");
    let kept = bed.workqueue(&[&["up", "--no-wait", "--reuse-values"], &more[..]].concat()).ok();
    assert!(!kept.stderr.contains("warning"), "{}", kept.stderr);
    assert_eq!(bed.workqueue(&["diff"]).ok().stdout, "");
    assert_eq!(bed.credential("password"), "opensesame");

    bed.kubectl(&["delete", "secret", "kubectl-workqueue.workqueue"]).ok();
    let unknown = bed.workqueue(&["diff"]).exits(1);
    unknown.says("there is no record of the values of release workqueue");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn an_object_in_another_namespace_is_pruned_there_and_not_its_namesake() {
    let (bed, other) = (Bed::new("here"), Bed::new("there"));
    let shared = ["create", "configmap", "shared", "--from-literal=k=v"];
    bed.kubectl(&shared).ok();
    let extra = format!(
        r#"extraObjects=[{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"shared","namespace":"{}"}}}}]"#,
        other.namespace
    );
    bed.up(&["--no-wait", "--set-json", &extra]).ok();
    other.kubectl(&["get", "configmap", "shared"]).ok();
    bed.up(&["--no-wait"]).ok();
    other.kubectl(&["get", "configmap", "shared"]).exits(1);
    bed.kubectl(&["get", "configmap", "shared"]).ok();

    // What somebody else has made since is theirs, even if an earlier record names it.
    bed.up(&["--no-wait", "--set-json", &extra]).ok();
    other.kubectl(&["delete", "configmap", "shared"]).ok();
    other.kubectl(&shared).ok();
    bed.workqueue(&["down", "--yes"]).ok();
    other.kubectl(&["get", "configmap", "shared"]).ok();
    bed.kubectl(&["get", "configmap", "shared"]).ok();
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn what_is_no_longer_rendered_is_pruned_and_nothing_else() {
    let bed = Bed::new("prune");
    bed.kubectl(&["create", "configmap", "theirs", "--from-literal=a=b"]).ok();
    bed.up(&["--no-wait", "--set", "roles.create=true"]).ok();
    let role = "role.rbac.authorization.k8s.io/workqueue-look";
    assert!(bed.names("roles").contains(role));

    let shown = bed.diff(&[]).exits(1).stdout;
    assert!(shown.contains("+++ /dev/null") && shown.contains("workqueue-look"), "{shown}");
    let pruned = bed.up(&["--no-wait"]).ok().stdout;
    assert!(pruned.contains(&format!("{role} pruned")), "{pruned}");
    assert_eq!(bed.names("roles"), "");
    assert!(bed.names("configmaps").contains("configmap/theirs"));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_field_that_cannot_change_is_explained_before_anything_is_applied() {
    let bed = Bed::new("fixed");
    bed.up(&["--no-wait"]).ok();
    let values = ["--set", "broker.persistence.size=9Gi,broker.consumerTimeoutSeconds=7200"];
    bed.up(&values)
        .exits(1)
        .says("applying statefulset.apps/workqueue-broker is not possible")
        .says("nothing was applied");
    assert_eq!(bed.diff(&[]).ok().stdout, "", "something was applied");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_changed_value_rolls_the_broker_and_loses_nothing() {
    let bed = Bed::with_release("roll");
    bed.enqueue_numbers(10_000);
    let pod = |bed: &Bed| bed.get(&["pod", "workqueue-broker-0"])["metadata"]["uid"].clone();
    let before = pod(&bed);
    bed.up(&["--set", "broker.resources.requests.cpu=120m"]).ok();
    assert_ne!(pod(&bed), before, "the broker was not rolled");
    assert_eq!(bed.messages("job1"), 10_000);
}

/// Three brokers find each other, and a queue outlives the loss of one of them.
fn cluster_of_three(bed: &Bed) {
    bed.up(&["--set", "broker.replicas=3", "--timeout", "200s"]).ok();
    let running = || -> usize {
        let status = bed.rabbitmqctl_list(&["cluster_status"]);
        status["running_nodes"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(running(), 3);
    bed.enqueue_numbers(1000);
    let queues = bed.rabbitmqctl_list(&["list_queues", "name", "type", "members"]);
    let queue = queues.as_array().expect("a list").iter().find(|queue| queue["name"] == "job1");
    let queue = queue.expect("it was made");
    assert_eq!((&queue["type"], queue["members"].as_array().map(Vec::len)), (&"quorum".into(), Some(3)));

    bed.kubectl(&["delete", "pod", "workqueue-broker-2", "--grace-period=0", "--force"]).ok();
    // The others go on, whether the lost one is back yet or not.
    bed.workqueue(&["enqueue", "one more"]).ok().says("1 confirmed");
    assert_eq!(bed.messages("job1"), 1001);
    bed.up(&["--set", "broker.replicas=3", "--timeout", "200s"]).ok();
    assert_eq!((running(), bed.messages("job1")), (3, 1001));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn three_brokers_of_rabbitmq_4_outlive_the_loss_of_one() {
    cluster_of_three(&Bed::new("three"));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn three_brokers_of_rabbitmq_3_10_outlive_the_loss_of_one() {
    cluster_of_three(&Bed::with_old_broker("three-old"));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn an_edited_chart_comes_back() {
    let bed = Bed::new("edited");
    let files = Sandbox::new();
    let path = files.path("chart").display().to_string();
    run(kubectl().args(["workqueue", "chart", &path])).ok();
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-mine'}\n\
                    data: {queue: {{ .Values.worker.queue | upper | quote }}}\n";
    files.file("chart/templates/mine.yaml", template);
    bed.up(&["--no-wait", "--chart", &path]).ok().prints("configmap/workqueue-mine created");
    let other = bed.workqueue(&["up", "--no-wait"]).exits(1);
    other.says("was installed from the chart in").says(&format!("name it with --chart {path}"));
    assert_eq!(bed.get(&["configmap", "workqueue-mine"])["data"]["queue"], "JOB1");
    bed.workqueue(&["down", "--yes"]).ok();
    let left = bed.names("configmaps");
    assert!(!left.contains("workqueue"), "{left}");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_helm_release_works_and_is_left_to_helm() {
    let bed = Bed::new("helm");
    let image = bed.image_values();
    let chart = root().join("chart-templates");
    let chart = chart.to_str().expect("text");
    helm(&bed, &["install", "workqueue", chart, "--set", &image, "--wait", "--timeout", "90s"]).ok();
    let secret = |bed: &Bed| bed.get(&["secret", "workqueue-credentials"])["data"].clone();
    let before = secret(&bed);
    helm(&bed, &["upgrade", "workqueue", chart, "--set", &image]).ok();
    assert_eq!(secret(&bed), before, "an upgrade made a new password");

    bed.workqueue(&["enqueue", "apple"]).ok();
    bed.up(&[]).exits(1).says("belongs to the Helm release \"workqueue\"");
    bed.workqueue(&["down", "--yes"]).exits(1).says("helm uninstall");
    helm(&bed, &["uninstall", "workqueue", "--wait", "--timeout", "90s"]).ok();
    let kinds = "all,secrets,configmaps,roles,rolebindings,serviceaccounts,poddisruptionbudgets,networkpolicies,\
                 persistentvolumeclaims";
    let ours = ["-l", "app.kubernetes.io/instance=workqueue"];
    bed.kubectl(&[&["wait", "pods", "--for=delete", "--timeout=90s"], &ours[..]].concat()).ok();
    let left = bed.kubectl(&[&["get", kinds, "-o", "name"], &ours[..]].concat()).ok();
    assert_eq!(left.stdout.trim(), "persistentvolumeclaim/data-workqueue-broker-0");

    // A new release has a new password, and finds what the PVC holds.
    helm(&bed, &["install", "workqueue", chart, "--set", &image, "--wait", "--timeout", "90s"]).ok();
    assert_ne!(secret(&bed)["password"], before["password"]);
    assert_eq!(bed.messages("job1"), 1);

    // Who has Helm alone declares a queue with other programs. Its workers make what belongs to it.
    let url = format!("URL={}", bed.credential("url"));
    let declare = "amqp-declare-queue --url=$URL -q alone -d && amqp-publish --url=$URL -r alone -p -b apple";
    let client = ["run", "client", "--restart=Never", "--image", &seed_worker(), "--env", &url, "--command"];
    bed.kubectl(&[&client[..], &["--", "sh", "-c", declare]].concat()).ok();
    bed.kubectl(&["wait", "pod/client", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s"]).ok();
    let values = format!(
        "{image},worker.queue=alone,worker.mode=fine,worker.image={},worker.inject.image={},\
         worker.command={{/run/workqueue/bin/workqueue-worker,--retries=0,--,/bin/false}}",
        seed_worker(),
        worker_image(),
    );
    helm(&bed, &["upgrade", "workqueue", chart, "--set", &values]).ok();
    bed.kubectl(&["wait", "job/workqueue-worker", "--for=condition=Complete", "--timeout=120s"]).ok();
    assert_eq!((bed.messages("alone"), bed.messages("alone.failed")), (0, 1));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn what_another_release_has_taken_over_is_not_pruned() {
    let bed = Bed::new("taken");
    let extra = r#"extraObjects=[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"shared"}}]"#;
    bed.up(&["--no-wait", "--set-json", extra]).ok();
    bed.kubectl(&["label", "--overwrite", "configmap", "shared", "app.kubernetes.io/instance=other"]).ok();
    bed.up(&["--no-wait"]).ok();
    bed.kubectl(&["get", "configmap", "shared"]).ok();
    // With the label of its release it is pruned.
    bed.kubectl(&["delete", "configmap", "shared"]).ok();
    bed.up(&["--no-wait", "--set-json", extra]).ok();
    let pruned = bed.up(&["--no-wait"]).ok().stdout;
    assert!(pruned.contains("configmap/shared pruned"), "{pruned}");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_broker_with_messages_is_not_pruned_without_asking() {
    let bed = Bed::with_release("elsewhere");
    bed.workqueue(&["enqueue", "apple", "banana"]).ok();
    let elsewhere = ["--no-wait", "--set", "externalBroker.url=amqp://u:p@broker.invalid:5672"];
    bed.up(&elsewhere)
        .exits(1)
        .says("statefulset.apps/workqueue-broker is no longer rendered and would be pruned")
        .says("queue job1 holds 2 messages")
        .says("standard input is not a terminal")
        .says("hint: --yes deletes without asking");
    assert_eq!(bed.messages("job1"), 2, "nothing was changed");
    let pruned = bed.up(&[&elsewhere[..], &["--yes"]].concat()).ok().stdout;
    assert!(pruned.contains("statefulset.apps/workqueue-broker pruned"), "{pruned}");
}
