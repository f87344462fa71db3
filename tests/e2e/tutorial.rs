//! The tutorial's core in four commands.

use workqueue_test_support::{Bed, FRUITS, kubectl, run, seed_worker};

/// Kinds that a release may consist of.
const KINDS: &str = "jobs,statefulsets,replicationcontrollers,pods,services,configmaps,secrets,\
    persistentvolumeclaims,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets";

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn four_commands_on_rabbitmq_4() {
    four_commands(&Bed::new("core"));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn four_commands_on_rabbitmq_3_10() {
    four_commands(&Bed::with_old_broker("core-old"));
}

fn four_commands(bed: &Bed) {
    let before = objects(bed);

    let first = bed.up(&[]).ok();
    let first = first
        .prints("statefulset.apps/workqueue-broker created")
        .prints("secret/workqueue-credentials created");
    assert_secret_is_secret(bed, &(first.stdout + &first.stderr));

    let enqueued = bed.workqueue(&[&["enqueue", "-o", "json"], FRUITS.as_slice()].concat()).ok().json();
    assert_eq!(
        (&enqueued["read"], &enqueued["confirmed"], &enqueued["refused"]),
        (&8.into(), &8.into(), &0.into())
    );

    let run = bed.workqueue(&["run", "--image", &seed_worker(), "--parallelism", "2"]).ok();
    for fruit in FRUITS {
        let line = format!(" Processing {fruit}");
        let times = run.stdout.lines().filter(|text| text.ends_with(&line)).count();
        assert_eq!(times, 1, "{fruit} is {times} times in:\n{}", run.stdout);
    }
    assert!(run.stderr.contains("is complete: 8 done"), "{}", run.stderr);
    assert_most_pods_at_once(bed, 2);
    assert_eq!(bed.messages("job1"), 0);

    bed.workqueue(&["down", "--yes"]).ok();
    assert_eq!(objects(bed), before, "down left something behind, or took what was not ours");
}

/// The password is only in the Secret: not in what was printed, nor in any manifest.
fn assert_secret_is_secret(bed: &Bed, printed: &str) {
    let secret = bed.get(&["secret", "workqueue-credentials"]);
    let encoded = secret["data"]["password"].as_str().expect("a password").to_owned();
    let password = bed.credential("password");
    assert!(password.len() >= 32, "the password is short");
    for text in [printed.to_owned(), bed.get(&["statefulsets,services,configmaps"]).to_string()] {
        assert!(!text.contains(&password) && !text.contains(&encoded), "the password is in: {text}");
    }
}

/// Reads from the pods' times how many ran at one moment.
fn assert_most_pods_at_once(bed: &Bed, most: usize) {
    let pods = bed.get(&["pods", "-l", "app.kubernetes.io/component=worker"]);
    let spans: Vec<(String, String)> = pods["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|pod| {
            let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
            let time = |field: &str| ended[field].as_str().expect("a time").to_owned();
            (time("startedAt"), time("finishedAt"))
        })
        .collect();
    assert_eq!(spans.len(), 8, "one pod an item");
    for (start, _) in &spans {
        let running = spans.iter().filter(|(from, to)| from <= start && start < to).count();
        assert!(running <= most, "{running} pods ran at {start}");
    }
}

fn objects(bed: &Bed) -> Vec<String> {
    let mut names: Vec<String> = bed.names(KINDS).lines().map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn up_again_changes_nothing() {
    let bed = Bed::new("again");
    bed.up(&[]).ok();
    let generation =
        |bed: &Bed| bed.get(&["statefulset", "workqueue-broker"])["metadata"]["generation"].clone();
    let password = |bed: &Bed| bed.get(&["secret", "workqueue-credentials"])["data"].clone();
    let before = (generation(&bed), password(&bed));
    let second = bed.up(&["-o", "json"]).ok().says("nothing changed").json();
    assert_eq!(second["changed"], false, "{second}");
    assert!(second["objects"].as_array().is_some_and(|objects| objects.len() >= 5), "{second}");
    assert_eq!((generation(&bed), password(&bed)), before);

    // A changed value is rolled out, and the Secret still stays as it is.
    let third = bed.up(&["--set", "broker.consumerTimeoutSeconds=7200", "-o", "json"]).ok().json();
    assert_eq!(third["changed"], true, "{third}");
    assert_ne!(generation(&bed), before.0);
    assert_eq!(password(&bed), before.1);
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn kubectl_lists_the_plugin_without_a_warning() {
    let listed = run(kubectl().args(["plugin", "list"])).ok().prints("kubectl-workqueue");
    assert!(!(listed.stdout + &listed.stderr).contains("warning"), "kubectl warns of the plugin");
    let help = run(kubectl().args(["workqueue", "enqueue", "--help"])).ok();
    help.prints("Usage: kubectl workqueue enqueue");
}
