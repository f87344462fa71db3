//! Ways to a broker other than the tunnel to a plain port.

use std::process::Command;

use workqueue_test_support::{Bed, Running, Sandbox, run, seed_worker, worker_image};

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_broker_is_reached_without_a_tunnel() {
    let bed = Bed::with_release("direct");
    let url = bed.broker_url("amqp", &bed.broker_address());
    let nowhere = ["--kubeconfig", "/nonexistent"];
    let enqueue = |args: &[&str]| bed.workqueue(&[&["enqueue"], args].concat());
    enqueue(&[&["--broker-url", &url, "apple"], &nowhere[..]].concat()).ok().says("1 confirmed");
    bed.kubectl(&["create", "secret", "generic", "mq", &format!("--from-literal=url={url}")]).ok();
    enqueue(&["--broker-secret", "mq", "banana"]).ok().says("1 confirmed");
    assert_eq!(bed.messages("job1"), 2);

    let wrong = url.replacen(&bed.credential("password"), "wrong", 1);
    enqueue(&["--broker-url", &wrong, "cherry"]).exits(1).says("the broker refused the login");
    let tls = url.replacen("amqp://", "amqps://", 1);
    enqueue(&["--timeout", "2s", "--broker-url", &format!("{tls}:5672"), "cherry"]).exits(1);
    enqueue(&["--broker-secret", "mq/other", "cherry"]).exits(1).says("has no key other");
}

/// Makes an authority (`ca.pem`) and its certificate for a DNS name (`cert.pem`, `key.pem`).
pub(crate) fn make_certificates(files: &Sandbox, name: &str) {
    let script = r#"cd "$1"; umask 077
        openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=ca -keyout ca.key -out ca.pem \
            -addext basicConstraints=critical,CA:TRUE
        openssl req -newkey rsa:2048 -nodes -subj "/CN=$2" -keyout key.pem -out request
        printf 'subjectAltName=DNS:%s\nbasicConstraints=CA:FALSE\n' "$2" >extensions
        openssl x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 \
            -extfile extensions -out cert.pem"#;
    let dir = files.path("").display().to_string();
    run(Command::new("sh").args(["-euc", script, "sh", &dir, name])).ok();
}

/// A TLS endpoint in front of a broker: `socat` listens.
fn tls_front(files: &Sandbox, port: u16, broker: &str) -> Running {
    make_certificates(files, "localhost");
    let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));
    let listen = format!(
        "OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,verify=0,cert={},key={}",
        cert.display(),
        key.display()
    );
    Running::start(Command::new("socat").args([listen, format!("TCP:{broker}:5672")]))
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_broker_behind_tls_is_trusted_only_by_its_authority() {
    let bed = Bed::with_release("tls");
    let files = Sandbox::new();
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let _front = tls_front(&files, port, &bed.broker_address());
    let url = bed.broker_url("amqps", &format!("localhost:{port}"));
    let authority = files.path("ca.pem").display().to_string();
    bed.workqueue(&["enqueue", "--broker-url", &url, "--broker-ca", &authority, "apple"])
        .ok()
        .says("1 confirmed");
    bed.workqueue(&["enqueue", "--broker-url", &url, "--timeout", "3s", "banana"]).exits(1);
    assert_eq!(bed.messages("job1"), 1);
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_broker_that_takes_only_tls_is_used_like_any_other() {
    let bed = Bed::new("tls-only");
    let files = Sandbox::new();
    make_certificates(&files, "workqueue-broker");
    let file = |key: &str, name: &str| format!("--from-file={key}={}", files.path(name).display());
    let flags = [file("tls.crt", "cert.pem"), file("tls.key", "key.pem"), file("ca.crt", "ca.pem")];
    bed.kubectl(&["create", "secret", "generic", "broker-tls", &flags[0], &flags[1], &flags[2]]).ok();
    // One that was plain before: the URL that workers read follows it.
    bed.up(&["--no-wait"]).ok();
    let tls = "broker.tls.enabled=true,broker.tls.only=true,broker.tls.existingSecret=broker-tls";
    bed.up(&["--set", tls]).ok().prints("secret/workqueue-credentials configured");
    bed.up(&["--set", tls]).ok().prints("secret/workqueue-credentials unchanged");
    bed.workqueue(&["enqueue", "apple", "banana"]).ok().says("2 confirmed");
    bed.workqueue(&["peek"]).ok().prints("apple").prints("banana");
    bed.run_script(&[], "cat").ok().says("is complete: 2 done");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_broker_does_not_jump_over_versions() {
    let bed = Bed::with_old_broker("jump");
    bed.up(&["--set", "broker.securityContext.readOnlyRootFilesystem=true"]).ok();
    bed.workqueue(&["enqueue", "apple"]).ok();
    let image = workqueue_test_support::variable("WORKQUEUE_TEST_BROKER_IMAGE");
    let (repository, tag) = image.rsplit_once(':').expect("a tag");
    let set = format!("broker.image.repository={repository},broker.image.tag={tag}");
    bed.workqueue(&["up", "--set", &set])
        .exits(1)
        .says("error: the broker runs RabbitMQ 3.10, which cannot be upgraded to 4.0 in one step")
        .says("3.10 -> 3.11 -> 3.12 -> 3.13 -> 4.0")
        .says("rabbitmqctl enable_feature_flag all");
    bed.up(&["--set", "broker.image.tag=3.9"]).exits(1).says("RabbitMQ 3.9 does not boot with its data");
    // Nothing was applied, and what is not known is not judged.
    assert_eq!(bed.messages("job1"), 1);
    bed.up(&["--dry-run=server", "--set", "broker.image.tag=nightly"]).ok();
}

/// In each way in which a program can be started. The program sees that it cannot write, and where it can.
fn read_only_workers_do_their_work(bed: &Bed) {
    let image = seed_worker();
    let read_only = ["--set", "worker.securityContext.readOnlyRootFilesystem=true", "--image", &image];
    let script = "! touch /etc/x 2>/dev/null && touch /tmp/x && echo wrote $(cat)";
    for (flags, item) in [(&["--worker-image", worker_image()][..], "apple"), (&["--amqp-consume"], "banana")]
    {
        let head = [&["run"], &read_only[..], flags, &[item, "--", "/bin/sh", "-c", script]].concat();
        bed.workqueue(&head).ok().prints(&format!("wrote {item}"));
    }
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_number_is_a_quantity_and_an_up_with_nothing_to_do_waits_for_nothing() {
    let bed = Bed::new("quantity");
    let set = "broker.resources.limits.cpu=2,broker.securityContext.readOnlyRootFilesystem=true";
    bed.up(&["--set", set]).ok();
    let applied = bed.get(&["statefulset", "workqueue-broker"]);
    assert_eq!(applied["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"], "2");
    let again = bed.up(&["--set", set]).ok();
    assert!(!again.stderr.contains("pod"), "{}", again.stderr);
    read_only_workers_do_their_work(&bed);
}
