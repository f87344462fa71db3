//! Pods that are in a state from which they do not recover, and for how long.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use tokio::time::Instant;

use super::pod_state::{has_ended, with_message};

/// How long a pod may be stuck before we give up on it. Registries and volumes are sometimes late,
/// so the first back-off does not mean that the pod is stuck.
pub const STUCK_PATIENCE: Duration = Duration::from_secs(40);

/// Pods that are stuck, since when, and why.
#[derive(Debug, Default)]
pub struct StuckPods(BTreeMap<String, (Instant, String)>);

impl StuckPods {
    /// Updates the state of a pod.
    pub fn take(&mut self, pod: &Pod) {
        let name = pod.name_any();
        // A pod alternates between the stuck states ErrImagePull and ImagePullBackOff. The time
        // counts from the first of them, until the pod leaves both.
        match stuck_reason(pod) {
            Some(reason) => _ = self.0.entry(name).or_insert_with(|| (Instant::now(), reason)),
            None => self.forget(&name),
        }
    }

    /// Removes a deleted pod.
    pub fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// When the first pod has been stuck for [`STUCK_PATIENCE`].
    pub fn first_give_up_at(&self) -> Option<Instant> {
        self.0.values().map(|(since, _)| *since + STUCK_PATIENCE).min()
    }
}

/// Why a pod is stuck: an image that cannot be pulled, a container that cannot be created, or one
/// that keeps crashing. A crashing container does not count if the restart policy is `OnFailure`: it
/// belongs to a Job, whose backoffLimit applies.
fn stuck_reason(pod: &Pod) -> Option<String> {
    const REASONS: [&str; 7] = [
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
    ];
    if pod.metadata.deletion_timestamp.is_some() || has_ended(pod) {
        return None;
    }
    let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    let may_crash = policy == Some("OnFailure");
    let status = pod.status.as_ref()?;
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let mut waiting = containers.filter_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref()?;
        let is_stuck = REASONS.contains(&reason) && !(may_crash && reason == "CrashLoopBackOff");
        is_stuck.then(|| with_message(reason, waiting.message.as_deref()))?
    });
    waiting.next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).expect("a pod")
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_stuck_and_an_unschedulable_pod_is_not() {
        let pulling = pod(json!({"phase": "Pending", "containerStatuses": [{
            "name": "c", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x\""}}}]}));
        assert!(stuck_reason(&pulling).is_some());
        let unschedulable = pod(json!({"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available"}]}));
        assert_eq!(stuck_reason(&unschedulable), None);
    }

    #[test]
    fn a_crashing_pod_is_stuck_unless_a_job_counts_its_failures() {
        let crashing = |policy: &str, phase: &str, reason: &str| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}], "restartPolicy": policy},
                "status": {"phase": phase, "containerStatuses": [{
                    "name": "c", "image": "x", "imageID": "", "ready": false, "restartCount": 3,
                    "state": {"waiting": {"reason": reason}}}]},
            }))
            .expect("a pod")
        };
        let stuck = |policy, phase, reason| stuck_reason(&crashing(policy, phase, reason)).is_some();
        assert!(stuck("Always", "Running", "CrashLoopBackOff"));
        assert!(!stuck("OnFailure", "Running", "CrashLoopBackOff"), "the Job's backoffLimit decides");
        assert!(stuck("OnFailure", "Pending", "ImagePullBackOff"));
        assert!(!stuck("Never", "Failed", "ImagePullBackOff"), "it has ended");
    }
}
