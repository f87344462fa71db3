//! What `doctor` finds: nothing on a cluster that is well, and one red line for each fault.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use workqueue_test_support::{Bed, Outcome, Sandbox, registry, run, seed_worker};

/// The checks of a report that ended in a state: `CHECK: MESSAGE`.
fn lines(report: &Value, state: &str) -> Vec<String> {
    let checks = report["checks"].as_array().expect("a list").iter().filter(|check| check["state"] == state);
    checks
        .map(|check| format!("{}: {}", check["check"].as_str().expect("a word"), check["message"]))
        .collect()
}

/// Other tests may hold all volumes of the test bed: then there is no room, for true.
const NO_VOLUME: [&str; 2] = ["--set", "broker.persistence.enabled=false"];

/// `doctor` with the test bed's broker image.
fn doctor(bed: &Bed, more: &[&str]) -> Outcome {
    bed.workqueue(&[&["doctor", "-o", "json", "--set", &bed.image_values()], more].concat())
}

/// Asserts that a report has one red line, that it is about a check, and that it says something.
#[track_caller]
fn only_error(outcome: &Outcome, check: &str, says: &str) {
    let errors = lines(&outcome.json(), "error");
    assert_eq!(errors.len(), 1, "{outcome}");
    assert!(errors[0].starts_with(&format!("{check}: ")) && errors[0].contains(says), "{errors:?}");
    assert_eq!(outcome.code, Some(1), "{outcome}");
}

/// Asserts that each trial pod was deleted, even if its node has not ended it yet.
#[track_caller]
fn assert_no_pod_stays(bed: &Bed) {
    let pods = bed.get(&["pods", "--selector", "app.kubernetes.io/component=doctor"]);
    let pods = pods["items"].as_array().expect("a list");
    let left: Vec<_> = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_cluster_that_is_well_is_green_before_and_after_up() {
    let bed = Bed::with_brought_worker("doctor");
    let images = ["--image", &seed_worker()];
    let before = doctor(&bed, &[&images[..], &NO_VOLUME].concat()).ok().json();
    for state in ["error", "warning", "unknown"] {
        assert_eq!(lines(&before, state), Vec::<String>::new(), "before `up`");
    }
    let all = lines(&before, "ok").join("\n");
    for check in ["server", "clock", "rights-up", "quota", "limit-range", "platform", "image", "port-forward"]
    {
        assert!(all.contains(&format!("{check}: ")), "{check} is not in\n{all}");
    }
    assert_no_pod_stays(&bed);

    bed.up(&[]).ok();
    let after = doctor(&bed, &images).ok().json();
    assert_eq!(lines(&after, "error"), Vec::<String>::new(), "after `up`");
    assert_eq!(lines(&after, "unknown"), Vec::<String>::new(), "after `up`");
    let all = lines(&after, "ok").join("\n");
    for check in
        ["storage-class: ", "broker: \"RabbitMQ ", "alarm: ", "permission: ", "queue: ", "port-forward: "]
    {
        assert!(all.contains(check), "{check} is not in\n{all}");
    }
    let queues = bed.rabbitmqctl(&["list_queues", "name"]).stdout;
    assert!(!queues.contains("doctor"), "no queue stays: {queues}");

    // A broker in alarm.
    bed.rabbitmqctl(&["set_vm_memory_high_watermark", "0.00001"]);
    only_error(&doctor(&bed, &["--no-pods"]), "alarm", "low on memory");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_missing_verb_is_one_red_line_and_what_may_not_be_seen_is_none() {
    let bed = Bed::with_release("doctor-rights");
    let mut config = bed.kubectl(&["config", "view", "--raw", "--minify", "-o", "json"]).ok().json();
    config["users"][0]["user"]["as"] = "limited".into();
    let files = Sandbox::new();
    let config = files.file("kubeconfig", config.to_string()).display().to_string();
    let subject = "roles.create=true,roles.subjects.run[0].kind=User,roles.subjects.run[0].name=limited,\
        roles.subjects.run[0].apiGroup=rbac.authorization.k8s.io";
    bed.up(&["--set", subject]).ok();
    let limited = ["--kubeconfig", config.as_str()];

    // The chart's Role is enough to look and to run.
    let outcome = doctor(&bed, &limited).ok();
    let report = outcome.json();
    let warnings = lines(&report, "warning").join("\n");
    assert!(warnings.contains("rights-up: ") && warnings.contains("rights-more: "), "{warnings}");
    let unknown = lines(&report, "unknown").join("\n");
    for check in ["quota", "platform", "image", "storage-class", "feature-flags"] {
        assert!(unknown.contains(&format!("{check}: \"not allowed to look")), "{check} is not in\n{unknown}");
    }

    let role = "workqueue-run";
    let rules = bed.get(&["role", role])["rules"].clone();
    let changes_jobs =
        |rule: &serde_json::Value| rule["resources"][0] == "jobs" && rule["verbs"][0] == "create";
    let jobs = rules.as_array().expect("a list").iter().position(changes_jobs);
    let verbs = format!("/rules/{}/verbs", jobs.expect("it has one"));
    let patch = format!(r#"[{{"op": "replace", "path": "{verbs}", "value": ["create", "patch"]}}]"#);
    bed.kubectl(&["patch", "role", role, "--type=json", "--patch", &patch]).ok();
    let outcome = doctor(&bed, &limited);
    only_error(&outcome, "rights-run", "not allowed to delete jobs");
    outcome.prints(r#"apiGroups: [\"batch\"], resources: [\"jobs\"], verbs: [\"delete\"]"#);

    // `run` warns of what the user may see, and is not held up by what he may not.
    let run = ["run", "--image", &seed_worker(), "apple"];
    let silent = bed.workqueue(&[&run[..], &limited].concat()).ok();
    assert!(!silent.stderr.contains("warning"), "{}", silent.stderr);
    create_quota(&bed, "full", "pods=1", "1");
    bed.workqueue(&[&run[..], &["--detach"]].concat())
        .ok()
        .says("warning: quota full allows 1 of pods, and 1 is used: a worker's pod needs 1, which is more");
}

/// Creates a quota, and waits until the server has counted what is used.
fn create_quota(bed: &Bed, name: &str, hard: &str, used: &str) {
    bed.kubectl(&["create", "quota", name, &format!("--hard={hard}")]).ok();
    let resource = hard.split('=').next().expect("RESOURCE=AMOUNT");
    for _ in 0..100 {
        if bed.get(&["quota", name])["status"]["used"][resource] == used {
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("the server does not count {resource}");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn quotas_and_storage_classes_that_forbid_the_broker_are_red() {
    let bed = Bed::new("doctor-quota");
    only_error(
        &doctor(&bed, &["--no-pods", "--set", "broker.persistence.storageClass=gold"]),
        "storage-class",
        "there is no storage class gold",
    );

    create_quota(&bed, "small", "limits.memory=1Gi", "0");
    let outcome = doctor(&bed, &[&["--no-pods"], &NO_VOLUME[..]].concat());
    only_error(
        &outcome,
        "quota",
        "quota small allows 1Gi of limits.memory, and 0 is used: the broker needs 2Gi",
    );
    outcome.exits(1).prints("ask for a quota of at least 2Gi");
    // `up` says it at once, and goes on.
    let up = bed.up(&[&["--no-wait"], &NO_VOLUME[..]].concat()).ok();
    up.says("warning: quota small allows 1Gi of limits.memory, and 0 is used: the broker needs 2Gi more");
}

/// An image index whose only entry is said to be for arm64.
fn arm64_image() -> String {
    let (index, image) = (format!("{}/seed-worker:arm64", registry()), seed_worker());
    for args in [
        &["create", "--insecure", "--amend", &index, &image][..],
        &["annotate", "--os", "linux", "--arch", "arm64", &index, &image],
        &["push", "--insecure", "--purge", &index],
    ] {
        run(Command::new("docker").arg("manifest").args(args)).ok();
    }
    index
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn an_image_for_another_architecture_is_red_and_its_pod_does_not_stay() {
    let bed = Bed::new("doctor-arm64");
    let image = arm64_image();
    let wrong = [&["--image", &image], &NO_VOLUME[..]].concat();
    // The registry says it, and a node that has tried.
    let says = format!("the worker's image {image} is for linux/arm64, and the nodes are linux/amd64");
    only_error(&doctor(&bed, &[&wrong[..], &["--no-pods"]].concat()), "platform", &says);
    let says = format!("cannot pull the worker's image {image}: ");
    let outcome = doctor(&bed, &[&wrong[..], &["--docker", "false"]].concat());
    only_error(&outcome, "image", &says);
    outcome.prints("no matching manifest for linux/amd64");
    assert_no_pod_stays(&bed);

    // Nor does it after Ctrl-C or a closed terminal, in the middle of a pull that goes nowhere.
    let away = ["doctor", "--image", "127.0.0.1:5999/busybox:1", "--docker", "false", "--set"];
    for signal in ["-INT", "-TERM", "-HUP"] {
        let mut child = bed.start(&[&away[..], &[&bed.image_values()]].concat());
        child.wait_for("waiting for a node to pull the worker's image 127.0.0.1:5999/busybox:1");
        child.signal(signal);
        child.finish().exits(130).says("stopped: ");
        assert_no_pod_stays(&bed);
    }
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn the_worker_that_a_run_brings_is_judged_too() {
    let bed = Bed::with_brought_worker("doctor-brought");
    let image = seed_worker();
    let doctor = |more: &[&str]| doctor(&bed, &[&["--image", &image], &NO_VOLUME[..], more].concat());
    let well = doctor(&["--no-pods"]).ok().json();
    let all = lines(&well, "ok").join("\n");
    assert!(all.contains("worker: \"`run` brings workqueue-worker for 1 architecture: amd64"), "{all}");

    let nowhere = doctor(&["--no-pods", "--set", "worker.nodeSelector.disk=gold"]);
    only_error(&nowhere, "platform", "no node has the labels of worker.nodeSelector: disk=gold");

    let unpack = format!("worker.inject.unpackImage={}/nonesuch:1", registry());
    only_error(&doctor(&["--set", &unpack]), "image", "nonesuch:1");
    // This one has no shell.
    let unpack = format!("worker.inject.unpackImage={}/pause:1", registry());
    only_error(&doctor(&["--set", &unpack]), "image", "pause:1 cannot unpack the worker: ");
    assert_no_pod_stays(&bed);

    // Quotas on objects count its ConfigMaps, and those on resources its init container.
    let there = bed.get(&["configmaps"])["items"].as_array().expect("a list").len();
    create_quota(&bed, "maps", &format!("count/configmaps={}", there + 2), &there.to_string());
    let maps = doctor(&["--no-pods"]);
    only_error(&maps, "quota", "of count/configmaps, and ");
    bed.kubectl(&["delete", "quota", "maps"]).ok();
    create_quota(&bed, "cpu", "limits.cpu=100", "0");
    let silent = lines(&doctor(&["--no-pods"]).json(), "error").join("\n");
    assert!(silent.contains("container inject-worker and worker of the worker does not"), "{silent}");
}
