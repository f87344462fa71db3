//! The endpoint over HTTP, byte by byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::endpoint::{Answer, Endpoint, Offered};
use super::invocation::Invocation;
use super::server;
use crate::platform::raise_open_files;

/// Nothing here may take longer.
const LONGEST: Duration = Duration::from_secs(60);

/// An endpoint that is served until the value is dropped.
pub(super) struct Served {
    pub(super) endpoint: Arc<Endpoint>,
    address: SocketAddr,
    _ended_tx: oneshot::Sender<()>,
}

impl Served {
    pub(super) async fn new(concurrency: usize) -> Self {
        let (listener, endpoint) =
            (server::listen().await.expect("loopback"), Arc::new(Endpoint::new(concurrency)));
        let (address, (ended_tx, ended_rx)) = (listener.local_addr().expect("bound"), oneshot::channel());
        assert!(address.ip().is_loopback());
        tokio::spawn(server::serve(listener, endpoint.clone(), ended_rx));
        Self { endpoint, address, _ended_tx: ended_tx }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }

    /// Sends bytes, and reads what comes until the other side has no more to say.
    pub(super) async fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.expect("it reads");
        read(&mut stream).await
    }

    /// Takes the item that is offered; its request id.
    pub(super) async fn next(&self) -> String {
        let reply = self.exchange(get("invocation/next")).await;
        let id = reply.split("Lambda-Runtime-Aws-Request-Id: ").nth(1).expect("an id");
        id.lines().next().expect("a line").to_owned()
    }

    pub(super) fn offer(&self) -> Offered<'_> {
        self.endpoint.offer(Invocation {
            event: Bytes::from_static(b"{}"),
            client_context: "{}".to_owned(),
            function_arn: "arn".to_owned(),
            limit: None,
        })
    }
}

/// One reply: the other side may keep the connection open, unless it was asked not to.
pub(super) async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    timeout(LONGEST, stream.read_to_end(&mut bytes)).await.expect("an end").ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn get(path: &str) -> String {
    format!("GET /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

pub(super) fn post(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(super) fn status(reply: &str) -> &str {
    reply.split(' ').nth(1).unwrap_or(reply)
}

/// The answer for an item that was offered.
async fn answer(offered: &mut Offered<'_>) -> Answer {
    timeout(LONGEST, &mut offered.answer_rx).await.expect("an answer").expect("it is served")
}

#[tokio::test]
async fn a_response_is_accepted_once_and_for_its_own_item_only() {
    let served = Served::new(1).await;
    let mut offered = served.offer();
    let id = served.next().await;
    let unknown =
        served.exchange(post("invocation/00000000-0000-4000-8000-000000000000/response", "", "x")).await;
    assert_eq!(status(&unknown), "400", "{unknown}");
    assert!(unknown.contains("InvalidRequestID"), "{unknown}");
    let path = format!("invocation/{id}/response");
    assert_eq!(status(&served.exchange(post(&path, "", "out")).await), "202");
    assert_eq!(status(&served.exchange(post(&path, "", "again")).await), "400");
    let Answer::Response(body) = answer(&mut offered).await else { panic!("it was a response") };
    assert_eq!(body, "out");
}

#[tokio::test]
async fn an_answer_after_the_time_limit_changes_nothing() {
    let served = Served::new(1).await;
    let offered = served.offer();
    let id = served.next().await;
    drop(offered);
    for what in ["response", "error"] {
        let reply = served.exchange(post(&format!("invocation/{id}/{what}"), "", "late")).await;
        assert_eq!(status(&reply), "400", "{what}");
    }
}

#[tokio::test]
async fn headers_of_a_mebibyte_fit_and_larger_ones_are_refused() {
    let served = Served::new(1).await;
    let mut offered = served.offer();
    let path = format!("invocation/{}/error", served.next().await);
    let header = |bytes| format!("Lambda-Runtime-Function-XRay-Error-Cause: {}\r\n", "x".repeat(bytes));
    let refused = served.exchange(post(&path, &header(2 << 20), "{}")).await;
    assert!(["431", ""].contains(&status(&refused)), "{refused}");
    let body = r#"{"errorType": "E", "errorMessage": "m"}"#;
    assert_eq!(status(&served.exchange(post(&path, &header(1 << 20), body)).await), "202");
    let Answer::Error(error) = answer(&mut offered).await else { panic!("it was an error") };
    assert_eq!(error.to_string(), "E: m");
}

#[tokio::test]
async fn a_streaming_response_is_never_done() {
    let served = Served::new(1).await;
    let mut offered = served.offer();
    let path = format!("invocation/{}/response", served.next().await);
    let request = format!(
        "POST /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\
         Trailer: Lambda-Runtime-Function-Error-Type\r\n\r\n3\r\nout\r\n0\r\n\
         Lambda-Runtime-Function-Error-Type: E\r\n\r\n"
    );
    let reply = served.exchange(request).await;
    assert_eq!(status(&reply), "400", "{reply}");
    let Answer::Error(error) = answer(&mut offered).await else { panic!("it is not done") };
    assert!(error.to_string().contains("streams its response"), "{error}");
}

#[tokio::test]
async fn a_chunked_response_is_read_to_its_end() {
    let served = Served::new(1).await;
    let mut offered = served.offer();
    let path = format!("invocation/{}/response", served.next().await);
    let chunked = format!(
        "POST /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n3\r\nout\r\n3\r\nput\r\n0\r\n\r\n"
    );
    assert_eq!(status(&served.exchange(chunked).await), "202");
    assert!(matches!(answer(&mut offered).await, Answer::Response(body) if body == "output"));
}

#[tokio::test]
async fn a_response_that_breaks_off_is_no_answer() {
    let served = Served::new(1).await;
    let mut offered = served.offer();
    let path = format!("invocation/{}/response", served.next().await);
    let mut stream = served.connect().await;
    let whole = post(&path, "", "0123456789");
    stream.write_all(&whole.as_bytes()[..whole.len() - 5]).await.expect("it reads");
    drop(stream);
    assert_eq!(status(&served.exchange(post(&path, "", "whole")).await), "202");
    assert!(matches!(answer(&mut offered).await, Answer::Response(body) if body == "whole"));
}

#[tokio::test]
async fn a_response_that_is_too_large_is_a_failed_attempt() {
    let served = Served::new(1).await;
    let mut offered = served.offer();
    let path = format!("invocation/{}/response", served.next().await);
    let reply = served.exchange(post(&path, "", &"x".repeat((16 << 20) + 1))).await;
    assert_eq!(status(&reply), "413", "{reply}");
    assert!(
        matches!(answer(&mut offered).await, Answer::Error(error) if error.to_string().contains("larger"))
    );
}

#[tokio::test]
async fn an_error_of_the_start_is_taken_before_the_first_item_only() {
    let served = Served::new(1).await;
    let body = r#"{"errorType": "E", "errorMessage": "m"}"#;
    assert_eq!(status(&served.exchange(post("init/error", "", body)).await), "202");
    assert_eq!(served.endpoint.reported().expect("it was said").to_string(), "E: m");

    let started = Served::new(1).await;
    let _offered = started.offer();
    started.next().await;
    assert_eq!(status(&started.exchange(post("init/error", "", body)).await), "403");
}

#[tokio::test]
async fn a_program_that_cannot_start_takes_no_item() {
    let served = Served::new(1).await;
    assert_eq!(status(&served.exchange(post("init/error", "", "")).await), "202");
    let mut offered = served.offer();
    timeout(Duration::from_millis(200), served.next()).await.expect_err("it is ended soon");
    offered.taken_rx.try_recv().expect_err("it still waits for the next program");
}

#[tokio::test]
async fn everything_else_is_not_found() {
    let served = Served::new(1).await;
    for path in ["restore/next", "invocation", "invocation/a/b/response", "", "invocation/x/stream"] {
        assert_eq!(status(&served.exchange(get(path)).await), "404", "{path}");
    }
    let extension = "POST /2020-01-01/extension/register HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&served.exchange(extension).await), "404");
    assert_eq!(status(&served.exchange(post("invocation/next", "", "")).await), "405");
    assert_eq!(status(&served.exchange(get("invocation/x/response")).await), "405");
    assert_eq!(status(&served.exchange("\r\n\x16\x03\x01 no HTTP\r\n\r\n").await), "400");
}

#[tokio::test]
async fn a_client_that_waits_and_leaves_takes_no_item_with_it() {
    let served = Served::new(2).await;
    let mut gone = served.connect().await;
    gone.write_all(get("invocation/next").as_bytes()).await.expect("it reads");
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(gone);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let _offered = served.offer();
    timeout(LONGEST, served.next()).await.expect("it is still offered");
}

#[tokio::test]
async fn ten_thousand_half_open_connections_do_no_harm() {
    let served = Served::new(1).await;
    // Both ends are ours.
    let needed = 10_500;
    assert!(
        raise_open_files(needed) >= needed,
        "the limit of open files is too low for this test: `ulimit -n`"
    );
    let mut open = Vec::new();
    for number in 0..10_000 {
        let mut stream = served.connect().await;
        let part: &[u8] = if number % 2 == 0 { b"POST /2018-06-01/runt" } else { b"" };
        stream.write_all(part).await.ok();
        open.push(stream);
        if number % 1000 == 0 {
            let mut offered = served.offer();
            let id = served.next().await;
            let path = format!("invocation/{id}/response");
            assert_eq!(status(&served.exchange(post(&path, "", "x")).await), "202");
            answer(&mut offered).await;
        }
    }
    assert_eq!(served.endpoint.under_way(), 0);
}
