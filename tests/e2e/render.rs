//! What `render` prints, a server accepts.

use workqueue_test_support::{Bed, kubectl, run_with_input};

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn the_server_accepts_every_object() {
    let bed = Bed::new("render");
    for values in [
        &["--kube-version", "1.20.2"][..],
        &["--kube-version", "1.20.2", "--preset", "ephemeral"],
        &["--kube-version", "1.20.2", "--preset", "production"],
        &["--kube-version", "1.20.2", "--set", "worker.image=busybox"],
    ] {
        let rendered = bed.workqueue(&[&["render"], values].concat()).ok().stdout;
        let apply = ["apply", "--namespace", &bed.namespace, "--dry-run=server", "-f", "-"];
        let applied = run_with_input(kubectl().args(apply), rendered.as_bytes()).ok();
        let sent = rendered.lines().filter(|line| line.starts_with("kind: ")).count();
        assert_eq!(applied.stdout.lines().count(), sent, "{values:?}:\n{}", applied.stdout);
        assert!(sent >= 4, "{values:?} renders {sent} objects");
    }
    assert_eq!(bed.names("statefulsets,services"), "");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn dry_runs_change_nothing() {
    let bed = Bed::new("dry");
    bed.up(&["--dry-run=server"]).ok().says("the server accepts all of it");
    let client = bed.up(&["--dry-run=client"]).ok().says("no cluster was contacted");
    client.prints("statefulset.apps/workqueue-broker (dry run)");
    let objects = bed.names("statefulsets,services,configmaps");
    assert!(!objects.contains("workqueue"), "{objects}");
}
