//! The HTTP side of one program's endpoint: a listener on loopback, and a bounded number of connections.

use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::endpoint::Endpoint;
use super::requests::reply;

/// Bytes of a request's head. Clients send a description of an error of up to 1 MiB in one header.
const LARGEST_HEAD: usize = (1 << 20) + (64 << 10);

/// Connections beside one for each item that is under way.
const SPARE_CONNECTIONS: usize = 32;

/// How long the first request of a connection may take to arrive.
const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(30);

/// How long what a program has sent may take to be read once it has ended.
const READ_OUT_WITHIN: Duration = Duration::from_secs(1);

/// Pause after a connection could not be accepted: descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener on a free port of loopback, which only this pod reaches.
///
/// # Errors
/// The system's error.
pub(super) async fn listen() -> std::io::Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await {
        Ok(listener) => Ok(listener),
        // Some pods have IPv6 only.
        Err(error) => TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.map_err(|_| error),
    }
}

/// Serves an endpoint until the program has ended, and then what the program has sent before that.
pub(super) async fn serve(
    listener: TcpListener,
    endpoint: Arc<Endpoint>,
    mut ended_rx: oneshot::Receiver<()>,
) {
    let mut connections = Connections { endpoint, all: Vec::new(), tasks: JoinSet::new() };
    loop {
        tokio::select! {
            biased;
            _ = &mut ended_rx => break,
            Some(_) = connections.tasks.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => connections.take(stream),
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }
    let read_out = async {
        while let Ok(Ok((stream, _))) = timeout(Duration::ZERO, listener.accept()).await {
            connections.take(stream);
        }
        while connections.tasks.join_next().await.is_some() {}
    };
    timeout(READ_OUT_WITHIN, read_out).await.ok();
}

/// The connections of a program.
struct Connections {
    endpoint: Arc<Endpoint>,
    all: Vec<(Arc<Usage>, AbortHandle)>,
    tasks: JoinSet<()>,
}

/// What a connection is used for.
#[derive(Default)]
struct Usage {
    /// Requests that have arrived.
    requests: AtomicUsize,
    /// Whether one of them is being answered.
    is_busy: AtomicBool,
}

impl Connections {
    /// Serves a connection. If there are too many, the oldest without a request gives way.
    fn take(&mut self, stream: TcpStream) {
        self.all.retain(|(_, task)| !task.is_finished());
        if self.all.len() >= SPARE_CONNECTIONS + self.endpoint.concurrency() && !self.make_room() {
            return;
        }
        let usage = Arc::new(Usage::default());
        let task = self.tasks.spawn(converse(stream, self.endpoint.clone(), usage.clone()));
        self.all.push((usage, task));
    }

    /// Ends a connection that was never used, otherwise one that is not used now.
    fn make_room(&mut self) -> bool {
        let unused = |(usage, _): &(Arc<Usage>, _)| usage.requests.load(Ordering::Relaxed) == 0;
        let idle = |(usage, _): &(Arc<Usage>, _)| !usage.is_busy.load(Ordering::Relaxed);
        let found = self.all.iter().position(unused).or_else(|| self.all.iter().position(idle));
        if let Some(at) = found {
            self.all.remove(at).1.abort();
        }
        found.is_some()
    }
}

async fn converse(stream: TcpStream, endpoint: Arc<Endpoint>, usage: Arc<Usage>) {
    stream.set_nodelay(true).ok();
    let service = service_fn(|request| async {
        let _busy = Busy::new(&usage);
        Ok::<_, Infallible>(reply(&endpoint, request).await)
    });
    let connection = http1::Builder::new()
        .max_buf_size(LARGEST_HEAD)
        // As in the documentation, for clients that compare names letter by letter.
        .title_case_headers(true)
        // It would end connections that are idle while the program works.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    let stays_unused = async {
        sleep(FIRST_REQUEST_WITHIN).await;
        if usage.requests.load(Ordering::Relaxed) > 0 {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        // A client that breaks off changes nothing.
        _ = connection => {}
        () = stays_unused => {}
    }
}

/// Marks a connection as busy.
struct Busy<'a>(&'a Usage);

impl<'a> Busy<'a> {
    fn new(usage: &'a Usage) -> Self {
        usage.requests.fetch_add(1, Ordering::Relaxed);
        usage.is_busy.store(true, Ordering::Relaxed);
        Self(usage)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.is_busy.store(false, Ordering::Relaxed);
    }
}
