//! The state of a pod, as `kubectl get pods` shows it, and why a pod failed.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt as _;

/// A pod's annotation with the container that kubectl uses without `-c`. Injectors that put their
/// sidecar first set it to the pod's own container.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// A pod's state in one line: `Running`, `ImagePullBackOff: Back-off pulling image …`.
pub fn pod_state(pod: &Pod) -> String {
    if pod.metadata.deletion_timestamp.is_some() {
        return "Terminating".to_owned();
    }
    let Some(status) = &pod.status else { return "Pending".to_owned() };
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    if let Some(state) = containers.filter(|container| !container.ready).find_map(container_state) {
        return state;
    }
    let conditions = status.conditions.iter().flatten();
    let unschedulable = conditions
        .filter(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
        .find_map(|condition| with_message(condition.reason.as_deref()?, condition.message.as_deref()));
    unschedulable.or_else(|| status.phase.clone()).unwrap_or_else(|| "Pending".to_owned())
}

/// The status of a pod's main container: the container in [`DEFAULT_CONTAINER`], or the first one in
/// the spec. The order of the statuses cannot be used: they are sorted by name, and include sidecars.
pub(super) fn main_status(pod: &Pod) -> Option<&ContainerStatus> {
    let containers = &pod.spec.as_ref()?.containers;
    let default = pod.annotations().get(DEFAULT_CONTAINER);
    let named = default.and_then(|name| containers.iter().find(|container| container.name == *name));
    let name = &named.or_else(|| containers.first())?.name;
    pod.status.as_ref()?.container_statuses.iter().flatten().find(|status| status.name == *name)
}

fn container_state(container: &ContainerStatus) -> Option<String> {
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let last = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
        let exit = last.map(|last| format!("the last one exited with {}", last.exit_code));
        return with_message(waiting.reason.as_deref()?, waiting.message.as_deref().or(exit.as_deref()));
    }
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    let reason = ended.reason.as_deref().unwrap_or("Error");
    Some(format!("{reason} (exit code {})", ended.exit_code))
}

pub(super) fn with_message(reason: &str, message: Option<&str>) -> Option<String> {
    Some(match message {
        Some(message) if !message.is_empty() => format!("{reason}: {}", message.trim()),
        _ => reason.to_owned(),
    })
}

/// Whether a pod has succeeded or failed.
pub fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Why a pod failed, as far as Kubernetes knows: `exited with 3`, `OOMKilled`, `Evicted: …`.
pub fn failure_reason(pod: &Pod) -> String {
    let Some(status) = &pod.status else { return "unknown".to_owned() };
    if let Some(reason) = &status.reason {
        return with_message(reason, status.message.as_deref()).unwrap_or_default();
    }
    // The main container comes first: sidecars may have been killed when the pod ended.
    let others = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    let mut containers = main_status(pod).into_iter().chain(others);
    let ended = containers.find_map(|container| {
        let ended = container.state.as_ref()?.terminated.as_ref()?;
        (ended.exit_code != 0).then_some(ended)
    });
    match ended {
        Some(ended) => match ended.reason.as_deref() {
            Some("Error") | None => format!("exited with {}", ended.exit_code),
            Some(reason) => format!("{reason}, exited with {}", ended.exit_code),
        },
        None => "unknown".to_owned(),
    }
}

/// Whether a pod accepts traffic: its `Ready` condition is true and it is not being deleted.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    pod.metadata.deletion_timestamp.is_none() && ready.any(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).expect("a pod")
    }

    #[test]
    fn states_are_those_of_kubectl() {
        let pulling = pod(json!({"phase": "Pending", "containerStatuses": [{
            "name": "c", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x\""}}}]}));
        assert_eq!(pod_state(&pulling), "ImagePullBackOff: Back-off pulling image \"x\"");

        let unschedulable = pod(json!({"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available"}]}));
        assert_eq!(pod_state(&unschedulable), "Unschedulable: 0/1 nodes are available");

        let failed = pod(json!({"phase": "Failed", "containerStatuses": [{
            "name": "c", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}]}));
        assert_eq!(pod_state(&failed), "Error (exit code 3)");
    }

    #[test]
    fn a_sidecar_is_not_mistaken_for_the_main_container() {
        let status = |name: &str, exit_code: i32| {
            json!({"name": name, "image": "x", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": exit_code, "reason": "Error"}}})
        };
        let with = |annotations: serde_json::Value, containers: [&str; 2]| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": "p", "annotations": annotations},
                "spec": {"containers": containers.map(|name| json!({"name": name}))},
                "status": {"containerStatuses": [status("istio-proxy", 137), status("worker", 3)]},
            }))
            .expect("a pod")
        };
        let named = json!({DEFAULT_CONTAINER: "worker"});
        let behind = with(json!({}), ["worker", "istio-proxy"]);
        let ahead = with(named.clone(), ["istio-proxy", "worker"]);
        for pod in [&behind, &ahead] {
            assert_eq!(main_status(pod).map(|status| status.name.as_str()), Some("worker"));
            assert_eq!(failure_reason(pod), "exited with 3");
        }
        let elsewhere = with(named, ["other", "istio-proxy"]);
        assert_eq!(main_status(&elsewhere), None, "it has not started yet");
        assert_eq!(failure_reason(&elsewhere), "exited with 137");
    }

    #[test]
    fn a_terminating_pod_is_not_ready() {
        let mut ready = pod(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}));
        assert!(is_ready(&ready));
        ready.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).expect("a time");
        assert!(!is_ready(&ready));
    }
}
