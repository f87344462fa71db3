//! `build` with fake engines: the command lines that they get, and where output goes.

mod sandbox;

use sandbox::Sandbox;

const SCRIPT: &str = "#!/usr/bin/env python\nprint(1)\n";
const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A fake engine with which all goes well; it lists what it is to build.
fn engine(sandbox: &Sandbox, name: &str) {
    let script = format!(
        r#"case "$1 $5" in
"image r.example/w:1") case $4 in *Digests*) echo '["r.example/w@{DIGEST}"]' ;; *) echo linux/amd64 ;; esac ;;
build*) echo building ;;
push*) echo pushing ;;
esac"#
    );
    sandbox.program(name, &script);
}

#[test]
fn a_directory_is_built_where_it_is() {
    let sandbox = Sandbox::new();
    sandbox.file("work/Dockerfile", "FROM scratch\n");
    engine(&sandbox, "podman");
    let outcome = sandbox.run(&[
        "build",
        "work",
        "--image",
        "r.example/w:1",
        "--platform",
        "linux/arm64",
        "--build-arg",
        "A=1",
        "--build-arg",
        "B=2 3",
        "--no-cache",
        "--docker",
        "podman",
    ]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    // Standard output is data alone: the engine's goes to standard error.
    assert_eq!(outcome.stdout, "r.example/w:1\n");
    let said = "building\nimage r.example/w:1 is built; the nodes get it with: podman push r.example/w:1   \
                (or build with --push)\n";
    assert_eq!(outcome.stderr, said);
    let line = "podman build --tag r.example/w:1 --platform linux/arm64 --build-arg A=1 --build-arg B=2 3 --no-cache work\n";
    assert!(sandbox.calls().starts_with(line), "{}", sandbox.calls());
}

#[test]
fn a_containerfile_is_named_to_the_engine() {
    let sandbox = Sandbox::new();
    sandbox.file("work/Containerfile", "FROM scratch\n");
    engine(&sandbox, "docker");
    assert_eq!(sandbox.run(&["build", "work", "--image", "r.example/w:1"]).code, Some(0));
    let line = "docker build --tag r.example/w:1 --file work/Containerfile work\n";
    assert!(sandbox.calls().starts_with(line), "{}", sandbox.calls());
}

#[test]
fn a_script_is_built_in_a_directory_that_goes_again() {
    let sandbox = Sandbox::new();
    sandbox.file("worker.py", SCRIPT);
    let listing = "case $1 in build) for last; do :; done; echo \"$last\"/*; test -x \"$last/worker.py\" && read -r first < \"$last/Dockerfile\" && echo \"$first\" ;; esac";
    sandbox.program("docker", listing);
    let outcome = sandbox.run(&["build", "worker.py", "--image", "w"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("/Dockerfile [DIR]/"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("# Written by kubectl workqueue build"), "{}", outcome.stderr);
    let left: Vec<_> = std::fs::read_dir(sandbox.path("")).expect("readable").flatten().collect();
    assert!(
        left.iter().all(|entry| !entry.file_name().to_string_lossy().starts_with("kubectl-")),
        "{left:?}"
    );
}

#[test]
fn a_pushed_image_is_pinned() {
    let sandbox = Sandbox::new();
    sandbox.file("worker.py", SCRIPT);
    // A local cluster makes no difference where --push is given.
    sandbox.kubeconfig("kind-dev", "kind-dev");
    engine(&sandbox, "docker");
    let outcome = sandbox.run(&["build", "worker.py", "--image", "r.example/w:1", "--push"]);
    assert_eq!(outcome.stdout, format!("r.example/w@{DIGEST}\n"));
    assert_eq!(outcome.stderr, "building\npushing\nimage r.example/w:1 is pushed\n");
    assert!(sandbox.calls().contains("docker push r.example/w:1\n"), "{}", sandbox.calls());
}

#[test]
fn a_local_cluster_gets_the_image_loaded() {
    let cases = [
        ("kind-dev", "kind-dev", "kind", "kind load docker-image r.example/w:1 --name dev"),
        ("work", "kind-dev", "kind", "kind load docker-image r.example/w:1 --name dev"),
        ("minikube", "minikube", "minikube", "minikube image load r.example/w:1 -p minikube"),
        ("k3d-dev", "k3d-dev", "k3d", "k3d image import r.example/w:1 -c dev"),
    ];
    for (context, cluster, tool, line) in cases {
        let sandbox = Sandbox::new();
        sandbox.file("worker.py", SCRIPT);
        sandbox.kubeconfig(context, cluster);
        engine(&sandbox, "docker");
        sandbox.program(tool, "");
        let outcome = sandbox.run(&["build", "worker.py", "--image", "r.example/w:1"]);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(0), "r.example/w:1\n"),
            "{}",
            outcome.stderr
        );
        assert!(sandbox.calls().ends_with(&format!("{line}\n")), "{}", sandbox.calls());
        assert!(!sandbox.calls().contains("push"), "{}", sandbox.calls());
    }
}

#[test]
fn print_dockerfile_starts_nothing() {
    let sandbox = Sandbox::new();
    sandbox.file("worker.py", SCRIPT);
    let outcome =
        sandbox.run(&["build", "worker.py", "--print-dockerfile", "--image", "r.example/w:1", "--push"]);
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.stdout.contains("\nFROM python:3-slim\n"), "{}", outcome.stdout);
    let expected =
        "would run: docker build --tag r.example/w:1 DIRECTORY\nwould run: docker push r.example/w:1\n";
    assert_eq!(outcome.stderr, expected);
    let other = sandbox.run(&["build", "worker.py", "--print-dockerfile", "--base-image", "my/python:1"]);
    assert!(other.stdout.contains("\nFROM my/python:1\n"), "{}", other.stdout);
    sandbox.file("Dockerfile", "FROM scratch\n");
    assert_eq!(sandbox.run(&["build", "--print-dockerfile"]).stdout, "FROM scratch\n");
}

/// The first bytes of a 64-bit executable without a loader, for this machine.
fn static_executable() -> Vec<u8> {
    let mut head = b"\x7fELF\x02\x01".to_vec();
    head.resize(120, 0);
    let machine = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    // The table of program headers stands at 64, its entries have 56 bytes, and there is one.
    (head[18], head[32], head[54], head[56], head[64]) = (machine, 64, 56, 1, 1);
    head
}

#[test]
fn a_static_worker_on_path_goes_into_the_image() {
    let sandbox = Sandbox::new();
    sandbox.file("worker.py", SCRIPT);
    std::fs::write(sandbox.path("bin/workqueue-worker"), static_executable()).expect("writable");
    let build = ["build", "worker.py", "--print-dockerfile"];
    let text = sandbox.run(&build).stdout;
    assert!(text.contains("\nCOPY workqueue-worker /usr/local/bin/workqueue-worker\n"), "{text}");
    assert!(!text.contains("amqp-consume"), "{text}");
    // Its architecture is that of this machine.
    let text = sandbox.run(&[build.as_slice(), &["--platform", "linux/s390x"]].concat()).stdout;
    assert!(text.contains("amqp-consume") && !text.contains("workqueue-worker"), "{text}");
}

#[test]
fn an_image_of_the_worker_alone() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("worker"), static_executable()).expect("writable");
    sandbox.program("docker", "case $1 in build) for last; do :; done; echo \"$last\"/* ;; esac");
    let args = ["build", "--worker-only", "--worker", "worker", "--image", "r.example/w:1"];
    let outcome = sandbox.run(&args);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("/workqueue-worker\n"), "{}", outcome.stderr);
    let text = sandbox.run(&[args.as_slice(), &["--print-dockerfile"]].concat()).stdout;
    assert!(
        text.contains("\nFROM scratch\n") && text.contains("ENTRYPOINT [\"/workqueue-worker\"]"),
        "{text}"
    );
}
