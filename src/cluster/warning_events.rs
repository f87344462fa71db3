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
    /// One word, such as `FailedMount`.
    pub reason: String,
    pub message: String,
}

impl ObjectWarning {
    fn of(event: Event) -> Option<Self> {
        Some(Self {
            kind: event.involved_object.kind?,
            name: event.involved_object.name?,
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
