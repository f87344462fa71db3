//! What a hostile program in a worker's pod can do with what it finds there.

use workqueue_test_support::{Attempt, Bed, attempt, seed_worker, variable, worker_image};

/// Nobody but the administrator and the user who runs may do this to another queue.
const ATTEMPTS: [Attempt; 7] = [
    Attempt::Get,
    Attempt::Consume,
    Attempt::Publish,
    Attempt::PublishThrough("victim"),
    Attempt::Bind,
    Attempt::Purge,
    Attempt::Delete,
];

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_hostile_program_reaches_its_own_queue_only_on_rabbitmq_4() {
    hostile(&Bed::new("hostile"), "WORKQUEUE_TEST_BROKER_IMAGE");
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_hostile_program_reaches_its_own_queue_only_on_rabbitmq_3_10() {
    hostile(&Bed::with_old_broker("hostile-old"), "WORKQUEUE_TEST_BROKER_IMAGE_OLD");
}

fn hostile(bed: &Bed, broker_image: &str) {
    bed.up(&["--set", "broker.management.enabled=true"]).ok();
    bed.workqueue(&[
        "run",
        "--queue",
        "victim",
        "--image",
        &seed_worker(),
        "--worker-image",
        worker_image(),
        "a",
        "--",
        "cat",
    ])
    .ok();
    bed.workqueue(&["enqueue", "--queue", "victim", "kept"]).ok();
    // What a program in a pod knows, and what it reaches from there.
    let told = in_a_pod(bed, broker_image, "");
    let find = |name: &str| {
        let line = told.lines().find_map(|line| line.split_once(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("no {name} in {told}")).1.trim().to_owned()
    };
    assert_eq!(find("token"), "none", "there is a login for the API server");
    assert_eq!(find("distribution"), "pang", "the cookie can be guessed");
    assert!(find("definitions").contains("401"), "{told}");
    assert!(find("user").contains("401"), "{told}");
    for key in ["username", "password"] {
        assert!(!find("environment").contains(&bed.credential(key)) || key == "username", "{told}");
    }
    let account = format!("--as=system:serviceaccount:{}:default", bed.namespace);
    let may = ["auth", "can-i", "get", "secret/workqueue-credentials", &account];
    assert_eq!(bed.kubectl(&may).stdout.trim(), "no");

    let own = find("url").replace("workqueue-broker", &bed.broker_address());
    let administrator = bed.broker_url("amqp", &format!("{}:5672", bed.broker_address()));
    let shared = bed.shared_workers_url();
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(attacks(&own, &shared, &administrator));

    // The cookie itself opens the door that the guesses did not.
    let told = in_a_pod(bed, broker_image, &bed.secret("workqueue-cookie", "erlang-cookie"));
    assert!(told.contains("distribution=pong"), "the guess could not have worked: {told}");
}

async fn attacks(own: &str, shared: &str, administrator: &str) {
    let refused = async |url: &str, what: Attempt, queue: &str| {
        let said = attempt(url, what, queue).await.expect_err(&format!("{what:?} on {queue} worked"));
        assert!(said.contains("ACCESS_REFUSED"), "{what:?} on {queue}: {said}");
    };
    for what in ATTEMPTS {
        refused(own, what, "victim").await;
    }
    for queue in ["victim.results", "victim.failed", "victim.ledger"] {
        refused(own, Attempt::Publish, queue).await;
        refused(own, Attempt::PublishThrough("victim"), queue).await;
        refused(own, Attempt::Delete, queue).await;
    }
    for what in [Attempt::Declare, Attempt::DeclareExchange] {
        refused(own, what, "new").await;
    }
    // Its own queue: not everything either.
    for what in [Attempt::Delete, Attempt::Publish, Attempt::DeclareExchange] {
        refused(own, what, "job1").await;
    }
    let unbound = attempt(own, Attempt::PublishThrough("job1"), "job1").await;
    assert!(unbound.expect_err("a worker adds items").contains("NO_ROUTE"));
    refused(own, Attempt::Get, "job1.ledger").await;
    refused(own, Attempt::Get, "job1.results").await;
    attempt(own, Attempt::PublishThrough("job1"), "job1.failed").await.expect("workers do that");
    // The user of workers that Helm starts may read and report for every queue, but no more.
    for what in [Attempt::Publish, Attempt::Bind, Attempt::Delete, Attempt::Declare] {
        refused(shared, what, "victim").await;
    }
    // All of it works for who may.
    for what in ATTEMPTS {
        let queue = if what == Attempt::PublishThrough("victim") { "victim.failed" } else { "victim" };
        attempt(administrator, what, queue).await.unwrap_or_else(|said| panic!("{what:?}: {said}"));
    }
}

/// Runs a program in a worker's pod that tells what it finds. It tries to join the cluster with a cookie,
/// or else with what the pod knows.
fn in_a_pod(bed: &Bed, broker_image: &str, cookie: &str) -> String {
    const PROGRAM: &str = r#"read -r cookie
        echo "url=$BROKER_URL"
        echo "environment=$(env | tr '\n' ' ')"
        [ -e /var/run/secrets ] && echo "token=$(ls -R /var/run/secrets)" || echo "token=none"
        login=${BROKER_URL#*://} login=${login%@*} password=${login#*:}
        namespace=$(sed -n 's/^search \([^.]*\).*/\1/p' /etc/resolv.conf)
        [ "$cookie" != guess ] || cookie=$(printf %s "$namespace/workqueue-credentials/$password" | sha256sum | cut -c-40)
        http() {
            exec 3<>/dev/tcp/workqueue-broker/15672
            printf '%s HTTP/1.0\r\nAuthorization: Basic %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' \
                "$1" "$(printf %s "$login" | base64 -w0)" "${#2}" "$2" >&3
            head -1 <&3
        }
        echo "definitions=$(http 'GET /api/definitions' '')"
        echo "user=$(http 'PUT /api/users/eve' '{"password":"eve","tags":"administrator"}')"
        address=$(getent hosts workqueue-broker-0.workqueue-broker-nodes | cut -d' ' -f1)
        echo "{host, {${address//./,}}, [\"workqueue-broker-0\"]}. {lookup, [file, native]}." >/tmp/inet
        ERL_INETRC=/tmp/inet erl -noinput -sname eve -setcookie "$cookie" -eval \
            'io:format("distribution=~s~n", [net_adm:ping(list_to_atom("rabbit@workqueue-broker-0"))]), halt().'"#;
    let item = if cookie.is_empty() { "guess" } else { cookie };
    let image = variable(broker_image);
    let head = ["run", "--image", &image, "--worker-image", worker_image(), item];
    bed.workqueue(&[&head[..], &["--", "bash", "-c", PROGRAM]].concat()).ok().stdout
}
