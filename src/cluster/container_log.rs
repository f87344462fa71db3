//! The log of one container from its start to its end, each line once.
//!
//! A log stream ends for many reasons (rotation, a restarted API server or kubelet): only the
//! state of the container tells whether more is to come.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{AsyncBufReadExt as _, AsyncReadExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, LogParams};
use tokio::sync::mpsc;

use super::diagnose::main_status;
use super::pod_event::PodEvent;
use super::{Cluster, Error};

/// The longest line handed on, in bytes; the rest of a longer one comes as lines of its own.
pub(super) const MAX_LINE: u64 = 256 * 1024;

/// Pause before a stream is opened again.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A container that has started, and so has a log.
pub(super) struct Container {
    pub pod: Arc<str>,
    pub name: String,
    /// Differs between restarts of one container.
    pub id: String,
}

impl Container {
    pub(super) fn started(pod: &Pod) -> Option<Self> {
        let status = main_status(pod)?;
        let state = status.state.as_ref()?;
        let id = match (&state.running, &state.terminated) {
            (Some(_), _) => status.container_id.clone(),
            (None, Some(ended)) => ended.container_id.clone().or_else(|| status.container_id.clone()),
            (None, None) => return None,
        };
        Some(Self { pod: pod.name_any().into(), name: status.name.clone(), id: id? })
    }
}

/// Whether the container with this id can still write.
fn is_running(pod: &Pod, id: &str) -> bool {
    main_status(pod).is_some_and(|status| {
        let running = status.state.as_ref().is_some_and(|state| state.running.is_some());
        running && status.container_id.as_deref() == Some(id)
    })
}

/// One container's log, from its start to its end.
pub(super) struct Follow {
    cluster: Cluster,
    api: Api<Pod>,
    container: Container,
    events_tx: mpsc::Sender<Result<PodEvent, Error>>,
    seen: Seen,
}

/// How a stream ended.
enum StreamEnd {
    Clean,
    Broken(String),
    /// The user may not read it, now or later.
    Refused(Error),
    NobodyListens,
}

impl Follow {
    pub(super) fn new(
        cluster: &Cluster,
        container: Container,
        events_tx: mpsc::Sender<Result<PodEvent, Error>>,
    ) -> Self {
        Self { cluster: cluster.clone(), api: cluster.api(), container, events_tx, seen: Seen::default() }
    }

    /// Hands on each line once, until the container has written its last.
    pub(super) async fn run(mut self) {
        let pod = Arc::clone(&self.container.pod);
        let mut last_try = false;
        loop {
            let end = self.stream_once().await;
            let reason = match end {
                StreamEnd::NobodyListens => return,
                StreamEnd::Refused(error) => return self.incomplete(pod, error.to_string()).await,
                StreamEnd::Clean => None,
                StreamEnd::Broken(reason) => Some(reason),
            };
            let asked = self.cluster.call("reading the pod", self.api.get_opt(&pod)).await;
            match (asked, reason) {
                (Ok(Some(pod)), _) if is_running(&pod, &self.container.id) => {}
                (Ok(_), None) => return,
                // It has ended, and the stream broke before its end: once more reads the rest.
                (Ok(Some(_)), Some(_)) if !last_try => last_try = true,
                (Ok(_), Some(reason)) => return self.incomplete(pod, reason).await,
                // Without the pod's state there is no end to wait for.
                (Err(error), _) if error.is_refusal() => {
                    return self.incomplete(pod, error.to_string()).await;
                }
                // The server is away: it will be back, or the caller's own deadline ends this.
                (Err(_), _) => {}
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// The last word on a log, after which others have this one's place.
    async fn incomplete(self, pod: Arc<str>, reason: String) {
        // A reader that is gone needs it no more.
        self.events_tx.send(Ok(PodEvent::Incomplete { pod, reason })).await.ok();
    }

    fn not_opened(&self, error: kube::Error) -> StreamEnd {
        let reason = error.to_string();
        let error = self.cluster.error("reading the log", error);
        if error.is_refusal() { StreamEnd::Refused(error) } else { StreamEnd::Broken(reason) }
    }

    async fn stream_once(&mut self) -> StreamEnd {
        let params = LogParams {
            container: Some(self.container.name.clone()),
            follow: true,
            timestamps: true,
            since_time: self.seen.since(),
            ..LogParams::default()
        };
        let mut stream = match self.api.log_stream(&self.container.pod, &params).await {
            Ok(stream) => std::pin::pin!(stream),
            Err(error) => return self.not_opened(error),
        };
        let mut skip = self.seen.clone();
        let mut line = Vec::new();
        let mut pieces = Pieces::default();
        loop {
            line.clear();
            // Never more than this in memory, however long the line.
            match stream.as_mut().take(MAX_LINE).read_until(b'\n', &mut line).await {
                Ok(0) => return StreamEnd::Clean,
                Ok(_) => {}
                Err(error) => return StreamEnd::Broken(error.to_string()),
            }
            let (time, text) = pieces.take(&line);
            if !self.seen.is_new(time, &mut skip) {
                continue;
            }
            let text = text.strip_suffix(b"\n").unwrap_or(text).to_vec();
            let event = PodEvent::Line { pod: Arc::clone(&self.container.pod), line: text };
            if self.events_tx.send(Ok(event)).await.is_err() {
                return StreamEnd::NobodyListens;
            }
        }
    }
}

/// The time in front of a line, and the line without it.
fn split_timestamp(line: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let parsed = memchr::memchr(b' ', line).and_then(|space| {
        let time = std::str::from_utf8(&line[..space]).ok()?.parse().ok()?;
        Some((Some(time), &line[space + 1..]))
    });
    parsed.unwrap_or((None, line))
}

/// The pieces of a stream in turn: lines, and what a long line is cut into.
#[derive(Default)]
struct Pieces {
    /// The time of the line that a piece belongs to.
    time: Option<Timestamp>,
    /// Whether the next piece goes on with the line.
    continued: bool,
}

impl Pieces {
    /// The time of a piece, which is its line's, and the piece without it. With a time of their own
    /// the pieces of a line that comes again are known as well as its head.
    fn take<'a>(&mut self, piece: &'a [u8]) -> (Option<Timestamp>, &'a [u8]) {
        let mut text = piece;
        if !self.continued {
            (self.time, text) = split_timestamp(piece);
        }
        self.continued = !piece.ends_with(b"\n");
        (self.time, text)
    }
}

/// The last line handed on: its time, and how many lines, or pieces of one, had just that time.
#[derive(Debug, Clone, Default)]
struct Seen {
    time: Option<Timestamp>,
    lines: u64,
}

impl Seen {
    /// From when to read again. Requests carry whole seconds, and kube rounds to the nearest, which
    /// may lie after lines that are still to come. What was seen of that second is skipped.
    fn since(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.time?.as_second()).ok()
    }

    /// Whether a line was not handed on before; `skip` is what had been seen when the stream was
    /// opened, and is used up by the lines that come again.
    fn is_new(&mut self, time: Option<Timestamp>, skip: &mut Seen) -> bool {
        let Some(time) = time else { return true };
        if skip.time.is_some_and(|before| time < before) {
            return false;
        }
        if skip.time == Some(time) && skip.lines > 0 {
            skip.lines -= 1;
            return false;
        }
        if self.time == Some(time) {
            self.lines += 1;
        } else {
            *self = Self { time: Some(time), lines: 1 };
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    #[test]
    fn a_stream_opened_again_repeats_no_line() {
        let lines =
            ["1.5Z a", "2Z b", "2Z c", "2Z d", "3.25Z e"].map(|rest| format!("2026-01-01T00:00:0{rest}"));
        let read = |seen: &mut Seen, range: std::ops::Range<usize>| -> Vec<String> {
            let mut skip = seen.clone();
            let fresh = lines[range].iter().filter_map(|line| {
                let (time, text) = split_timestamp(line.as_bytes());
                seen.is_new(time, &mut skip).then(|| String::from_utf8_lossy(text).into_owned())
            });
            fresh.collect()
        };
        let mut seen = Seen::default();
        assert_eq!(read(&mut seen, 0..3), ["a", "b", "c"]);
        assert_eq!(read(&mut seen, 1..5), ["d", "e"]);
        assert_eq!(read(&mut seen, 0..5), [""; 0]);
    }

    #[test]
    fn a_second_is_read_again_from_its_start() {
        let since = |time: &str| Seen { time: time.parse().ok(), lines: 1 }.since().map(|t| t.to_string());
        assert_eq!(since("2026-01-01T00:00:10.7Z").as_deref(), Some("2026-01-01T00:00:10Z"));
        assert_eq!(since("2026-01-01T00:00:10Z").as_deref(), Some("2026-01-01T00:00:10Z"));
        assert_eq!(Seen::default().since(), None);
    }

    #[test]
    fn pieces_of_a_long_line_come_once() {
        let stream = ["2026-01-01T00:00:01Z a", "b", "c\n", "2026-01-01T00:00:02Z d\n", "no time\n"];
        let read = |seen: &mut Seen, range: std::ops::Range<usize>| -> Vec<&str> {
            let (mut skip, mut pieces) = (seen.clone(), Pieces::default());
            let fresh = stream[range].iter().filter_map(|piece| {
                let (time, text) = pieces.take(piece.as_bytes());
                seen.is_new(time, &mut skip).then(|| std::str::from_utf8(text).expect("text").trim_end())
            });
            fresh.collect()
        };
        let mut seen = Seen::default();
        assert_eq!(read(&mut seen, 0..2), ["a", "b"], "the stream breaks within the line");
        assert_eq!(read(&mut seen, 0..4), ["c", "d"]);
        assert_eq!(read(&mut seen, 0..5), ["no time"], "only what has no time comes again");
    }

    #[test]
    fn a_line_without_a_time_stays_whole() {
        assert_eq!(split_timestamp(b"no time"), (None, b"no time".as_slice()));
        assert_eq!(split_timestamp(b""), (None, b"".as_slice()));
    }

    #[test]
    fn a_container_has_a_log_once_it_started() {
        let pod = |state: serde_json::Value| -> Pod {
            serde_json::from_value(serde_json::json!({"metadata": {"name": "p"},
                "spec": {"containers": [{"name": "c"}]}, "status": {
                "containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false,
                    "restartCount": 0, "containerID": "docker://1", "state": state}]}}))
            .expect("a pod")
        };
        assert!(Container::started(&pod(serde_json::json!({"waiting": {}}))).is_none());
        assert!(Container::started(&pod(serde_json::json!({"running": {}}))).is_some());
        let ended = pod(serde_json::json!({"terminated": {"exitCode": 0}}));
        assert!(Container::started(&ended).is_some());
        assert!(!is_running(&ended, "docker://1"));
    }

    /// Refuses every request, or all but those for logs, whose logs are empty.
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
        let client = kube::Client::try_from(config).expect("a client");
        Cluster { client, namespace: "ns1".to_owned(), url }
    }

    #[tokio::test]
    async fn a_refusal_is_said_once_and_ends_it() {
        for (gives_logs, expected) in [(false, "reading the log"), (true, "reading the pod")] {
            let cluster = refusing_server(gives_logs).await;
            let (events_tx, mut events_rx) = mpsc::channel(8);
            let [name, id] = ["c", "docker://1"].map(str::to_owned);
            let follow = Follow::new(&cluster, Container { pod: "p".into(), name, id }, events_tx);
            let run = tokio::time::timeout(Duration::from_secs(10), follow.run());
            run.await.expect("it does not go on for ever");
            let Some(Ok(PodEvent::Incomplete { reason, .. })) = events_rx.recv().await else {
                panic!("a refusal is told")
            };
            assert_eq!(reason, format!("{expected} is forbidden: user cannot"));
            assert!(events_rx.recv().await.is_none());
        }
    }
}
