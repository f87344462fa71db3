//! A fault while items are enqueued or worked on; the books balance after each.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;
use workqueue_test_support::{Running, run_with_input, seed_worker, worker_image};

use crate::api_wire::ApiWire;
use crate::full;
use crate::trial::{Trial, ended};
use crate::wire;

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn the_broker_goes_while_items_are_enqueued() {
    let mut trial = Trial::empty("broker deleted while enqueueing");
    let mut enqueue = trial.bed.start_enqueue(trial.items, trial.items / 10);
    enqueue.wait_for("items confirmed");
    trial.restart_broker();
    trial.enqueued = enqueue.finish().ok().says("connected again").json();
    let run = trial.start();
    trial.balances(run, 0);
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn the_broker_goes_twice_while_items_are_worked_on() {
    let trial = Trial::new("broker deleted twice while draining");
    let run = trial.start();
    for part in [1, 2] {
        trial.until(part, 4);
        trial.restart_broker();
    }
    trial.balances(run, 0);
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn the_broker_goes_while_the_books_are_closed() {
    let trial = Trial::new("broker deleted while closing the books");
    let mut run = trial.start();
    run.wait_for("the broker, to close the books of the run");
    trial.restart_broker();
    trial.balances(run, 0);
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn connections_of_workers_are_cut_within_frames() {
    let values = json!({"worker": {"env": [{"name": "BROKER_URL", "valueFrom": {
        "secretKeyRef": {"name": "cut", "key": "url"}}}]}});
    let mut trial = Trial::with_values(
        "workers' connections cut within frames",
        "-cut",
        &["--set-json", &values.to_string()],
    );
    wire::start(&trial);
    trial.enqueue();
    let run = trial.start();
    let settled = trial.balances(run, 0);
    assert_eq!(settled.done.len(), trial.items);
    let cuts = wire::cuts(&trial);
    assert!(cuts > 3, "only {cuts} connections were cut");
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn connections_of_the_plugin_are_cut_within_frames() {
    let mut trial = Trial::empty("plugin's connections cut within frames");
    let wire = ApiWire::new();
    trial.bed.kubeconfig = Some(wire.kubeconfig());
    let mut enqueue = trial.bed.start_enqueue(trial.items, trial.items / 10);
    enqueue.wait_for("items confirmed");
    wire.cut(5);
    trial.enqueued = enqueue.finish().ok().says("connected again").json();
    assert!(wire.cuts_left() < 5, "nothing was cut");
    wire.cut(0);
    let run = trial.start();
    trial.until(1, 10);
    wire.cut(5);
    let run = ended(run);
    assert!(wire.cuts_left() < 5, "nothing was cut");
    wire.cut(0);
    crate::balance::balance(&trial, &run, 0);
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn a_container_is_killed_from_its_node() {
    let trial = Trial::new("worker's container killed");
    let run = trial.start();
    trial.until(1, 4);
    let pods = trial.bed.running_workers(2);
    assert!(trial.witness.kill_container(&pods[0]), "there was nothing to kill in {}", pods[0]);
    trial.balances(run, 0);
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn a_pod_is_evicted() {
    let trial = Trial::new("pod evicted");
    let run = trial.start();
    trial.until(1, 4);
    let pod = trial.bed.running_workers(2).swap_remove(0);
    evict(&trial, &pod);
    trial.balances(run, 0);
}

/// As `kubectl drain` does it, for one pod.
fn evict(trial: &Trial, pod: &str) {
    let versions = trial.bed.kubectl(&["api-versions"]).ok().stdout;
    let version =
        if versions.lines().any(|line| line == "policy/v1") { "policy/v1" } else { "policy/v1beta1" };
    let eviction = json!({"apiVersion": version, "kind": "Eviction", "metadata": {"name": pod}});
    let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", trial.bed.namespace);
    let mut command = workqueue_test_support::kubectl();
    command.args(["create", "--raw", &path, "-f", "-"]);
    run_with_input(&mut command, eviction.to_string().as_bytes()).ok();
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn all_pods_are_deleted_by_force() {
    let trial = Trial::new("pods deleted by force");
    let run = trial.start();
    trial.until(1, 4);
    let workers = ["-l", "app.kubernetes.io/component=worker", "--grace-period=0", "--force"];
    trial.bed.kubectl(&[&["delete", "pod"], &workers[..]].concat()).ok();
    trial.balances(run, 0);
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn the_run_is_made_narrower_and_wider() {
    let trial = Trial::new("run scaled down and up");
    let run = trial.start();
    trial.until(1, 4);
    let name = trial.run_name();
    for parallelism in ["1", "6"] {
        trial.bed.workqueue(&["scale", &name, "--parallelism", parallelism]).ok();
        std::thread::sleep(Duration::from_secs(3));
    }
    trial.balances(run, 0);
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn the_broker_is_short_of_memory_for_a_while() {
    let trial = Trial::new("memory alarm for 20 s");
    let run = trial.start();
    trial.until(1, 4);
    let limit = trial.bed.rabbitmqctl(&["eval", "vm_memory_monitor:get_vm_memory_high_watermark()."]).stdout;
    trial.bed.rabbitmqctl(&["set_vm_memory_high_watermark", "0.00001"]);
    let alarms = trial.bed.rabbitmqctl(&["eval", "rabbit_alarm:get_alarms()."]).stdout;
    assert!(alarms.contains("memory"), "{alarms}");
    std::thread::sleep(Duration::from_secs(20));
    let back = format!("vm_memory_monitor:set_vm_memory_high_watermark({}).", limit.trim());
    trial.bed.rabbitmqctl(&["eval", &back]);
    trial.balances(run, 0);
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn the_results_are_deleted() {
    let mut trial = Trial::new("results deleted");
    trial.keeps_results = false;
    let run = trial.start();
    trial.until(1, 4);
    trial.bed.rabbitmqctl(&["delete_queue", "job1.results"]);
    trial.balances(run, 0);
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn items_that_kill_their_containers_fail_and_no_others() {
    let trial = Trial::new("containers killed at each start of some");
    let poison = if full() { 20 } else { 2 };
    // The first ones, so that they are started, and killed, at about the same time: Kubernetes waits
    // ever longer before it replaces pods.
    let work = format!("[ ${{WORKQUEUE_ITEM_ID##*.}} -gt {poison} ] || sleep 600; sleep 0.4");
    let parallelism = if full() { "10" } else { "2" };
    let flags = ["--parallelism", parallelism, "--concurrency", "2", "--backoff-limit", "1000"];
    let mut run = trial.start_with(&flags, &work);
    kill_at_each_start(&trial, &mut run, poison);
    let settled = trial.balances(run, 6);
    let batch = trial.enqueued["batch"].as_str().expect("a batch");
    assert_eq!(settled.failed, (1..=poison).map(|number| format!("{batch}.{number}")).collect());
}

/// Kills the containers in which the first items are started, until the run ends.
fn kill_at_each_start(trial: &Trial, run: &mut Running, poison: usize) {
    let is_poison = |id: &str| number_of(id) <= poison;
    let mut killed = BTreeSet::new();
    let deadline = Instant::now() + Duration::from_secs(800);
    while !run.has_ended() && Instant::now() < deadline {
        for (_, item) in trial.witness.runs().into_iter().filter(|(id, _)| is_poison(id)) {
            for pod in item.pods {
                // Not before the API server names the container: then the next look does it.
                if !killed.contains(&pod) && trial.witness.kill_container(&pod) {
                    killed.insert(pod);
                }
            }
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn number_of(id: &str) -> usize {
    id.rsplit('.').next().and_then(|number| number.parse().ok()).expect("an id ends in a number")
}

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn two_runs_start_at_once() {
    let trial = Trial::new("two runs at once");
    let ends = [trial.start(), trial.start()].map(ended);
    let (worked, refused): (Vec<_>, Vec<_>) = ends.into_iter().partition(|run| run.code != Some(1));
    assert!(!refused.is_empty(), "both worked: {}\n{}", worked[0], worked[1]);
    match worked.into_iter().next() {
        Some(run) => crate::balance::balance(&trial, &run, 0),
        // Created in the same second, both give way.
        None => trial.balances(trial.start(), 0),
    };
}

/// A run looks whether the queue is free, enqueues its items, and looks again: another one can begin
/// in between.
#[test]
#[ignore = "needs the test bed: run `make books`"]
fn a_run_that_is_refused_late_leaves_the_books_of_the_other_alone() {
    let mut trial = Trial::new("another run refused late");
    // The item of the other run is in the queue, but not in the book until its command has ended.
    trial.proof = "counts";
    let image = seed_worker();
    let late = ["run", "--image", &image, "--worker-image", worker_image(), "-f", "-", "--", "cat"];
    let (go_tx, go_rx) = std::sync::mpsc::channel::<()>();
    let late = Running::start_fed(&mut trial.bed.command(&late), move |mut stdin| {
        stdin.write_all(b"late\n")?;
        // The input ends with the sender, too.
        go_rx.recv().ok();
        Ok(())
    });
    let deadline = Instant::now() + Duration::from_secs(60);
    while trial.bed.messages("job1") == trial.items as u64 {
        assert!(Instant::now() < deadline, "the item of the other run does not come");
        std::thread::sleep(Duration::from_millis(200));
    }
    let mut run = trial.start();
    // Its Job is there, and its workers have not started.
    run.wait_for("works on");
    go_tx.send(()).expect("it reads");
    ended(late).exits(1);
    trial.balances(run, 0);
}
