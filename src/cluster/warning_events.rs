//! The warnings that controllers, the scheduler and kubelets write about objects.

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::Event;
use kube::runtime::{WatchStreamExt as _, watcher};

use super::{Cluster, watch_config};

/// A warning about an object of our namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectWarning {
    /// The object's kind, such as `Pod` or `Job`.
    pub kind: String,
    pub name: String,
    /// The object's UID: pods of a StatefulSet get the names of earlier ones. Empty if it is not known.
    pub uid: String,
    /// One word, such as `FailedMount`.
    pub reason: String,
    pub message: String,
}

/// Warnings that say why a pod cannot start, when its own state does not.
const REASONS: [&str; 6] = [
    "FailedAttachVolume",
    "FailedCreatePodSandBox",
    "FailedMapVolume",
    "FailedMount",
    "FailedToRetrieveImagePullSecret",
    "NetworkNotReady",
];

impl ObjectWarning {
    /// Whether it says why a pod cannot start, when the pod's own state does not.
    pub fn explains_pod(&self) -> bool {
        self.kind == "Pod" && REASONS.contains(&self.reason.as_str())
    }

    /// Whether it says only that something takes too long. A kubelet that waits for a volume says first what
    /// it lacks, and then this of all its volumes.
    fn names_no_cause(&self) -> bool {
        const WORDS: [&str; 2] = ["timed out waiting for the condition", "context deadline exceeded"];
        self.message.starts_with("Unable to attach or mount volumes")
            && WORDS.iter().any(|words| self.message.ends_with(words))
    }

    /// The newer of two warnings about an object; with the cause that the older one names, if the newer one
    /// names none.
    pub fn after(self, earlier: Option<Self>) -> Self {
        match earlier {
            Some(earlier) if self.names_no_cause() => earlier,
            _ => self,
        }
    }

    fn of(event: Event) -> Option<Self> {
        Some(Self {
            kind: event.involved_object.kind?,
            name: event.involved_object.name?,
            uid: event.involved_object.uid.unwrap_or_default(),
            reason: event.reason?,
            message: event.message.unwrap_or_default().trim().to_owned(),
        })
    }
}

impl Cluster {
    /// Streams the warnings of our namespace: those that the server still has, and new ones. Says
    /// nothing if the user may not read events, and never fails: warnings only explain.
    pub fn watch_warnings(&self) -> impl Stream<Item = ObjectWarning> + use<> {
        let config = watch_config().fields("type=Warning");
        let events = watcher::watcher(self.for_streams().api::<Event>(), config).default_backoff();
        let allowed = events.take_while(|event| {
            let refused = event.as_ref().err().is_some_and(Cluster::is_refused);
            std::future::ready(!refused)
        });
        allowed.filter_map(|event| {
            std::future::ready(match event {
                Ok(watcher::Event::Apply(event) | watcher::Event::InitApply(event)) => {
                    ObjectWarning::of(event)
                }
                _ => None,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(message: &str) -> ObjectWarning {
        let [kind, name, uid, reason, message] = ["Pod", "p", "u", "FailedMount", message].map(str::to_owned);
        ObjectWarning { kind, name, uid, reason, message }
    }

    #[test]
    fn the_cause_stays_when_only_the_time_is_up() {
        let cause = mount("MountVolume.SetUp failed for volume \"v\" : configmap \"nope\" not found");
        let late = mount(
            "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[v]: timed out waiting for \
             the condition",
        );
        assert_eq!(late.clone().after(Some(cause.clone())), cause);
        let other = mount("MountVolume.SetUp failed for volume \"w\" : secret \"gone\" not found");
        assert_eq!(other.clone().after(Some(cause.clone())), other);
        assert_eq!(late.clone().after(None), late, "better than nothing");
        assert_eq!(cause.clone().after(Some(late)), cause);
    }
}
