//! Connections, consumers and brokers that go away while items are worked on.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use workqueue_test_support::{Bench, ended};

/// A way to the broker that can be cut.
pub struct Wire {
    pub url: String,
    pub cut: Arc<Notify>,
}

impl Wire {
    pub async fn to(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        assert_eq!(scheme, "amqp", "the test cuts plain connections");
        let (login, rest) = rest.split_once('@').expect("a URL with a login");
        let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}:5672") };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let cut = Arc::new(Notify::new());
        let scissors = cut.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (host, scissors) = (host.clone(), scissors.clone());
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(&host).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        () = scissors.notified() => {}
                    }
                });
            }
        });
        let path = path.map(|path| format!("/{path}")).unwrap_or_default();
        Self { url: format!("{scheme}://{login}@127.0.0.1:{port}{path}"), cut }
    }
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_connection_that_breaks_leaves_programs_running() {
    let bench = Bench::with_items(&["a", "b", "c", "d"]).await;
    let wire = Wire::to(&bench.url).await;
    let program = ["sh", "-c", "sleep 3; echo ran"];
    let worker = bench.start_at(&wire.url, &["--concurrency", "2"], &program);
    bench.until_ready(2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    wire.cut.notify_waiters();
    let run = ended(worker).await.ok().says("connecting again");
    let mut lines: Vec<String> = run.stdout.lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["1\tran", "2\tran", "3\tran", "4\tran"], "{}", run.stderr);
    assert_eq!(bench.records(4).await.len(), 4);
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_program_that_ends_without_a_connection_is_settled_later() {
    let bench = Bench::with_items(&["a"]).await;
    let wire = Wire::to(&bench.url).await;
    let worker = bench.start_at(&wire.url, &[], &["sh", "-c", "sleep 1; echo ran"]);
    bench.until_ready(0).await;
    // Cut again and again, so that no new connection lives until the program has ended.
    for _ in 0..30 {
        wire.cut.notify_waiters();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(ended(worker).await.ok().stdout, "ran\n");
    assert_eq!((bench.ready("").await, bench.records(1).await.len()), (0, 1));
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_cancelled_consumer_is_not_a_drained_queue() {
    let bench = Bench::with_items(&["a"]).await;
    let worker = bench.start(&["--forever"], &["sh", "-c", "cat; echo"]);
    bench.until_ready(0).await;
    // The broker cancels the consumers of a queue that is deleted. With a new queue of the same
    // name the work goes on, and without one the worker says so.
    let again = Bench::attach(&bench.url, &bench.queue).await;
    bench.delete("").await;
    bench.declare().await;
    again.fill(&[b"b"]).await;
    again.until_ready(0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.delete("").await;
    let run = ended(worker).await.exits(1).says("there is no queue");
    assert_eq!(run.stdout, "a\nb\n");
    bench.clear().await;
}
