//! Prints or follows the logs of all pods that match a selector.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::{AsyncBufReadExt as _, AsyncReadExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::container_log::{Container, LogStream, MAX_LINE, RETRY_PAUSE};
use super::log_lines::Pieces;
use super::log_selection::{LogSelection, LogStart};
use super::pod_event::PodEvent;
use super::pod_state::has_ended;
use super::{Cluster, Error, watch_config};

/// Maximum number of streams open at the same time, the same as in stern. Other pods wait for their
/// turn; their logs are not lost.
const MAX_STREAMS: usize = 50;

/// Lines that may wait for the receiver. When there are more, the streams wait too.
const CHANNEL_LINES: usize = 1024;

/// Follows the logs of pods. Dropping it ends all streams.
pub struct LogFollower {
    events_rx: mpsc::Receiver<Result<PodEvent, Error>>,
    finish_tx: Option<tokio::sync::oneshot::Sender<()>>,
    // Dropping the set ends all streams.
    _tasks: JoinSet<()>,
}

impl LogFollower {
    /// The next event; `None` at the end, after [`finish`](Self::finish). Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<PodEvent, Error>> {
        self.events_rx.recv().await
    }

    /// Expects no new pods: reads the streams to their end, then `next` returns `None`.
    pub fn finish(&mut self) {
        if let Some(finish_tx) = self.finish_tx.take() {
            // The follower may have ended already.
            finish_tx.send(()).ok();
        }
    }
}

impl Cluster {
    /// Follows the logs of each pod that matches `selector`, now or later.
    pub fn follow_logs(&self, selector: &str, selection: LogSelection) -> LogFollower {
        let (events_tx, events_rx) = mpsc::channel(CHANNEL_LINES);
        let (finish_tx, finish_rx) = tokio::sync::oneshot::channel();
        let watch = Watch {
            cluster: self.for_streams(),
            selector: selector.to_owned(),
            selection,
            is_listed: false,
            events_tx,
            followed: HashSet::new(),
            live: LivePods::default(),
            streams: JoinSet::new(),
            slots: Arc::new(Semaphore::new(MAX_STREAMS)),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(watch.run(finish_rx));
        LogFollower { events_rx, finish_tx: Some(finish_tx), _tasks: tasks }
    }
}

impl Cluster {
    /// Passes on the current logs of the pods that match a selector, oldest pod first.
    ///
    /// # Errors
    /// The pods cannot be listed. If a log cannot be read, that is reported as an event.
    pub async fn print_logs(
        &self,
        selector: &str,
        selection: &LogSelection,
        mut on: impl FnMut(PodEvent),
    ) -> Result<(), Error> {
        let list = ListParams::default().labels(selector);
        let mut pods = self.call("listing pods", self.api::<Pod>().list(&list)).await?.items;
        pods.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
        for container in pods.iter().flat_map(|pod| selection.started(pod)) {
            if let Err(error) = self.print_log(&container, selection.from, &mut on).await {
                on(PodEvent::Incomplete { pod: container.pod, reason: error.to_string() });
            }
        }
        Ok(())
    }

    async fn print_log(
        &self,
        container: &Container,
        from: LogStart,
        on: &mut impl FnMut(PodEvent),
    ) -> kube::Result<()> {
        let api = self.for_streams().api::<Pod>();
        let mut stream = std::pin::pin!(api.log_stream(&container.pod, &container.log_params(from)).await?);
        let (mut line, mut pieces) = (Vec::new(), Pieces::default());
        loop {
            let read = stream.as_mut().take(MAX_LINE).read_until(b'\n', &mut line).await;
            if read.map_err(kube::Error::ReadEvents)? == 0 {
                return Ok(());
            }
            let (time, text) = pieces.take(&line);
            on(container.line(time, text));
            line.clear();
        }
    }
}

struct Watch {
    cluster: Cluster,
    selector: String,
    selection: LogSelection,
    /// Whether the pods that were there at the start are known: all lines of later ones are new.
    is_listed: bool,
    events_tx: mpsc::Sender<Result<PodEvent, Error>>,
    /// Ids of the containers whose logs are followed, or have been.
    followed: HashSet<String>,
    live: LivePods,
    streams: JoinSet<()>,
    slots: Arc<Semaphore>,
}

impl Watch {
    async fn run(mut self, mut finish_rx: tokio::sync::oneshot::Receiver<()>) {
        let config = watch_config().labels(&self.selector);
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
                Some(Ok(watcher::Event::Delete(pod))) => self.deleted(pod).await,
                Some(Ok(watcher::Event::Init)) => self.live.start_list(),
                Some(Ok(watcher::Event::InitDone)) => {
                    self.is_listed = true;
                    for pod in self.live.unlisted() {
                        self.deleted(pod).await;
                    }
                }
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
        for container in self.selection.started(&pod) {
            self.follow(container);
        }
        // Finished streams have to be removed, or they would accumulate in a long run.
        while self.streams.try_join_next().is_some() {}
        self.live.put(&pod);
        // If the receiver is gone, this task ends with its set.
        self.events_tx.send(Ok(PodEvent::Pod(Box::new(pod)))).await.ok();
    }

    fn follow(&mut self, container: Container) {
        if !self.followed.insert(container.id.clone()) {
            return;
        }
        let from = if self.is_listed { LogStart::default() } else { self.selection.from };
        let follow = LogStream::new(&self.cluster, container, from, self.events_tx.clone());
        let slots = Arc::clone(&self.slots);
        self.streams.spawn(async move {
            let _slot = slots.acquire_owned().await;
            follow.run().await;
        });
    }

    async fn deleted(&mut self, pod: Pod) {
        self.live.remove(&pod);
        self.events_tx.send(Ok(PodEvent::Gone(Box::new(pod)))).await.ok();
    }

    /// Lists the pods once more. The watch may lag behind, so that the end of a Job is known before
    /// its last pods are. Retries while the server is unreachable; the caller sets the deadline.
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

/// The pods that had not ended when they were last seen. A reopened watch lists only existing pods,
/// and does not report those that were deleted in the meantime.
#[derive(Default)]
struct LivePods {
    pods: BTreeMap<String, Pod>,
    /// Pods that the current list of a reopened watch has not shown yet.
    unlisted: BTreeMap<String, Pod>,
}

impl LivePods {
    fn start_list(&mut self) {
        self.unlisted.append(&mut self.pods);
    }

    fn put(&mut self, pod: &Pod) {
        self.remove(pod);
        if !has_ended(pod) {
            self.pods.insert(pod.name_any(), pod.clone());
        }
    }

    fn remove(&mut self, pod: &Pod) {
        self.pods.remove(&pod.name_any());
        self.unlisted.remove(&pod.name_any());
    }

    /// The pods that were deleted in the meantime, once a list is complete.
    fn unlisted(&mut self) -> impl Iterator<Item = Pod> + use<> {
        std::mem::take(&mut self.unlisted).into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_a_new_list_does_not_show_are_gone() {
        let pod = |name: &str, phase: &str| -> Pod {
            let pod = serde_json::json!({"metadata": {"name": name}, "status": {"phase": phase}});
            serde_json::from_value(pod).expect("a pod")
        };
        let mut live = LivePods::default();
        let mut list = |pods: &[Pod]| {
            live.start_list();
            pods.iter().for_each(|pod| live.put(pod));
            live.unlisted().map(|pod| pod.name_any()).collect::<Vec<_>>()
        };
        let pods = [pod("a", "Running"), pod("b", "Pending"), pod("c", "Succeeded")];
        assert_eq!(list(&pods), [""; 0]);
        assert_eq!(list(&pods[..1]), ["b"], "a pod that has ended may be cleaned up");
        assert_eq!(list(&[]), ["a"]);
        assert_eq!(list(&[]), [""; 0]);
    }
}
