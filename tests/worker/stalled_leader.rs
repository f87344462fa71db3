//! A quorum queue whose leader is there and does not answer: nobody may take it for empty.

use tokio::process::Command;
use workqueue_amqp::topology::{self, Depth};
use workqueue_amqp::{Broker, Endpoint, Error};
use workqueue_test_support::{Bench, ended};

/// The process of a queue's leader, suspended or resumed with the broker's own tools.
struct Leader {
    container: String,
    queue: String,
}

impl Leader {
    async fn suspend(&self) {
        self.eval("sys:suspend", ", 10000").await;
    }

    async fn resume(&self) {
        self.eval("sys:resume", "").await;
    }

    async fn eval(&self, function: &str, arguments: &str) {
        let call = format!("{function}(list_to_atom(\"%2F_{}\"){arguments}).", self.queue);
        // As the broker's user: root would take its cookie.
        let command = ["exec", "-u", "rabbitmq", &self.container, "rabbitmqctl", "eval", &call];
        let output = Command::new("docker").args(command).output().await.expect("docker is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_leader_that_does_not_answer_is_no_empty_queue() {
    let container = std::env::var("WORKQUEUE_TEST_AMQP_CONTAINER")
        .expect("WORKQUEUE_TEST_AMQP_CONTAINER is not set: run it with tests/worker/with-broker");
    let bench = Bench::with_items(&["a", "b"]).await;
    let leader = Leader { container, queue: bench.queue.clone() };
    leader.suspend().await;

    // With --halt a worker counts before it takes anything.
    let worker = bench.start(&["--halt", "soon,fail=5"], &["sh", "-c", "echo ran $(cat)"]);
    let endpoint = Endpoint::parse(&bench.url, None).expect("it was one before");
    let queue = bench.queue.parse().expect("a legal name");
    let broker = Broker::connect(&endpoint, "tests").await.expect("the broker is there");
    let reported = topology::reported_depth(&broker, &queue).await.expect("an answer");
    assert_eq!(reported, Some(Depth::default()), "the broker is honest: no need to ask the leader");
    let depth = topology::depth(&broker, &queue).await;
    assert!(matches!(depth, Err(Error::NoAnswer { .. })), "{depth:?}");
    broker.close().await;

    leader.resume().await;
    let run = ended(worker).await.ok().says("has not answered for 10 s");
    assert_eq!(run.stdout, "ran a\nran b\n", "{}", run.stderr);
    bench.clear().await;
}
