//! The worker that the plugin brings: into any image, with no container engine on PATH, and only if it is
//! the one that the Job names.

use serde_json::{Value, json};

use workqueue_test_support::{
    Bed, Sandbox, kubectl, numbers, registry, run as run_once, run_with_input, worker_image,
};

/// The ConfigMaps with the worker.
const ARCHIVES: [&str; 3] = ["configmaps", "-l", "app.kubernetes.io/component=worker-archive"];

fn image(name: &str) -> String {
    format!("{}/{name}", registry())
}

fn archives(bed: &Bed) -> Vec<Value> {
    bed.get(&ARCHIVES)["items"].as_array().expect("a list").clone()
}

/// What tells objects from later ones with their names.
fn uids(objects: &[Value]) -> Vec<&str> {
    objects.iter().filter_map(|object| object["metadata"]["uid"].as_str()).collect()
}

/// Deletes all runs, and waits until their pods are gone.
fn forget(bed: &Bed) {
    bed.kubectl(&["delete", "jobs", "--all"]).ok();
    bed.kubectl(&["wait", "--for=delete", "pods", "-l", "app.kubernetes.io/component=worker"]);
}

fn map_brings_the_worker_too(bed: &Bed) {
    let files = Sandbox::new();
    let script = files.file("square.sh", "#!/bin/sh\nread -r n\necho $((n * n))\n").display().to_string();
    let image = image("debian:bookworm-slim");
    let map = ["map", "-k", "--queue", "squares", "--image", &image, "--script", &script];
    let squares: String = (1..=200).map(|n| format!("{}\n", n * n)).collect();
    let mapped = bed.workqueue_with_input(&map, numbers(200)).ok();
    assert_eq!(mapped.stdout, squares);
    // The same line on this machine. Its script has no permission to be executed, and needs none.
    let local = ["local", "-k", "--script", &script];
    let here = run_with_input(&mut Sandbox::new().command(&local), numbers(200).as_bytes()).ok();
    assert!(here.bytes == mapped.bytes, "{here}");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn any_image_runs_a_program_right_after_up() {
    let bed = Bed::with_worker("inject");
    // The node has the images.
    let run = |image: &str, flags: &[&str], program: &[&str]| {
        let head = ["run", "--image", image, "--set", "worker.imagePullPolicy=IfNotPresent"];
        bed.workqueue(&[&head, flags, &["apple", "--"], program].concat()).ok().says("is complete: 1 done")
    };
    let eat = ["sh", "-c", "read fruit; echo $(id -u) ate $fruit"];
    run(&image("busybox:latest"), &[], &eat).prints("65532 ate apple");
    let stored = archives(&bed);
    assert_eq!(stored.len(), 3, "{stored:?}");
    map_brings_the_worker_too(&bed);
    for map in &stored {
        assert_eq!(
            (&map["immutable"], &map["metadata"]["labels"]["kubernetes.io/arch"]),
            (&true.into(), &"amd64".into())
        );
    }

    run(&image("debian:bookworm-slim"), &[], &eat).prints("65532 ate apple");
    // An empty image with a static program.
    run(worker_image(), &[], &["/workqueue-worker", "--version"]).prints(" workqueue-worker ");
    // The same with the user that the image names, while the broker's image names none.
    let own = ["--set", "worker.podSecurityContext.runAsUser=null,worker.podSecurityContext.runAsGroup=null"];
    run(worker_image(), &own, &["/workqueue-worker", "--version"]).prints(" workqueue-worker ");
    let other = "worker.securityContext.readOnlyRootFilesystem=true,worker.podSecurityContext.runAsUser=1234";
    run(&image("busybox:latest"), &["--set", other], &eat).prints("1234 ate apple");

    // Every container needs requests then.
    bed.kubectl(&["create", "quota", "q", "--hard=requests.cpu=8,requests.memory=16Gi"]).ok();
    let requests = "worker.resources.requests.cpu=10m,worker.resources.requests.memory=16Mi";
    run(&image("busybox:latest"), &["--set", requests], &eat).prints("65532 ate apple");
    assert_eq!(uids(&archives(&bed)), uids(&stored), "the first run has stored it for all");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn the_charts_role_allows_to_bring_workers_for_all_architectures() {
    let bed = Bed::with_worker("inject-role");
    let subject = "roles.create=true,roles.subjects.run[0].kind=User,roles.subjects.run[0].name=nobody,\
        roles.subjects.run[0].apiGroup=rbac.authorization.k8s.io";
    bed.up(&["--set", subject]).ok();
    let mut config = bed.kubectl(&["config", "view", "--raw", "--minify", "-o", "json"]).ok().json();
    config["users"][0]["user"]["as"] = "nobody".into();
    let files = Sandbox::new();
    let config = files.file("kubeconfig", config.to_string()).display().to_string();
    let image = image("debian:bookworm-slim");
    let head = ["run", "--kubeconfig", &config, "--image", &image];

    // Nobody may not ask for the nodes. That one of the workers is none is the other nodes' concern.
    bed.workqueue(&[&head[..], &["apple", "--", "cat"]].concat()).ok().prints("apple");
    let stored = archives(&bed);
    let of = |architecture: &str| {
        let label = |map: &&Value| map["metadata"]["labels"]["kubernetes.io/arch"] == architecture;
        stored.iter().filter(label).count()
    };
    assert_eq!((of("amd64"), of("arm64")), (3, 1));

    // A directory of scripts goes the same way.
    files.file("fruit/main.sh", "#!/bin/sh\n. \"$(dirname \"$0\")/lib/eat.sh\"\neat \"$1\"\n");
    files.file("fruit/lib/eat.sh", "eat() { read -r fruit; echo \"$1 ate $fruit\"; }\n");
    let script = files.path("fruit").display().to_string();
    let more = ["--script", &script, "banana", "--", "she"];
    bed.workqueue(&[&head[..], &more].concat()).ok().prints("she ate banana");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_worker_that_somebody_changed_is_refused() {
    let bed = Bed::with_worker("inject-changed");
    let image = image("debian:bookworm-slim");
    let run = ["run", "--image", &image, "--parallelism", "1", "apple", "--", "cat"];
    bed.workqueue(&run).ok().prints("apple");

    let mut changed = archives(&bed).remove(1);
    let name = changed["metadata"]["name"].as_str().expect("a name").to_owned();
    changed["binaryData"]["part"] = json!("bm90IHRoZSB3b3JrZXIK");
    changed["metadata"]
        .as_object_mut()
        .expect("a map")
        .retain(|field, _| ["name", "labels", "annotations"].contains(&field.as_str()));
    // The kubelet keeps what is immutable for as long as a pod is there that uses it.
    forget(&bed);
    bed.kubectl(&["delete", "configmap", &name]).ok();
    let create = ["--namespace", &bed.namespace, "create", "-f", "-"];
    run_with_input(kubectl().args(create), changed.to_string().as_bytes()).ok();
    bed.workqueue(&run)
        .exits(4)
        .says("error: the workers cannot start: pod workqueue-job1-")
        .says("the worker in the ConfigMaps does not have the SHA-256 digest")
        .says(&name)
        .says("hint: delete the ConfigMaps");
    assert_eq!(bed.messages("job1"), 1, "the item is still there");

    forget(&bed);
    bed.kubectl(&["delete", "configmap", &name]).ok();
    bed.workqueue(&["run", "--image", &image, "--", "cat"]).ok().prints("apple");
    bed.workqueue(&["down", "--yes"]).ok();
    assert!(archives(&bed).is_empty());
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn rendered_workers_are_used_and_old_ones_deleted() {
    let bed = Bed::with_worker("inject-render");
    let values = bed.image_values();
    let plain = bed.workqueue(&["render", "--set", &values]).ok().stdout;
    assert!(!plain.contains("worker-archive"), "{plain}");
    let rendered = bed.workqueue(&["render", "--set", &values, "--with-worker"]).ok().stdout;
    let apply = ["apply", "--namespace", &bed.namespace, "--server-side", "--force-conflicts", "-f", "-"];
    run_with_input(kubectl().args(apply), rendered.as_bytes()).ok();
    let stored = archives(&bed);
    assert_eq!(stored.len(), 4, "of two architectures");

    let labels = |version: &str| {
        json!({"app.kubernetes.io/name": "workqueue", "app.kubernetes.io/instance": "workqueue",
            "app.kubernetes.io/component": "worker-archive", "app.kubernetes.io/version": version})
    };
    let map = |name: &str, version: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels(version)}});
    let mut job_labels = labels("0.0.1");
    job_labels["app.kubernetes.io/component"] = "worker".into();
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "labels": job_labels},
        "spec": {"parallelism": 0, "template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "c", "image": "x"}],
            "volumes": [{"name": "v", "configMap": {"name": "mounted"}}]}}}});
    let objects = [map("old", "0.0.1"), map("mounted", "0.0.1"), map("new", "999.0.0"), job];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let create = ["--namespace", &bed.namespace, "create", "-f", "-"];
    run_with_input(kubectl().args(create), list.as_bytes()).ok();

    let image = image("debian:bookworm-slim");
    bed.workqueue(&["run", "--image", &image, "apple", "--", "cat"]).ok().prints("apple");
    let left = archives(&bed);
    let names: Vec<_> = left.iter().filter_map(|map| map["metadata"]["name"].as_str()).collect();
    assert!(names.contains(&"mounted") && names.contains(&"new") && !names.contains(&"old"), "{names:?}");
    assert!(
        uids(&stored).iter().all(|uid| uids(&left).contains(uid)),
        "what was applied is not used: {names:?}"
    );
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn without_a_worker_the_cure_is_said_before_anything_starts() {
    let bed = Bed::with_release("inject-none");
    bed.workqueue(&["run", "--image", "x", "apple", "--", "cat"])
        .exits(1)
        .says("error: there is no static workqueue-worker next to kubectl-workqueue or on PATH")
        .says("hint: `cargo install` installs none");
    let queues = bed.workqueue(&["queues"]).ok().stdout;
    assert!(!queues.contains("job1"), "{queues}");
    assert_eq!(bed.names("jobs"), "");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn two_builds_of_the_plugin_keep_each_others_workers_while_runs_use_them() {
    let bed = Bed::with_worker("inject-two");
    let image = image("debian:bookworm-slim");
    let run = |queue: &'static str| {
        ["run", "--image", &image, "--queue", queue, "--detach", "apple", "--", "sleep", "600"]
    };
    bed.workqueue(&run("q1")).ok();
    let first = archives(&bed);
    assert_eq!(first.len(), 3);
    let has_first = || uids(&first).iter().all(|uid| uids(&archives(&bed)).contains(uid));

    // The other build brings its own, and leaves those of a run at work.
    run_once(&mut bed.other_command(&run("q2"))).ok();
    assert_eq!(archives(&bed).len(), 6);
    assert!(has_first());
    // Whoever paused a run has not ended it.
    let of_first = bed.get(&["jobs", "-l", "app.kubernetes.io/component=worker"]);
    let runs = of_first["items"].as_array().expect("a list").iter();
    let named = |queue: &str| {
        let mut runs = runs.clone();
        let job = runs.find(|job| job["metadata"]["name"].to_string().contains(queue)).expect("its job");
        job["metadata"]["labels"]["kubectl-workqueue/run"].as_str().expect("a run").to_owned()
    };
    bed.workqueue(&["pause", &named("q1")]).ok();
    run_once(&mut bed.other_command(&run("q3"))).ok();
    assert!(has_first());
    bed.workqueue(&["resume", &named("q1")]).ok();

    // Once nobody uses them, the next run of the other build deletes them.
    bed.workqueue(&["stop", &named("q1")]).ok();
    run_once(&mut bed.other_command(&run("q4"))).ok();
    assert!(uids(&first).iter().all(|uid| !uids(&archives(&bed)).contains(uid)));
    assert_eq!(archives(&bed).len(), 3);
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_script_that_somebody_else_wrote_is_not_started() {
    let bed = Bed::with_worker("inject-script");
    let files = Sandbox::new();
    let script = files.file("eat.sh", "#!/bin/sh\nread -r fruit; echo ate $fruit\n").display().to_string();
    let image = image("debian:bookworm-slim");
    let run = ["run", "--image", &image, "--parallelism", "1", "--script", &script];
    bed.workqueue(&[&run[..], &["apple"]].concat()).ok().prints("ate apple");
    forget(&bed);

    // Nobody can start pods until the ConfigMap is another one.
    let unschedulable = ["--set", "worker.nodeSelector.e2e-inject-script=yes", "--detach", "banana"];
    bed.workqueue(&[&run[..], &unschedulable].concat()).ok();
    let job = bed.names("jobs").trim().replace("job.batch/", "");
    let mut map = bed.get(&["configmap", &job]);
    map["data"]["eat.sh"] = json!("#!/bin/sh\necho stole it\n");
    map["metadata"] = json!({"name": job});
    bed.kubectl(&["delete", "configmap", &job]).ok();
    let create = ["--namespace", &bed.namespace, "create", "-f", "-"];
    run_with_input(kubectl().args(create), map.to_string().as_bytes()).ok();
    let label = |value: &str| {
        let nodes = ["label", "nodes", "--all", "--overwrite", value];
        run_once(kubectl().args(nodes)).ok();
    };
    label("e2e-inject-script=yes");
    let attached = bed.workqueue(&["attach"]);
    label("e2e-inject-script-");
    attached
        .exits(4)
        .says("somebody else has written the ConfigMap of the script")
        .says("find out who writes ConfigMaps with the names of Jobs");
    assert_eq!(bed.messages("job1"), 1, "the item is still there");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_run_that_cannot_start_leaves_nothing_behind() {
    let bed = Bed::with_worker("inject-undone");
    let files = Sandbox::new();
    let script = files.file("eat.sh", "#!/bin/sh\ncat\n").display().to_string();
    let image = image("debian:bookworm-slim");
    let run = ["run", "--image", &image, "--outputs", "--script", &script];
    bed.workqueue(&[&run[..], &["apple"]].concat()).ok();
    let run_queues = || bed.rabbitmqctl(&["list_queues", "--silent", "name"]).stdout.lines().count();
    let (before, jobs) = (run_queues(), bed.names("jobs"));
    // The script's ConfigMap is created after the Job.
    bed.kubectl(&["create", "quota", "none", "--hard=configmaps=1"]).ok();
    bed.workqueue(&[&run[..], &["banana"]].concat())
        .exits(1)
        .says("exceeded quota")
        .says("1 item is in queue job1: to continue, run it again without items");
    assert_eq!((run_queues(), bed.names("jobs")), (before, jobs));
    bed.kubectl(&["delete", "quota", "none"]).ok();
    bed.workqueue(&run).ok().says("is complete: 1 done");
}
