//! Names that do not exist, of runs, queues and namespaces: each command says so, and what there is.

use workqueue_test_support::{Bed, kubectl, run, seed_worker};

/// Commands about a run. Its name comes last.
const ABOUT_RUNS: [&[&str]; 11] = [
    &["attach"],
    &["logs"],
    &["logs", "--follow"],
    &["stop"],
    &["delete", "--yes"],
    &["scale", "--parallelism", "3"],
    &["pause"],
    &["resume"],
    &["map", "--attach"],
    &["results", "--run"],
    &["results", "--outputs", "-", "--run"],
];

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_run_that_does_not_exist_is_said_with_those_that_do() {
    let bed = Bed::with_release("no-run");
    for command in ABOUT_RUNS {
        let none = bed.workqueue(&[command, &["nonesuch"]].concat()).exits(1);
        // `results` asks for the queue first.
        let what =
            if command[0] == "results" { "there is no queue job1" } else { "there is no run \"nonesuch\"" };
        assert!(none.stderr.contains(&format!("error: {what}\n")), "{none}");
    }
    bed.workqueue(&["run", "--image", &seed_worker(), "apple"]).ok();
    let status = bed.workqueue(&["status", "-o", "json"]).ok().json();
    let name = status["runs"][0]["run"].as_str().expect("a run").to_owned();
    for command in ABOUT_RUNS {
        let typo = bed.workqueue(&[command, &["nonesuch"]].concat()).exits(1);
        typo.says(&format!("error: there is no run \"nonesuch\"; there are: {name} (queue job1)\n"))
            .says("hint: `kubectl workqueue status -n ");
    }
    let near = format!("{}x", &name[..name.len() - 1]);
    bed.workqueue(&["attach", &near]).exits(1).says(&format!("; did you mean {name}?"));

    bed.workqueue(&["enqueue", "--queue", "other", "apple"]).ok();
    bed.workqueue(&["results", "--queue", "other", "--run", &name])
        .exits(1)
        .says(&format!("error: run {name} works on queue job1, and not on queue other"))
        .says("hint: name its queue with --queue job1");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_queue_that_does_not_exist_is_said_with_those_that_do() {
    let bed = Bed::with_release("no-queue");
    bed.workqueue(&["enqueue", "--queue", "squares", "1"]).ok();
    for command in [
        &["queues"][..],
        &["peek"],
        &["dump"],
        &["purge", "--yes"],
        &["status"],
        &["results"],
        &["results", "--outputs", "-"],
        &["failed", "list"],
        &["failed", "purge", "--yes"],
        &["run", "--image", &seed_worker()],
    ] {
        let typo = bed.workqueue(&[command, &["--queue", "square"]].concat()).exits(1);
        assert!(
            typo.stderr
                .contains("error: there is no queue square; there are: squares; did you mean squares?\n"),
            "{command:?}: {typo}"
        );
    }
    let queues = bed.workqueue(&["queues"]).ok().stdout;
    assert!(!queues.contains("square "), "none was made: {queues}");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_namespace_that_does_not_exist_is_said() {
    for command in [
        &["status"][..],
        &["queues"],
        &["peek"],
        &["enqueue", "apple"],
        &["enqueue", "--broker-secret", "mq", "apple"],
        &["results"],
        &["failed", "list"],
        &["run", "--image", "i:1", "apple"],
        &["attach"],
        &["attach", "r1"],
        &["logs"],
        &["stop", "r1"],
        &["pause"],
        &["up"],
        &["diff"],
        &["down", "--yes"],
    ] {
        let words = if command[0] == "failed" { 2 } else { 1 };
        let typo = run(kubectl()
            .arg("workqueue")
            .args(&command[..words])
            .args(["-n", "nonesuch"])
            .args(&command[words..]));
        assert!(typo.code.is_some_and(|code| code != 0), "{command:?}: {typo}");
        assert!(typo.stderr.contains("namespace \"nonesuch\" does not exist"), "{command:?}: {typo}");
    }
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_run_without_a_broker_stores_nothing() {
    let (bed, image) = (Bed::with_brought_worker("no-broker"), seed_worker());
    for command in [&["run"][..], &["map"]] {
        let args = [command, &["--image", &image, "apple", "--", "cat"]].concat();
        bed.workqueue(&args)
            .exits(1)
            .says("error: there is no broker of release \"workqueue\"")
            .says("hint: `kubectl workqueue up -n ");
    }
    let stored = bed.get(&["configmaps", "-l", "app.kubernetes.io/managed-by=kubectl-workqueue"]);
    assert_eq!(stored["items"], serde_json::json!([]));
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn flags_for_the_cluster_may_come_before_the_command() {
    let bed = Bed::with_release("before");
    let namespace = bed.namespace.as_str();
    let before = |flags: &[&str], command: &[&str]| run(kubectl().arg("workqueue").args(flags).args(command));
    before(&["-n", namespace], &["enqueue", "apple"]).ok();
    before(&["-q", &format!("--namespace={namespace}"), "--release", "workqueue"], &["queues"])
        .ok()
        .prints("job1");
    before(&["-n", "nonesuch"], &["queues", "-n", namespace]).ok();
    before(&["-n", namespace], &["failed", "list"]).ok();
    before(&["-n", namespace], &["attach", "r1"])
        .exits(1)
        .says(&format!("`kubectl workqueue run -n {namespace}` starts one"));
}
