//! `build` for several platforms, with fake engines.

use insta::assert_snapshot;
use workqueue_test_support::{Sandbox, static_program};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

const BUILD: [&str; 7] =
    ["build", "work", "--image", "r.example/w:1", "--platform", "linux/amd64,linux/arm64", "--push"];

fn with_directory() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("work/Dockerfile", "FROM scratch\n");
    sandbox
}

/// A fake docker that has no buildx, and a registry that takes everything.
fn plain_docker(sandbox: &Sandbox) {
    let script = format!("case \"$1 $2\" in buildx*) exit 1 ;; 'manifest push') echo '{DIGEST}' ;; esac");
    sandbox.program("docker", &script);
}

#[test]
fn without_buildx_each_platform_is_pushed_and_then_their_list() {
    let sandbox = with_directory();
    plain_docker(&sandbox);
    assert_snapshot!(sandbox.run(&BUILD), @"
    exit code 0
    --- stdout
    r.example/w@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    --- stderr
    image r.example/w:1 is pushed
    ");
    assert_snapshot!(sandbox.calls(), @"
    docker buildx version
    docker buildx inspect
    docker build --tag r.example/w:1-linux-amd64 --platform linux/amd64 --build-arg TARGETARCH=amd64 --no-cache work
    docker push r.example/w:1-linux-amd64
    docker buildx inspect
    docker build --tag r.example/w:1-linux-arm64 --platform linux/arm64 --build-arg TARGETARCH=arm64 --no-cache work
    docker push r.example/w:1-linux-arm64
    docker manifest rm r.example/w:1
    docker manifest create r.example/w:1 r.example/w:1-linux-amd64 r.example/w:1-linux-arm64
    docker manifest push --purge r.example/w:1
    ");
}

#[test]
fn buildx_builds_for_all_platforms_at_once() {
    let sandbox = with_directory();
    let metadata = format!("printf '{{\"containerimage.digest\": \"{DIGEST}\"}}' > \"$4\"");
    sandbox.program("docker", &format!("case \"$1 $2\" in 'buildx build') {metadata} ;; esac"));
    let built = sandbox.run(&BUILD).ok();
    assert_eq!(built.stdout, format!("r.example/w@{DIGEST}\n"));
    let calls = sandbox.calls();
    let end = " --push --tag r.example/w:1 --platform linux/amd64,linux/arm64 work\n";
    assert!(
        calls.contains("\ndocker buildx build --metadata-file [DIR]/") && calls.ends_with(end),
        "{calls}"
    );
}

#[test]
fn each_architecture_gets_its_worker() {
    let sandbox = Sandbox::new();
    sandbox.file("bin/workqueue-worker-linux-amd64", static_program(62));
    let args = ["build", "--worker-only", "--image", "r.example/w:1", "--push", "--platform"];
    let both = [args.as_slice(), &["linux/amd64,linux/arm64"]].concat();
    plain_docker(&sandbox);
    sandbox.run(&both).exits(1).says("error: there is no static workqueue-worker");
    sandbox.file("bin/workqueue-worker-linux-arm64", static_program(183));
    assert_snapshot!(sandbox.run(&[both.as_slice(), &["--print-dockerfile"]].concat()), @r#"
    exit code 0
    --- stdout
    # Written by kubectl workqueue build --worker-only.
    FROM scratch
    ARG TARGETARCH
    COPY workqueue-worker-linux-$TARGETARCH /workqueue-worker
    USER 65532:65532
    ENTRYPOINT ["/workqueue-worker"]
    --- stderr
    would run: docker buildx build --push --tag r.example/w:1 --platform linux/amd64,linux/arm64 DIRECTORY
    "#);
    // Without buildx, each image is made with only its own worker, whose ELF machine stands at its 18th byte.
    let look = "for last; do :; done; PATH=/usr/bin:/bin; cd \"$last\" && echo * && od -An -tu1 -j18 -N1 workqueue-worker";
    sandbox.program("docker", &format!("case $1 in buildx) exit 1 ;; build) {look} ;; esac"));
    let built = sandbox.run(&both).ok();
    for machine in ["  62", " 183"] {
        let context = format!("Dockerfile workqueue-worker\n{machine}\n");
        assert!(built.stderr.contains(&context), "{}", built.stderr);
    }
}

#[test]
fn an_image_for_several_platforms_needs_a_registry_and_docker() {
    let sandbox = with_directory();
    plain_docker(&sandbox);
    sandbox.program("podman", "");
    assert_snapshot!(sandbox.run(&BUILD[..6]), @"
    exit code 1
    --- stderr
    error: an image for several platforms exists in a registry only, and not in the store of docker
    hint: push it with --push, or name one platform with --platform
    ");
    assert_snapshot!(sandbox.run(&[&BUILD[..], &["--docker", "podman"]].concat()), @"
    exit code 1
    --- stderr
    error: podman builds images for one platform at a time
    hint: build with docker, which makes a list of them; or make one yourself, and run it with --image
    ");
    sandbox.file("worker", static_program(62));
    sandbox.run(&[&BUILD[..], &["--worker", "worker"]].concat()).exits(1).says("--worker names one file");
}
