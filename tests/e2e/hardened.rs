//! Everything closed that can be, in a namespace with a quota.

use workqueue_test_support::{Bed, Sandbox, seed_worker, worker_image};

use crate::broker::make_certificates;

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_hardened_release_runs_under_a_quota() {
    let (bed, files) = (Bed::new("hardened"), Sandbox::new());
    make_certificates(&files, "workqueue-broker,DNS:workqueue-broker-0");
    let file = |key: &str, name: &str| format!("--from-file={key}={}", files.path(name).display());
    let flags = [file("tls.crt", "cert.pem"), file("tls.key", "key.pem"), file("ca.crt", "ca.pem")];
    bed.kubectl(&["create", "secret", "generic", "broker-tls", &flags[0], &flags[1], &flags[2]]).ok();
    // Every container has to say what it needs and what it may use at most.
    let hard = "--hard=requests.cpu=4,requests.memory=8Gi,limits.cpu=16,limits.memory=16Gi,pods=10";
    bed.kubectl(&["create", "quota", "q", hard]).ok();
    bed.up(&["--preset", "hardened", "--set", "broker.resources.requests.cpu=50m"]).ok();
    let program = ["--worker-image", worker_image(), "--", "sh", "-c", "! touch /x 2>/dev/null && cat"];
    let image = seed_worker();
    let run = [&["run", "--image", &image, "apple"], &program[..]].concat();
    bed.workqueue(&run).ok().prints("apple");
    // Its own tools reach the broker by TLS, and nobody else without.
    assert!(bed.rabbitmqctl(&["list_queues", "name"]).stdout.contains("job1"));
    let plain = "erl -noinput -sname eve -setcookie $(cat /var/lib/rabbitmq/.erlang.cookie) -eval \
        'io:format(\"~s\", [net_adm:ping(list_to_atom(\"rabbit@workqueue-broker-0\"))]), halt().'";
    let ping = ["exec", "workqueue-broker-0", "-c", "rabbitmq", "--", "bash", "-c", plain];
    assert_eq!(bed.kubectl(&ping).ok().stdout, "pang", "a peer without a certificate is let in");
    let policy = bed.get(&["networkpolicy", "workqueue-broker"])["spec"]["ingress"].clone();
    let distribution = policy.as_array().expect("rules").iter().find(|rule| {
        rule["ports"].as_array().is_some_and(|ports| ports.iter().any(|port| port["port"] == 25672))
    });
    let from = &distribution.expect("a rule")["from"][0]["podSelector"]["matchLabels"];
    assert_eq!(from["app.kubernetes.io/component"], "broker", "{policy}");
}
