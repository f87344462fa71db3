//! Follows the logs of all pods of a selector as they start, each line once.
//!
//! A log stream ends for many reasons (rotation, a restarted API server or kubelet): only the
//! state of the container tells whether more is to come.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{AsyncBufReadExt as _, AsyncReadExt as _, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, LogParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::{Cluster, Error};

/// Streams open at one time, as many as stern allows; pods beyond that wait for their turn, and
/// nothing of their logs is lost meanwhile.
const MAX_STREAMS: usize = 50;

/// Lines that may wait for the reader before the streams are held back.
const CHANNEL_LINES: usize = 1024;

/// The longest line handed on, in bytes; the rest of a longer one comes as lines of its own.
const MAX_LINE: u64 = 256 * 1024;

/// Pause before a stream is opened again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// What a follower reports.
#[derive(Debug)]
pub enum PodEvent {
    /// A line of a pod's log, without its newline.
    Line {
        /// The pod.
        pod: Arc<str>,
        /// The line's bytes.
        line: Vec<u8>,
    },
    /// A pod as the watch shows it, at every change.
    Pod(Box<Pod>),
    /// A pod that was deleted, as it was at last.
    Gone(Box<Pod>),
    /// All that is said about a log that could not be read to its end.
    Incomplete {
        /// The pod.
        pod: Arc<str>,
        /// Why.
        reason: String,
    },
}

/// Pods' logs being followed.
pub struct LogFollower {
    events_rx: mpsc::Receiver<Result<PodEvent, Error>>,
    finish_tx: Option<tokio::sync::oneshot::Sender<()>>,
    // Dropping the set ends all streams.
    _tasks: JoinSet<()>,
}

impl LogFollower {
    /// The next event; `None` when all was said after [`finish`](Self::finish). Safe to cancel.
    pub async fn next(&mut self) -> Option<Result<PodEvent, Error>> {
        self.events_rx.recv().await
    }

    /// Says that no new pods are expected: streams are read to their end, then `next` gives `None`.
    pub fn finish(&mut self) {
        if let Some(finish_tx) = self.finish_tx.take() {
            // A follower that has ended already needs not to be told.
            finish_tx.send(()).ok();
        }
    }
}

impl Cluster {
    /// Follows the logs of the first container of every pod that `selector` finds, now or later.
    pub fn follow_logs(&self, selector: &str) -> LogFollower {
        let (events_tx, events_rx) = mpsc::channel(CHANNEL_LINES);
        let (finish_tx, finish_rx) = tokio::sync::oneshot::channel();
        let watch = Watch {
            cluster: self.clone(),
            selector: selector.to_owned(),
            events_tx,
            followed: HashSet::new(),
            streams: JoinSet::new(),
            slots: Arc::new(Semaphore::new(MAX_STREAMS)),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(watch.run(finish_rx));
        LogFollower { events_rx, finish_tx: Some(finish_tx), _tasks: tasks }
    }
}

impl Cluster {
    /// Hands on the logs that the pods of a selector have now, in the order of the pods' age.
    ///
    /// # Errors
    /// Pods that may not be listed. A log that cannot be read is an event.
    pub async fn print_logs(&self, selector: &str, mut on: impl FnMut(PodEvent)) -> Result<(), Error> {
        let list = ListParams::default().labels(selector);
        let mut pods = self.call("listing pods", self.api::<Pod>().list(&list)).await?.items;
        pods.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
        for container in pods.iter().filter_map(Container::started) {
            let params = LogParams { container: Some(container.name), ..LogParams::default() };
            let pod = container.pod;
            let api = self.api::<Pod>();
            let reading = async {
                let mut stream = std::pin::pin!(api.log_stream(&pod, &params).await?);
                let mut line = Vec::new();
                while stream
                    .as_mut()
                    .take(MAX_LINE)
                    .read_until(b'\n', &mut line)
                    .await
                    .map_err(kube::Error::ReadEvents)?
                    > 0
                {
                    let text = line.strip_suffix(b"\n").unwrap_or(&line).to_vec();
                    on(PodEvent::Line { pod: Arc::clone(&pod), line: text });
                    line.clear();
                }
                Ok::<(), kube::Error>(())
            };
            if let Err(error) = reading.await {
                on(PodEvent::Incomplete { pod: Arc::clone(&pod), reason: error.to_string() });
            }
        }
        Ok(())
    }
}

struct Watch {
    cluster: Cluster,
    selector: String,
    events_tx: mpsc::Sender<Result<PodEvent, Error>>,
    /// Ids of the containers whose logs are followed, or have been.
    followed: HashSet<String>,
    streams: JoinSet<()>,
    slots: Arc<Semaphore>,
}

impl Watch {
    async fn run(mut self, mut finish_rx: tokio::sync::oneshot::Receiver<()>) {
        let config = watcher::Config::default().labels(&self.selector);
        let pods = watcher::watcher(self.cluster.api::<Pod>(), config).default_backoff();
        let mut pods = std::pin::pin!(pods);
        loop {
            let event = tokio::select! {
                event = pods.next() => event,
                _ = &mut finish_rx => {
                    self.take_last().await;
                    break;
                }
            };
            match event {
                Some(Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod))) => self.take(pod).await,
                Some(Ok(watcher::Event::Delete(pod))) => {
                    self.events_tx.send(Ok(PodEvent::Gone(Box::new(pod)))).await.ok();
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    if let Some(error) = self.cluster.watch_refused("watching pods", error) {
                        self.events_tx.send(Err(error)).await.ok();
                        break;
                    }
                }
                None => break,
            }
        }
        while self.streams.join_next().await.is_some() {}
    }

    async fn take(&mut self, pod: Pod) {
        if let Some(container) = Container::started(&pod)
            && self.followed.insert(container.id.clone())
        {
            let follow = Follow::new(self, container);
            let slots = Arc::clone(&self.slots);
            self.streams.spawn(async move {
                let _slot = slots.acquire_owned().await;
                follow.run().await;
            });
        }
        // Finished streams are taken out as we go, or a long run would collect them.
        while self.streams.try_join_next().is_some() {}
        // A reader that is gone ends this task with its set.
        self.events_tx.send(Ok(PodEvent::Pod(Box::new(pod)))).await.ok();
    }

    /// Takes the pods as they are now. A watch may be behind: the end of a Job can be known before
    /// its last pods are. A server that is away is asked again; the caller's patience ends that.
    async fn take_last(&mut self) {
        let list = ListParams::default().labels(&self.selector);
        loop {
            let pods = self.cluster.api::<Pod>();
            if let Ok(pods) = self.cluster.call("listing pods", pods.list(&list)).await {
                for pod in pods.items {
                    self.take(pod).await;
                }
                return;
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}

/// A container that has started, and so has a log.
struct Container {
    pod: Arc<str>,
    name: String,
    /// Differs between restarts of one container.
    id: String,
}

impl Container {
    fn started(pod: &Pod) -> Option<Self> {
        let status = first_status(pod)?;
        let state = status.state.as_ref()?;
        let id = match (&state.running, &state.terminated) {
            (Some(_), _) => status.container_id.clone(),
            (None, Some(ended)) => ended.container_id.clone().or_else(|| status.container_id.clone()),
            (None, None) => return None,
        };
        Some(Self { pod: pod.name_any().into(), name: status.name.clone(), id: id? })
    }
}

fn first_status(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()
}

/// Whether the container with this id can still write.
fn is_running(pod: &Pod, id: &str) -> bool {
    first_status(pod).is_some_and(|status| {
        let running = status.state.as_ref().is_some_and(|state| state.running.is_some());
        running && status.container_id.as_deref() == Some(id)
    })
}

/// One container's log, from its start to its end.
struct Follow {
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
    NobodyListens,
}

impl Follow {
    fn new(watch: &Watch, container: Container) -> Self {
        Self {
            cluster: watch.cluster.clone(),
            api: watch.cluster.api(),
            container,
            events_tx: watch.events_tx.clone(),
            seen: Seen::default(),
        }
    }

    async fn run(mut self) {
        let pod = Arc::clone(&self.container.pod);
        let mut last_try = false;
        loop {
            let end = self.stream_once().await;
            let reason = match end {
                StreamEnd::NobodyListens => return,
                StreamEnd::Clean => None,
                StreamEnd::Broken(reason) => Some(reason),
            };
            let asked = self.cluster.call("reading the pod", self.api.get_opt(&pod)).await;
            match (asked, reason) {
                (Ok(Some(pod)), _) if is_running(&pod, &self.container.id) => {}
                (Ok(_), None) => return,
                // It has ended, and the stream broke before its end: once more reads the rest.
                (Ok(Some(_)), Some(_)) if !last_try => last_try = true,
                (Ok(_), Some(reason)) => {
                    self.events_tx.send(Ok(PodEvent::Incomplete { pod, reason })).await.ok();
                    return;
                }
                // The server is away: it will be back, or the caller's own deadline ends this.
                (Err(_), _) => {}
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn stream_once(&mut self) -> StreamEnd {
        let params = LogParams {
            container: Some(self.container.name.clone()),
            follow: true,
            timestamps: true,
            // Whole seconds: what was seen of that second is skipped by its nanoseconds.
            since_time: self.seen.time,
            ..LogParams::default()
        };
        let mut stream = match self.api.log_stream(&self.container.pod, &params).await {
            Ok(stream) => std::pin::pin!(stream),
            Err(error) => return StreamEnd::Broken(error.to_string()),
        };
        let mut skip = self.seen.clone();
        let mut line = Vec::new();
        let mut continued = false;
        loop {
            line.clear();
            // Never more than this in memory, however long the line.
            match stream.as_mut().take(MAX_LINE).read_until(b'\n', &mut line).await {
                Ok(0) => return StreamEnd::Clean,
                Ok(_) => {}
                Err(error) => return StreamEnd::Broken(error.to_string()),
            }
            let (time, text) = if continued { (None, line.as_slice()) } else { split_timestamp(&line) };
            continued = !line.ends_with(b"\n");
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

/// The last line handed on: its time, and how many lines had just that time.
#[derive(Debug, Clone, Default)]
struct Seen {
    time: Option<Timestamp>,
    lines: u64,
}

impl Seen {
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
    fn a_line_without_a_time_stays_whole() {
        assert_eq!(split_timestamp(b"no time"), (None, b"no time".as_slice()));
        assert_eq!(split_timestamp(b""), (None, b"".as_slice()));
    }

    #[test]
    fn a_container_has_a_log_once_it_started() {
        let pod = |state: serde_json::Value| -> Pod {
            serde_json::from_value(serde_json::json!({"metadata": {"name": "p"}, "status": {
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
}
