//! `build` with fake engines: the command lines that they get, and where output goes.

use insta::assert_snapshot;
use workqueue_test_support::Sandbox;

use super::{engine, with_script};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A fake engine with which all goes well; it tells what it is to do.
fn good_engine(sandbox: &Sandbox, name: &str) {
    let script = format!(
        r#"case "$1 $5" in
"image r.example/w:1") case $4 in *Digests*) echo '["r.example/w@{DIGEST}"]' ;; *) echo linux/amd64 ;; esac ;;
build*) echo building ;;
push*) echo pushing ;;
esac"#
    );
    sandbox.program(name, &script);
}

/// A fake docker that lists the directory that it is to build.
fn listing_engine(sandbox: &Sandbox) {
    let list = "for last; do :; done; echo \"$last\"/*";
    let look = "[ ! -x \"$last/worker.py\" ] || read -r first < \"$last/Dockerfile\"; echo \"$first\"";
    sandbox.program("docker", &format!("case $1 in build) {list}; {look} ;; esac"));
}

#[test]
fn a_directory_is_built_where_it_is() {
    let sandbox = Sandbox::new();
    sandbox.file("work/Dockerfile", "FROM scratch\n");
    good_engine(&sandbox, "podman");
    let flags = "--platform linux/arm64 --build-arg A=1 --no-cache --docker podman --build-arg";
    let flags: Vec<&str> = flags.split(' ').chain(["B=2 3"]).collect();
    // Standard output is only data: the engine's goes to standard error.
    assert_snapshot!(sandbox.run(&[&["build", "work", "--image", "r.example/w:1"], &flags[..]].concat()), @"
    exit code 0
    --- stdout
    r.example/w:1
    --- stderr
    building
    image r.example/w:1 is built, but the nodes do not have it yet; push it, or build with --push:
      podman push r.example/w:1
    ");
    assert_snapshot!(sandbox.calls(), @"
    podman build --tag r.example/w:1 --platform linux/arm64 --build-arg A=1 --build-arg B=2 3 --no-cache work
    podman image inspect --format {{.Os}}/{{.Architecture}} r.example/w:1
    ");
}

#[test]
fn a_builder_in_a_container_loads_its_image() {
    let sandbox = Sandbox::new();
    sandbox.file("work/Dockerfile", "FROM scratch\n");
    engine(&sandbox, "buildx) printf 'Name: b\\nDriver:        docker-container\\n' ;;");
    let flags = ["--secret", "id=token,src=token", "--ssh", "default", "--namespace", "other"];
    sandbox.run(&[&["build", "work", "--image", "r.example/w:1"], &flags[..]].concat()).ok();
    assert_snapshot!(sandbox.calls(), @"
    docker buildx inspect
    docker build --load --tag r.example/w:1 --secret id=token,src=token --ssh default work
    docker image inspect --format {{.Os}}/{{.Architecture}} r.example/w:1
    ");
}

#[test]
fn a_containerfile_is_named_to_the_engine() {
    let sandbox = Sandbox::new();
    sandbox.file("work/Containerfile", "FROM scratch\n");
    good_engine(&sandbox, "docker");
    sandbox.run(&["build", "work", "--image", "r.example/w:1"]).ok();
    assert_snapshot!(sandbox.calls(), @"
    docker buildx inspect
    docker build --tag r.example/w:1 --file work/Containerfile work
    docker image inspect --format {{.Os}}/{{.Architecture}} r.example/w:1
    ");
}

#[test]
fn a_script_is_built_in_a_directory_that_goes_again() {
    let sandbox = with_script();
    listing_engine(&sandbox);
    let outcome = sandbox.run(&["build", "worker.py", "--image", "w"]).ok();
    outcome.says("/Dockerfile [DIR]/").says("# Written by kubectl workqueue build");
    let left: Vec<_> = std::fs::read_dir(sandbox.path("")).expect("readable").flatten().collect();
    assert!(
        left.iter().all(|entry| !entry.file_name().to_string_lossy().starts_with("kubectl-")),
        "{left:?}"
    );
}

#[test]
fn a_pushed_image_is_pinned() {
    let sandbox = with_script();
    // A local cluster makes no difference where --push is given.
    sandbox.kubeconfig("kind-dev", "kind-dev");
    good_engine(&sandbox, "docker");
    assert_snapshot!(sandbox.run(&["build", "worker.py", "--image", "r.example/w:1", "--push"]), @"
    exit code 0
    --- stdout
    r.example/w@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    --- stderr
    building
    pushing
    image r.example/w:1 is pushed
    ");
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
        let sandbox = with_script();
        sandbox.kubeconfig(context, cluster);
        good_engine(&sandbox, "docker");
        sandbox.program(tool, "");
        let outcome = sandbox.run(&["build", "worker.py", "--image", "r.example/w:1"]).ok();
        assert_eq!(outcome.stdout, "r.example/w:1\n");
        assert!(sandbox.calls().ends_with(&format!("{line}\n")), "{}", sandbox.calls());
        assert!(!sandbox.calls().contains("push"), "{}", sandbox.calls());
    }
}

#[test]
fn print_dockerfile_starts_nothing() {
    let sandbox = with_script();
    let build = ["build", "worker.py", "--print-dockerfile"];
    assert_snapshot!(sandbox.run(&[&build[..], &["--image", "r.example/w:1", "--push"]].concat()), @r#"
    exit code 0
    --- stdout
    # Written by kubectl workqueue build. BROKER_URL and QUEUE are set by the Job.
    FROM python:3-slim
    USER root
    RUN if ! command -v amqp-consume >/dev/null; then \
          if command -v apt-get >/dev/null; then \
            apt-get update && apt-get install -y --no-install-recommends amqp-tools ca-certificates && \
            rm -rf /var/lib/apt/lists/*; \
          elif command -v apk >/dev/null; then \
            apk add --no-cache rabbitmq-c-utils ca-certificates; \
          else \
            echo 'the base image has neither amqp-consume nor apt-get nor apk to install it with' >&2; exit 1; \
          fi; \
        fi
    RUN command -v python >/dev/null || \
        { found=$(command -v python3) && mkdir -p /usr/local/bin && ln -s "$found" /usr/local/bin/python; } || \
        { echo 'the base image has no python: choose another with --base-image' >&2; exit 1; }
    COPY worker.py /app/worker.py
    ENV HOME=/tmp PYTHONUNBUFFERED=1
    WORKDIR /tmp
    USER 65532:65532
    ENTRYPOINT []
    CMD ["/bin/sh","-c","dir=$(mktemp -d) || exit\ntrap 'kill $!' TERM\namqp-consume --url=\"$BROKER_URL\" -q \"$QUEUE\" -c 1 -- /bin/sh -c '\n  cat >\"$0/item\" && \"$@\" <\"$0/item\"; status=$?; echo $status >\"$0/status\"; exit $status\n' \"$dir\" \"$@\" &\nwait $! || exit\nexit \"$(cat \"$dir/status\")\"","worker","/app/worker.py"]
    --- stderr
    would run: docker build --tag r.example/w:1 DIRECTORY
    would run: docker push r.example/w:1
    "#);
    sandbox.run(&[&build[..], &["--base-image", "my/python:1"]].concat()).prints("\nFROM my/python:1\n");
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
    let sandbox = with_script();
    sandbox.file("bin/workqueue-worker", static_executable());
    let build = ["build", "worker.py", "--print-dockerfile"];
    let text = sandbox.run(&build).stdout;
    assert!(text.contains("\nCOPY workqueue-worker /usr/local/bin/workqueue-worker\n"), "{text}");
    assert!(!text.contains("amqp-consume"), "{text}");
    // Its architecture is that of this machine.
    let text = sandbox.run(&[build.as_slice(), &["--platform", "linux/s390x"]].concat()).stdout;
    assert!(text.contains("amqp-consume") && !text.contains("workqueue-worker"), "{text}");
}

#[test]
fn an_image_of_only_the_worker() {
    let sandbox = Sandbox::new();
    sandbox.file("worker", static_executable());
    listing_engine(&sandbox);
    let args = ["build", "--worker-only", "--worker", "worker", "--image", "r.example/w:1"];
    sandbox.run(&args).ok().says("/workqueue-worker\n");
    assert_snapshot!(sandbox.run(&[args.as_slice(), &["--print-dockerfile"]].concat()), @r#"
    exit code 0
    --- stdout
    # Written by kubectl workqueue build --worker-only.
    FROM scratch
    COPY workqueue-worker /workqueue-worker
    USER 65532:65532
    ENTRYPOINT ["/workqueue-worker"]
    --- stderr
    would run: docker build --tag r.example/w:1 DIRECTORY
    "#);
}
