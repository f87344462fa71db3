//! Runs whose pods do not start: what is waited for, what is said, and what ends the run.

use workqueue_test_support::{Bed, Sandbox, registry, seed_worker, worker_image};

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn an_image_that_does_not_exist_ends_the_run() {
    let bed = Bed::with_release("pull");
    bed.workqueue(&["run", "--image", &format!("{}/nonesuch:1", registry()), "apple"])
        .exits(4)
        .says("has been waiting to start for")
        .says("the run ends if this does not change within 40 s")
        .says("error: the workers cannot start: pod workqueue-job1-")
        .says("ErrImagePull")
        .says("nonesuch")
        .says("its items are still in the queue: fix the image and run it again, without items");
    assert_eq!(bed.names("jobs"), "", "the Job is gone");
    assert_eq!(bed.messages("job1"), 1, "the item is still there");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_registry_that_does_not_answer_is_waited_for() {
    let bed = Bed::with_release("away");
    // Nobody listens there. 70 s are more than the patience with an image that does not exist.
    let run = ["run", "--image", "127.0.0.1:5999/busybox:1", "--start-timeout", "70s", "apple"];
    bed.workqueue(&run)
        .exits(5)
        .says("warning: pod workqueue-job1-")
        .says("connection refused")
        .says("`kubectl describe pod workqueue-job1-")
        .says("error: no pod of run ")
        .says("--start-timeout");
    assert_eq!(bed.names("jobs").lines().count(), 1, "the Job continues");
    let attached = bed.workqueue(&["attach", "--start-timeout", "2s"]);
    attached.exits(5).says("has started within 2 s");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn what_pods_wait_for_is_said_and_waited_for() {
    let bed = Bed::with_release("waits");
    let image = seed_worker();
    let run = |set: &str| bed.start(&["run", "--image", &image, "--set", set, "apple"]);
    let ends = || {
        bed.kubectl(&["delete", "jobs", "--all"]).ok();
    };

    let mut unschedulable = run("worker.resources.requests.cpu=500");
    unschedulable.wait_for("been waiting to start for");
    unschedulable.wait_for("Unschedulable: 0/1 nodes are available: 1 Insufficient cpu");
    unschedulable.wait_for("`kubectl describe pod workqueue-job1-");
    ends();
    unschedulable.finish().exits(4);

    let mut unmounted =
        run("worker.volumes[0].name=v,worker.volumes[0].configMap.name=nope,worker.volumeMounts[0].name=v,\
         worker.volumeMounts[0].mountPath=/v");
    unmounted.wait_for("FailedMount: ");
    unmounted.wait_for("\"nope\" not found");
    ends();
    unmounted.finish().exits(4);

    let mut nameless = run("worker.serviceAccountName=nope");
    nameless.wait_for("has been unable to create pods for");
    nameless.wait_for(&format!("`kubectl get serviceaccounts -n {}`", bed.namespace));
    ends();
    nameless.finish().exits(4);

    bed.kubectl(&["create", "quota", "q", "--hard=pods=1"]).ok();
    let mut refused = bed.start(&["run", "--image", &image]);
    refused.wait_for("exceeded quota");
    refused.wait_for(&format!("`kubectl describe quota -n {}` shows more", bed.namespace));
    // Once there is room, the run goes on.
    bed.kubectl(&["delete", "quota", "q"]).ok();
    refused.finish().ok();

    // What a pod needs may come late: longer than an image may be missing.
    let mut late = run("worker.envFrom[0].secretRef.name=late");
    late.wait_for("CreateContainerConfigError: secret \"late\" not found");
    late.wait_for("been waiting to start for 6");
    bed.kubectl(&["create", "secret", "generic", "late"]).ok();
    late.finish().ok();
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_program_that_never_starts_ends_the_run() {
    let bed = Bed::with_release("program");
    let image = format!("{}/busybox:latest", registry());
    let run = |more: &[&str]| bed.workqueue(&[&["run", "--image", &image], more].concat()).exits(4);

    // The image lacks the worker: no container starts.
    run(&["--worker-in-image", "apple", "banana", "--", "cat"])
        .says("error: the workers cannot start: pod workqueue-job1-")
        .says("\"workqueue-worker\"")
        .says("hint: omit --worker-in-image");
    assert_eq!(bed.names("jobs"), "", "the Job is gone");

    // The worker starts, and finds no program.
    run(&["--worker-image", worker_image(), "--", "/bin/missing"])
        .says("exited with 127")
        .says("cannot start /bin/missing")
        .says("hint: name a program that is in the image after `--`");

    let files = Sandbox::new();
    let script = files.file("work.py", "#!/usr/bin/python3\n").display().to_string();
    run(&["--worker-image", worker_image(), "--script", &script])
        .says("cannot start /run/workqueue/script/work.py")
        .says("hint: use an --image that has the interpreter");
    assert_eq!(bed.messages("job1"), 2, "the items are still there");
}
