//! The pods that a run still has after its Jobs have ended or were deleted.
//!
//! Kubernetes ends a Job before its last pods: those of a deleted or failed Job have their grace period,
//! in which they finish items or requeue them. Only then is it known what became of every item.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use tokio::time::Instant;

/// How much longer than its grace period a pod may take. Pods of a lost node never end.
const AFTER_GRACE: Duration = Duration::from_secs(60);

/// The grace period of a pod that names none, as in Kubernetes.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// When the pods that are being deleted were first seen in that state.
#[derive(Default)]
pub(crate) struct LastPods(BTreeMap<String, Instant>);

/// What is left of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Pods that will end.
    pub ending: Vec<String>,
    /// Pods that should have ended long ago.
    pub overdue: Vec<String>,
}

impl LastPods {
    /// Takes the pods that have not ended.
    pub(crate) fn take(&mut self, pods: &[Pod], now: Instant) -> Left {
        let mut left = Left::default();
        for pod in pods {
            let name = pod.name_any();
            let is_overdue = pod.metadata.deletion_timestamp.is_some() && {
                let since = *self.0.entry(name.clone()).or_insert(now);
                now.duration_since(since) > grace(pod) + AFTER_GRACE
            };
            if is_overdue { left.overdue.push(name) } else { left.ending.push(name) }
        }
        left
    }
}

fn grace(pod: &Pod) -> Duration {
    let seconds = pod.metadata.deletion_grace_period_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or(DEFAULT_GRACE, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_has_its_grace_period_to_end() {
        let pod = |metadata: serde_json::Value| -> Pod {
            serde_json::from_value(json!({"metadata": metadata})).expect("a pod")
        };
        let running = pod(json!({"name": "a"}));
        let ending = pod(json!({"name": "b", "deletionTimestamp": "2026-01-01T00:00:00Z",
            "deletionGracePeriodSeconds": 45}));
        let (start, mut last) = (Instant::now(), LastPods::default());
        let mut left = |seconds| {
            let Left { ending, overdue } =
                last.take(&[running.clone(), ending.clone()], start + Duration::from_secs(seconds));
            (ending.join(" "), overdue.join(" "))
        };
        assert_eq!(left(0), ("a b".to_owned(), String::new()));
        assert_eq!(left(105), ("a b".to_owned(), String::new()));
        assert_eq!(left(106), ("a".to_owned(), "b".to_owned()), "its node is lost");
    }
}
