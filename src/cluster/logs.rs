//! The logs of all pods of a selector, as they are or as they come.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::{AsyncBufReadExt as _, AsyncReadExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{ListParams, LogParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::container_log::{Container, Follow, MAX_LINE, RETRY_PAUSE};
use super::diagnose::has_ended;
use super::pod_event::PodEvent;
use super::{Cluster, Error};

/// Streams open at one time, as many as stern allows; pods beyond that wait for their turn, and
/// nothing of their logs is lost meanwhile.
const MAX_STREAMS: usize = 50;

/// Lines that may wait for the reader before the streams are held back.
const CHANNEL_LINES: usize = 1024;

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
    live: LivePods,
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
                Some(Ok(watcher::Event::Delete(pod))) => self.gone(pod).await,
                Some(Ok(watcher::Event::Init)) => self.live.list_anew(),
                Some(Ok(watcher::Event::InitDone)) => {
                    for pod in self.live.unlisted() {
                        self.gone(pod).await;
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
        if let Some(container) = Container::started(&pod)
            && self.followed.insert(container.id.clone())
        {
            let follow = Follow::new(&self.cluster, container, self.events_tx.clone());
            let slots = Arc::clone(&self.slots);
            self.streams.spawn(async move {
                let _slot = slots.acquire_owned().await;
                follow.run().await;
            });
        }
        // Finished streams are taken out as we go, or a long run would collect them.
        while self.streams.try_join_next().is_some() {}
        self.live.put(&pod);
        // A reader that is gone ends this task with its set.
        self.events_tx.send(Ok(PodEvent::Pod(Box::new(pod)))).await.ok();
    }

    async fn gone(&mut self, pod: Pod) {
        self.live.remove(&pod);
        self.events_tx.send(Ok(PodEvent::Gone(Box::new(pod)))).await.ok();
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

/// The pods that had not ended when they were seen last. A watch that broke and opens again lists
/// those that there are, and says nothing of those that went meanwhile.
#[derive(Default)]
struct LivePods {
    pods: BTreeMap<String, Pod>,
    /// Those that the list of a watch that opens has not shown yet.
    unlisted: BTreeMap<String, Pod>,
}

impl LivePods {
    fn list_anew(&mut self) {
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

    /// Those that went, once a list is complete.
    fn unlisted(&mut self) -> impl Iterator<Item = Pod> + use<> {
        std::mem::take(&mut self.unlisted).into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_a_list_does_not_show_any_more_are_gone() {
        let pod = |name: &str, phase: &str| -> Pod {
            let pod = serde_json::json!({"metadata": {"name": name}, "status": {"phase": phase}});
            serde_json::from_value(pod).expect("a pod")
        };
        let mut live = LivePods::default();
        let mut list = |pods: &[Pod]| {
            live.list_anew();
            pods.iter().for_each(|pod| live.put(pod));
            live.unlisted().map(|pod| pod.name_any()).collect::<Vec<_>>()
        };
        let pods = [pod("a", "Running"), pod("b", "Pending"), pod("c", "Succeeded")];
        assert_eq!(list(&pods), [""; 0]);
        assert_eq!(list(&pods[..1]), ["b"], "one that has ended is tidied away");
        assert_eq!(list(&[]), ["a"]);
        assert_eq!(list(&[]), [""; 0]);
    }
}
