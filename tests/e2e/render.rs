//! What `render` prints, a server accepts.

use std::process::Command;

use crate::bed::{Bed, finish, kubectl, spawn};

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
        let applied = finish(spawn(kubectl(), &apply), rendered.as_bytes()).ok();
        let sent = rendered.lines().filter(|line| line.starts_with("kind: ")).count();
        assert_eq!(applied.stdout.lines().count(), sent, "{values:?}:\n{}", applied.stdout);
        assert!(sent >= 4, "{values:?} renders {sent} objects");
    }
    assert_eq!(bed.kubectl(&["get", "statefulsets,services", "-o", "name"]).ok().stdout, "");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_full_disk_is_no_success() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-workqueue")).arg("render").stdout(full).output();
    let output = output.expect("it starts");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write to standard output: No space left on device"), "{said}");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn dry_runs_change_nothing() {
    let bed = Bed::new("dry");
    bed.up(&["--dry-run=server"]).ok().says("the server accepts all of it");
    let client = bed.up(&["--dry-run=client"]).ok().says("no cluster was asked");
    assert!(client.stdout.contains("statefulset.apps/workqueue-broker (dry run)"), "{}", client.stdout);
    assert_eq!(
        bed.kubectl(&["get", "statefulsets,services,configmaps", "-o", "name"])
            .ok()
            .stdout
            .lines()
            .filter(|line| line.contains("workqueue"))
            .count(),
        0
    );
}
