//! Waits until the rollout of a workload is complete, and reports what it is waiting for.

use std::collections::BTreeMap;

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;
use tokio::time::Instant;

use super::diagnosis::Diagnosis;
use super::pod_start::has_started;
use super::pod_state::{pod_state, with_message};
use super::stuck_pods::StuckPods;
use super::warning_events::ObjectWarning;
use super::{Cluster, Error, watch_config};

#[derive(Debug, Clone)]
pub struct Workload {
    /// The applied manifest, with kind, name and selector.
    pub manifest: Value,
}

impl Workload {
    fn pod_selector(&self) -> String {
        let selector = &self.manifest["spec"]["selector"];
        // A ReplicationController's selector is a plain map.
        let labels = selector.get("matchLabels").unwrap_or(selector).as_object();
        // Without a selector, the server uses the labels of the pod template.
        let labels = labels.or_else(|| self.manifest.pointer("/spec/template/metadata/labels")?.as_object());
        let labels = labels.into_iter().flatten();
        let pair = |(key, value): (&String, &Value)| format!("{key}={}", value.as_str().unwrap_or_default());
        labels.map(pair).collect::<Vec<_>>().join(",")
    }
}

impl Cluster {
    /// Waits until all pods of a workload are ready and up to date. Calls `status` whenever the state
    /// of the pods changes.
    ///
    /// # Errors
    /// [`Error::BrokerNotReady`] at the deadline, or earlier if a pod is stuck.
    pub async fn wait_ready(
        &self,
        workload: &Workload,
        deadline: Option<Instant>,
        mut status: impl FnMut(&str),
    ) -> Result<(), Error> {
        let started = Instant::now();
        let streams = self.for_streams();
        let (object, api) = streams.dynamic_api(&workload.manifest).await?;
        let selector = workload.pod_selector();
        let mut objects = std::pin::pin!(watch_one(api, &object.name));
        let mut pods = std::pin::pin!(watch_pods(streams.api(), &selector));
        let mut warnings = std::pin::pin!(self.watch_warnings());
        let mut view = View { name: object.name.clone(), ..View::default() };
        loop {
            let give_up_at = deadline.into_iter().chain(view.stuck.first_give_up_at()).min();
            tokio::select! {
                Some(event) = objects.next() => match event {
                    Ok(event) => view.take_object(event),
                    Err(error) => self.watch_refused("watching the broker", error).map_or(Ok(()), Err)?,
                },
                Some(event) = pods.next() => match event {
                    Ok(event) => view.take_pod(event),
                    Err(error) => self.watch_refused("watching the broker", error).map_or(Ok(()), Err)?,
                },
                Some(warning) = warnings.next() => view.take_warning(warning),
                () = sleep_until(give_up_at) => {
                    let seconds = started.elapsed().as_secs();
                    let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
                    let controller = view.refusal.take();
                    let diagnosis = Diagnosis { controller, ..self.diagnose(&selector).await };
                    return Err(Error::BrokerNotReady { seconds, is_late, diagnosis });
                }
            }
            if view.object.as_ref().is_some_and(is_rolled_out) {
                return Ok(());
            }
            if let Some(line) = view.changed_line() {
                status(&line);
            }
        }
    }
}

/// Sleeps forever if there is no time to wake up.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn watch_one(
    api: Api<DynamicObject>,
    name: &str,
) -> impl Stream<Item = watcher::Result<watcher::Event<DynamicObject>>> + use<> {
    let config = watch_config().fields(&format!("metadata.name={name}"));
    watcher::watcher(api, config).default_backoff()
}

fn watch_pods(
    api: Api<Pod>,
    selector: &str,
) -> impl Stream<Item = watcher::Result<watcher::Event<Pod>>> + use<> {
    watcher::watcher(api, watch_config().labels(selector)).default_backoff()
}

/// What the two watches have shown so far.
#[derive(Default)]
struct View {
    /// The workload's name.
    name: String,
    /// Why its controller could not create a pod last.
    refusal: Option<String>,
    object: Option<DynamicObject>,
    pods: BTreeMap<String, Pod>,
    /// Whether all pods that were there at the start are known.
    pods_known: bool,
    stuck: StuckPods,
    /// The last warning about each pod that says why it cannot start, by the pod's UID.
    explained: BTreeMap<String, ObjectWarning>,
    line: String,
}

impl View {
    fn take_object(&mut self, event: watcher::Event<DynamicObject>) {
        if let watcher::Event::Apply(object) | watcher::Event::InitApply(object) = event {
            self.object = Some(object);
        }
    }

    fn take_pod(&mut self, event: watcher::Event<Pod>) {
        match event {
            watcher::Event::Init => self.pods.clear(),
            watcher::Event::InitDone => self.pods_known = true,
            watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) => {
                self.stuck.take(&pod);
                self.pods.insert(pod.name_any(), pod);
            }
            watcher::Event::Delete(pod) => {
                self.pods.remove(&pod.name_any());
                self.stuck.forget(&pod.name_any());
            }
        }
    }

    fn take_warning(&mut self, warning: ObjectWarning) {
        if warning.reason == "FailedCreate" && warning.kind != "Job" && warning.name == self.name {
            self.refusal = with_message(&warning.reason, Some(&warning.message));
        }
        if warning.explains_pod() {
            let earlier = self.explained.remove(&warning.uid);
            self.explained.insert(warning.uid.clone(), warning.after(earlier));
        }
    }

    /// The state of a pod; with the last warning about it, if its state says only that it is on its way.
    fn state(&self, pod: &Pod) -> String {
        let state = pod_state(pod);
        let is_on_its_way = matches!(state.as_str(), "Pending" | "ContainerCreating" | "PodInitializing");
        let warning = self.explained.get(pod.metadata.uid.as_deref().unwrap_or_default());
        match warning.filter(|_| is_on_its_way && !has_started(pod)) {
            Some(warning) => format!("{state}: {}: {}", warning.reason, warning.message),
            None => state,
        }
    }

    /// The line to show, if it has changed. None before both watches have answered: there may be nothing
    /// to wait for.
    fn changed_line(&mut self) -> Option<String> {
        if self.object.is_none() || !self.pods_known {
            return None;
        }
        let states = self.pods.values().map(|pod| format!("{}: {}", pod.name_any(), self.state(pod)));
        let line = states.collect::<Vec<_>>().join(", ");
        let line = match (&self.refusal, line.is_empty()) {
            (_, false) => line,
            (None, true) => "the first pod".to_owned(),
            (Some(refusal), true) => format!("the first pod: {refusal}"),
        };
        (line != self.line).then(|| {
            self.line = line.clone();
            line
        })
    }
}

/// Whether a workload's controller has seen the last change, and all its pods run it.
///
/// A StatefulSet has no condition for this: as in `kubectl rollout status`, the numbers have to be
/// compared.
fn is_rolled_out(object: &DynamicObject) -> bool {
    let number = |pointer: &str| object.data.pointer(pointer).and_then(Value::as_i64);
    let wanted = number("/spec/replicas").unwrap_or(1);
    let seen = number("/status/observedGeneration").unwrap_or(0) >= object.metadata.generation.unwrap_or(0);
    let ready = number("/status/readyReplicas").unwrap_or(0) >= wanted;
    // ReplicationControllers do not replace running pods, so they do not count updated ones.
    let counts_updates = object.types.as_ref().is_some_and(|types| types.kind != "ReplicationController");
    let updated = !counts_updates || number("/status/updatedReplicas").unwrap_or(0) >= wanted;
    seen && ready && updated
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(generation: i64, status: Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "b", "generation": generation},
            "spec": {"replicas": 1}, "status": status,
        }))
        .expect("an object")
    }

    #[test]
    fn an_old_status_does_not_count_for_a_new_generation() {
        let done = json!({"observedGeneration": 1, "readyReplicas": 1, "updatedReplicas": 1});
        assert!(is_rolled_out(&set(1, done.clone())));
        assert!(!is_rolled_out(&set(2, done)));
        let rolling = json!({"observedGeneration": 2, "readyReplicas": 1});
        assert!(!is_rolled_out(&set(2, rolling)));
        assert!(!is_rolled_out(&set(1, json!({}))));
    }

    #[test]
    fn nothing_is_said_before_it_is_known_what_is_missing() {
        let mut view = View::default();
        assert_eq!(view.changed_line(), None);
        view.take_pod(watcher::Event::InitDone);
        assert_eq!(view.changed_line(), None);
        view.take_object(watcher::Event::InitApply(set(1, json!({}))));
        assert_eq!(view.changed_line().as_deref(), Some("the first pod"));
        assert_eq!(view.changed_line(), None, "it has been said");
        let warning = |name: &str| ObjectWarning {
            kind: "StatefulSet".to_owned(),
            name: name.to_owned(),
            uid: String::new(),
            reason: "FailedCreate".to_owned(),
            message: "exceeded quota: q".to_owned(),
        };
        view.name = "b".to_owned();
        view.take_warning(warning("other"));
        assert_eq!(view.changed_line(), None);
        view.take_warning(warning("b"));
        assert_eq!(view.changed_line().as_deref(), Some("the first pod: FailedCreate: exceeded quota: q"));
    }

    #[test]
    fn what_a_pod_waits_for_is_said_though_its_state_does_not() {
        let mut view = View { object: Some(set(1, json!({}))), ..View::default() };
        let pod = |uid: &str, state: Value| -> Pod {
            let status = json!({"phase": "Pending", "containerStatuses": [{"name": "c", "image": "", "imageID": "",
                "ready": false, "restartCount": 0, "state": state}]});
            let metadata = json!({"name": "b-0", "uid": uid});
            serde_json::from_value(json!({"metadata": metadata, "spec": {"containers": [{"name": "c"}]},
                "status": status}))
            .expect("a pod")
        };
        let creating = json!({"waiting": {"reason": "ContainerCreating"}});
        let warning = |uid: &str, message: &str| {
            let [kind, name, reason] = ["Pod", "b-0", "FailedMount"].map(str::to_owned);
            ObjectWarning { kind, name, uid: uid.to_owned(), reason, message: message.to_owned() }
        };
        view.take_pod(watcher::Event::InitApply(pod("u2", creating)));
        view.take_pod(watcher::Event::InitDone);
        view.take_warning(warning("u1", "of an earlier pod"));
        assert_eq!(view.changed_line().as_deref(), Some("b-0: ContainerCreating"));
        view.take_warning(warning("u2", "secret \"tls\" not found"));
        let why = "b-0: ContainerCreating: FailedMount: secret \"tls\" not found";
        assert_eq!(view.changed_line().as_deref(), Some(why));
        view.take_pod(watcher::Event::Apply(pod("u2", json!({"running": {}}))));
        assert!(!view.changed_line().expect("it has changed").contains("FailedMount"));
    }

    #[test]
    fn selectors_of_sets_and_controllers() {
        let set = Workload { manifest: json!({"spec": {"selector": {"matchLabels": {"a": "1", "b": "2"}}}}) };
        assert_eq!(set.pod_selector(), "a=1,b=2");
        let controller = Workload { manifest: json!({"spec": {"selector": {"app": "taskQueue"}}}) };
        assert_eq!(controller.pod_selector(), "app=taskQueue");
        let template = json!({"metadata": {"labels": {"app": "taskQueue"}}});
        let bare = Workload { manifest: json!({"spec": {"template": template}}) };
        assert_eq!(bare.pod_selector(), "app=taskQueue");
    }
}
