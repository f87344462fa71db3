//! Tests that take the API server of the test bed away, or its default storage class. No other test can
//! run meanwhile, so `make e2e` runs them after all others, one at a time, and never on somebody's own
//! cluster.

use std::process::Command;
use std::time::Duration;

use workqueue_test_support::{Bed, api_server, ended_with, kubectl, run};

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn nothing_is_lost_while_broker_and_api_server_restart() {
    const ITEMS: usize = 200_000;
    let bed = Bed::with_release("heal");
    let mut enqueue = bed.start_enqueue(ITEMS, 4000);
    enqueue.wait_for("items confirmed");
    for grace in ["0", "5"] {
        bed.kubectl(&["delete", "pod", "workqueue-broker-0", "--wait=false", "--grace-period", grace]).ok();
        enqueue.wait_for("connecting again");
        enqueue.wait_for("connected again");
        std::thread::sleep(Duration::from_secs(2));
    }
    api_server("stop");
    enqueue.wait_for("connecting again");
    api_server("start");
    enqueue.wait_for("connected again");
    let outcome = enqueue.finish().ok();
    bed.assert_enqueued(ITEMS, &outcome.json());
}

/// Kills a pod's container from outside, as the machine's own memory killer does: from inside, the
/// kernel lets no signal through to process 1.
fn kill_container(pod: &str) {
    let label = format!("label=io.kubernetes.pod.name={pod}");
    let worker = "label=io.kubernetes.container.name=worker";
    let list = ["ps", "--quiet", "--filter", &label, "--filter", worker];
    let id = run(Command::new("docker").args(list)).ok().stdout;
    run(Command::new("docker").args(["kill", id.trim()])).ok();
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn every_item_ends_although_pods_broker_and_api_server_go() {
    const ITEMS: usize = 300;
    let bed = Bed::with_release("everything");
    bed.enqueue_numbers(ITEMS);
    let child = bed.start_script(&["--parallelism", "4", "--concurrency", "4"], "read n; sleep 1");
    let pods = bed.running_workers(4);
    while bed.messages("job1") > ITEMS as u64 - 32 {
        std::thread::sleep(Duration::from_millis(200));
    }
    bed.kubectl(&["delete", "pod", &pods[0], "--grace-period=0", "--force"]).ok();
    kill_container(&pods[1]);
    bed.kubectl(&["delete", "pod", "workqueue-broker-0"]).ok();
    bed.kubectl(&["rollout", "status", "statefulset/workqueue-broker", "--timeout=120s"]).ok();
    let left = bed.messages("job1");
    assert!(left > 50, "{left} items are too few for the next fault");
    api_server("stop");
    std::thread::sleep(Duration::from_secs(20));
    api_server("start");

    let outcome = child.finish().ok().says(&format!("is complete: {ITEMS} done"));
    println!("{outcome}");
    let records = bed.records(&[]);
    assert_eq!(ended_with("done", &records), (1..=ITEMS).collect::<Vec<_>>());
    assert_eq!((bed.messages("job1"), bed.messages("job1.failed")), (0, 0));
    let job = bed.get(&["jobs"])["items"][0]["status"].clone();
    assert_eq!(job["succeeded"], 4, "{job}");

    // The workers that lived on report the broker, the run reports the pods.
    outcome
        .prints("connecting again; running items continue")
        .prints("the broker is back: work continues")
        .says(&format!("pod {} was deleted before it had ended", pods[0]))
        .says(&format!("pod {} exited with 137", pods[1]))
        .says("the broker does not answer")
        .says("the broker answers again")
        .says("the API server does not answer")
        .says("the API server answers again");
    bed.workqueue(&["attach"]).ok().says(&format!("is complete: {ITEMS} done"));
}

/// Makes the test bed's storage class the default, or not.
fn set_default_class(is_default: bool) {
    let annotation = format!("storageclass.kubernetes.io/is-default-class={is_default}");
    run(kubectl().args(["annotate", "--overwrite", "storageclass", "local", &annotation])).ok();
}

/// Gives the default back, however the test ends.
struct DefaultClass;

impl Drop for DefaultClass {
    fn drop(&mut self) {
        set_default_class(true);
    }
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_cluster_without_a_default_storage_class_is_red() {
    let bed = Bed::new("doctor-class");
    let _restored = DefaultClass;
    set_default_class(false);
    let doctor = ["doctor", "--no-pods", "--docker", "false", "--set", &bed.image_values()];
    bed.workqueue(&doctor)
        .exits(1)
        .prints("error    storage-class  there is no default storage class, and the values name none")
        .prints("hint: name one with --set broker.persistence.storageClass=NAME")
        .says("1 error");
    bed.up(&["--no-wait"]).ok().says("warning: there is no default storage class");
}
