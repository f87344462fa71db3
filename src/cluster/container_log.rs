//! Follows the log of a container from its start to its end, and reports each line once.
//!
//! A log stream may end for many reasons, such as log rotation or a restart of the API server or the
//! kubelet. Only the state of the container shows whether more lines will follow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{AsyncBufReadExt as _, AsyncReadExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, LogParams};
use tokio::sync::mpsc;

use super::log_lines::{Pieces, SeenLines};
use super::log_selection::{LogStart, all_statuses};
use super::pod_event::{LogLine, PodEvent};
use super::{Cluster, Error};

/// Maximum length of a line in bytes. The rest of a longer line is reported as further lines.
pub(super) const MAX_LINE: u64 = 256 * 1024;

/// Pause before a stream is reopened.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A container that has started and therefore has a log.
pub(super) struct Container {
    pub pod: Arc<str>,
    pub name: Arc<str>,
    /// Changes when the container restarts.
    pub id: String,
}

impl Container {
    pub(super) fn started(pod: &Pod, status: &ContainerStatus) -> Option<Self> {
        let state = status.state.as_ref()?;
        let id = match (&state.running, &state.terminated) {
            (Some(_), _) => status.container_id.clone(),
            (None, Some(ended)) => ended.container_id.clone().or_else(|| status.container_id.clone()),
            (None, None) => return None,
        };
        Some(Self { pod: pod.name_any().into(), name: status.name.as_str().into(), id: id? })
    }

    /// The request for its log from there on.
    pub(super) fn log_params(&self, from: LogStart) -> LogParams {
        LogParams {
            container: Some(self.name.to_string()),
            timestamps: true,
            since_seconds: from.since.map(since_seconds),
            tail_lines: from.tail.map(i64::from),
            ..LogParams::default()
        }
    }

    /// A piece of its log, which may end in a newline.
    pub(super) fn line(&self, time: Option<Timestamp>, text: &[u8]) -> PodEvent {
        let text = text.strip_suffix(b"\n").unwrap_or(text).to_vec();
        PodEvent::Line(LogLine { pod: Arc::clone(&self.pod), container: Arc::clone(&self.name), time, text })
    }
}

/// A length of time as the API server takes it: at least one second.
fn since_seconds(since: Duration) -> i64 {
    i64::try_from(since.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).max(1)
}

/// Whether the container with this id can still write.
fn is_running(pod: &Pod, id: &str) -> bool {
    all_statuses(pod).any(|status| {
        let running = status.state.as_ref().is_some_and(|state| state.running.is_some());
        running && status.container_id.as_deref() == Some(id)
    })
}

pub(super) struct LogStream {
    cluster: Cluster,
    api: Api<Pod>,
    container: Container,
    events_tx: mpsc::Sender<Result<PodEvent, Error>>,
    seen: SeenLines,
    from: LogStart,
    /// When its turn came to be read.
    asked: Instant,
    /// Whether the log has been opened.
    is_open: bool,
}

/// How a stream ended.
enum StreamEnd {
    Clean,
    Broken(String),
    /// The user may not read the log. Retrying does not help.
    Refused(Error),
    ReceiverGone,
}

impl LogStream {
    pub(super) fn new(
        cluster: &Cluster,
        container: Container,
        from: LogStart,
        events_tx: mpsc::Sender<Result<PodEvent, Error>>,
    ) -> Self {
        Self {
            cluster: cluster.clone(),
            api: cluster.api(),
            container,
            events_tx,
            seen: SeenLines::default(),
            from,
            asked: Instant::now(),
            is_open: false,
        }
    }

    /// Reports each line once, until the container has ended and its log has been read.
    pub(super) async fn run(mut self) {
        let pod = Arc::clone(&self.container.pod);
        let mut last_try = false;
        loop {
            let end = self.stream_once().await;
            let reason = match end {
                StreamEnd::ReceiverGone => return,
                StreamEnd::Refused(error) => return self.incomplete(pod, error.to_string()).await,
                StreamEnd::Clean => None,
                StreamEnd::Broken(reason) => Some(reason),
            };
            let asked = self.cluster.call("reading the pod", self.api.get_opt(&pod)).await;
            match (asked, reason) {
                (Ok(Some(pod)), _) if is_running(&pod, &self.container.id) => {}
                (Ok(_), None) => return,
                // The container has ended, but the stream broke early: read the rest once more.
                (Ok(Some(_)), Some(_)) if !last_try => last_try = true,
                (Ok(_), Some(reason)) => return self.incomplete(pod, reason).await,
                // Without the pod's state, there is no way to know when the log ends.
                (Err(error), _) if error.is_refusal() => {
                    return self.incomplete(pod, error.to_string()).await;
                }
                // The server is unreachable: it may come back, or the caller's deadline ends this.
                (Err(_), _) => {}
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Reports that the rest of the log cannot be read.
    async fn incomplete(self, pod: Arc<str>, reason: String) {
        // If the receiver is gone, nobody needs the event.
        self.events_tx.send(Ok(PodEvent::Incomplete { pod, reason })).await.ok();
    }

    fn not_opened(&self, error: kube::Error) -> StreamEnd {
        let reason = error.to_string();
        let error = self.cluster.error("reading the log", error);
        if error.is_refusal() { StreamEnd::Refused(error) } else { StreamEnd::Broken(reason) }
    }

    fn params(&self) -> LogParams {
        let since = self.from.since.map(|since| since + self.asked.elapsed());
        let from = LogStart { since, ..self.from };
        let params = LogParams { follow: true, ..self.container.log_params(from) };
        match self.seen.since() {
            Some(time) => {
                LogParams { since_time: Some(time), since_seconds: None, tail_lines: None, ..params }
            }
            // A tail without a line yet: what was written since it was asked for.
            None if self.is_open && self.from.tail.is_some() => {
                let since = since.unwrap_or_else(|| self.asked.elapsed());
                LogParams { since_seconds: Some(since_seconds(since)), tail_lines: None, ..params }
            }
            None => params,
        }
    }

    /// Reads the log until the stream ends.
    async fn stream_once(&mut self) -> StreamEnd {
        let mut stream = match self.api.log_stream(&self.container.pod, &self.params()).await {
            Ok(stream) => std::pin::pin!(stream),
            Err(error) => return self.not_opened(error),
        };
        self.is_open = true;
        let mut skip = self.seen.clone();
        let mut line = Vec::new();
        let mut pieces = Pieces::default();
        loop {
            line.clear();
            // Bounds the memory for long lines.
            match stream.as_mut().take(MAX_LINE).read_until(b'\n', &mut line).await {
                Ok(0) => return StreamEnd::Clean,
                Ok(_) => {}
                Err(error) => return StreamEnd::Broken(error.to_string()),
            }
            let (time, text) = pieces.take(&line);
            if !self.seen.is_new(time, &mut skip) {
                continue;
            }
            if self.events_tx.send(Ok(self.container.line(time, text))).await.is_err() {
                return StreamEnd::ReceiverGone;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    #[test]
    fn a_container_has_a_log_once_it_has_started() {
        let pod = |state: serde_json::Value| -> Pod {
            serde_json::from_value(serde_json::json!({"metadata": {"name": "p"},
                "spec": {"containers": [{"name": "c"}]}, "status": {
                "containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false,
                    "restartCount": 0, "containerID": "docker://1", "state": state}]}}))
            .expect("a pod")
        };
        let started = |pod: &Pod| all_statuses(pod).find_map(|status| Container::started(pod, status));
        assert!(started(&pod(serde_json::json!({"waiting": {}}))).is_none());
        assert!(started(&pod(serde_json::json!({"running": {}}))).is_some());
        let ended = pod(serde_json::json!({"terminated": {"exitCode": 0}}));
        assert!(started(&ended).is_some());
        assert!(!is_running(&ended, "docker://1"));
    }

    /// A server that refuses all requests. With `gives_logs`, it answers requests for logs with an
    /// empty log.
    async fn refusing_server(gives_logs: bool) -> Cluster {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("it connects");
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.expect("a request"));
                }
                let (code, body) = match memchr::memmem::find(&request, b"/log?") {
                    Some(_) if gives_logs => (200, String::new()),
                    _ => (
                        403,
                        serde_json::json!({"kind": "Status", "status": "Failure", "code": 403,
                            "reason": "Forbidden", "message": "user cannot"})
                        .to_string(),
                    ),
                };
                let head = format!(
                    "HTTP/1.1 {code} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all((head + &body).as_bytes()).await.expect("it listens");
            }
        });
        let config = kube::Config::new(url.parse().expect("a URL"));
        Cluster::with_config(config).await.expect("a client")
    }

    #[tokio::test]
    async fn a_refusal_is_reported_once_and_ends_following() {
        for (gives_logs, expected) in [(false, "reading the log"), (true, "reading the pod")] {
            let cluster = refusing_server(gives_logs).await;
            let (events_tx, mut events_rx) = mpsc::channel(8);
            let container = Container { pod: "p".into(), name: "c".into(), id: "docker://1".to_owned() };
            let follow = LogStream::new(&cluster, container, LogStart::default(), events_tx);
            let run = tokio::time::timeout(Duration::from_secs(10), follow.run());
            run.await.expect("it does not go on for ever");
            let Some(Ok(PodEvent::Incomplete { reason, .. })) = events_rx.recv().await else {
                panic!("a refusal is reported")
            };
            assert_eq!(reason, format!("{expected} is forbidden: user cannot"));
            assert!(events_rx.recv().await.is_none());
        }
    }
}
