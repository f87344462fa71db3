//! The installer and the release archives, with a fake program in their place.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use insta::assert_snapshot;
use workqueue_test_support::{Outcome, Sandbox, plugin, root, static_program};

use super::manifests::{HERE, manifests, package_for};

/// Packs an archive of fake programs for this machine into `dist/`.
fn package(sandbox: &Sandbox) -> PathBuf {
    sandbox.program("kubectl-workqueue", "echo fake 0.0.0");
    package_for(sandbox, HERE)
}

fn install(sandbox: &Sandbox, args: &[&str]) -> Outcome {
    let mut command = Command::new(root().join("install.sh"));
    let path = format!("{}:/usr/bin:/bin", sandbox.path("prefix/bin").display());
    command
        .args(args)
        .env_clear()
        .env("HOME", sandbox.path("home"))
        .env("PATH", path)
        .current_dir(sandbox.path(""));
    sandbox.finish(&mut command)
}

#[test]
fn an_archive_is_installed_and_removed() {
    let sandbox = Sandbox::new();
    let archive = package(&sandbox);
    let archive = archive.to_str().expect("text");
    for _ in 0..2 {
        let outcome = install(&sandbox, &["--prefix", "prefix", "--from", archive]);
        let outcome = outcome.ok().prints("installed [DIR]/prefix/bin/kubectl_complete-workqueue\n");
        assert!(!outcome.stdout.contains("is not on PATH"), "{}", outcome.stdout);
    }
    let version = sandbox.finish(&mut Command::new(sandbox.path("prefix/bin/kubectl-workqueue")));
    assert_eq!(version.stdout, "fake 0.0.0\n");
    install(&sandbox, &["--prefix", "prefix", "--uninstall"]).ok();
    assert_eq!(std::fs::read_dir(sandbox.path("prefix/bin")).expect("kept").count(), 0);
    let again = install(&sandbox, &["--prefix=prefix", "--uninstall"]);
    assert_eq!(again.stdout, "nothing of kubectl workqueue is in [DIR]/prefix/bin\n");
}

#[test]
fn the_installer_says_what_is_wrong() {
    let sandbox = Sandbox::new();
    let archive = package(&sandbox);
    let elsewhere = install(&sandbox, &["--prefix", "other", "--from", archive.to_str().expect("text")]);
    elsewhere.prints("warning: [DIR]/other/bin is not on PATH");
    let plain = sandbox.file("plain", "");
    let blocked = install(&sandbox, &["--prefix", "plain", "--from", archive.to_str().expect("text")]);
    assert_snapshot!(blocked, @"
    exit code 1
    --- stderr
    error: cannot make [DIR]/plain/bin
    hint: choose another place with --prefix
    ");
    assert!(plain.is_file());
    assert_snapshot!(install(&sandbox, &["--from", "no-such-file"]), @"
    exit code 1
    --- stderr
    error: cannot read no-such-file
    ");
    install(&sandbox, &["--from", "prefix-that-is-no-archive"]).exits(1);
    install(&sandbox, &["--unknown"]).exits(2);
    sandbox.file("broken/kubectl-workqueue", "no program");
    let broken = install(&sandbox, &["--from", "broken"]);
    broken.says("error: broken/kubectl-workqueue does not run on this machine");
}

#[test]
fn a_directory_of_archives_has_one_for_this_machine() {
    let sandbox = Sandbox::new();
    let archive = package(&sandbox);
    sandbox.file("bin/kubectl-workqueue.exe", "fake");
    package_for(&sandbox, "windows-amd64");
    let from_all = || install(&sandbox, &["--prefix", "prefix", "--from", "dist"]);
    from_all().exits(1).says("error: dist holds neither kubectl-workqueue nor SHA256SUMS");
    manifests(&sandbox);
    from_all().ok().prints("installed [DIR]/prefix/bin/kubectl-workqueue\n");
    std::fs::write(&archive, "something else").expect("ours");
    let name = archive.file_name().and_then(|name| name.to_str()).expect("text");
    from_all()
        .exits(1)
        .says(&format!("error: the checksum of dist/{name} is not the one in dist/SHA256SUMS"));
    let one = install(&sandbox, &["--prefix", "prefix", "--from", &format!("dist/{name}")]);
    one.exits(1).says("is damaged, or not the one that was released");
    sandbox.file("dist/SHA256SUMS", "");
    from_all().exits(1).says("error: dist has no archive for ");
}

#[test]
fn archives_are_the_same_byte_for_byte() {
    let sandbox = Sandbox::new();
    let first = std::fs::read(package(&sandbox)).expect("readable");
    assert_eq!(first, std::fs::read(package(&sandbox)).expect("readable"));
}

#[test]
fn a_link_to_the_plugin_finds_the_workers_beside_it() {
    let sandbox = Sandbox::new();
    sandbox.file("store/workqueue-worker-linux-arm64", "no executable");
    let store = sandbox.file("store/kubectl-workqueue", std::fs::read(plugin()).expect("it was built"));
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o755)).expect("ours");
    std::fs::create_dir(sandbox.path("krew")).expect("writable");
    std::os::unix::fs::symlink(&store, sandbox.path("krew/kubectl-workqueue")).expect("writable");
    let render = || {
        let mut command = Command::new(sandbox.path("krew/kubectl-workqueue"));
        command.args(["render", "--with-worker"]).env_clear();
        command.env("KUBECONFIG", sandbox.path("none")).env("PATH", sandbox.path("bin"));
        sandbox.finish(&mut command)
    };
    render().exits(1).says("there is no static workqueue-worker next to kubectl-workqueue");
    sandbox.file("store/workqueue-worker-linux-arm64", static_program(183));
    sandbox.file("store/workqueue-worker", static_program(62));
    let rendered =
        render().ok().prints("name: workqueue-worker-arm64-").prints("name: workqueue-worker-amd64-");
    // That of another release would not know all flags.
    let mut old = static_program(62);
    old.truncate(64);
    old.extend_from_slice(b"[workqueue-worker version 0.0.1]");
    sandbox.file("store/workqueue-worker", &old);
    render().exits(1).says("store/workqueue-worker is the worker of version 0.0.1, and this plugin is ");
    sandbox.file("store/workqueue-worker", &old[..64]);
    render().exits(1).says("store/workqueue-worker is a worker of an unknown version");
    sandbox.file("store/workqueue-worker", static_program(62));
    // A name alone makes no worker.
    sandbox.file("store/workqueue-worker-linux-arm64", static_program(62));
    let one = render().ok();
    assert!(
        rendered.stdout.len() > one.stdout.len() && !one.stdout.contains("worker-arm64-"),
        "{}",
        one.stdout
    );
}
