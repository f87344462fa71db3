//! The pods of a followed run: which have failed, and their last log lines.

use std::collections::{BTreeMap, VecDeque};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use crate::cluster::pod_state::failure_reason;

/// Log lines kept of each pod, to show them again if it fails.
const LAST_LINES: usize = 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedPod {
    pub pod: String,
    /// Why, as far as Kubernetes knows.
    pub reason: String,
    /// The end of its log.
    pub last_lines: Vec<String>,
}

#[derive(Default)]
pub(crate) struct FollowedPods {
    /// By name, without the pods that succeeded.
    pods: BTreeMap<String, FollowedPod>,
}

#[derive(Default)]
struct FollowedPod {
    failure: Option<String>,
    last_lines: VecDeque<String>,
}

impl FollowedPods {
    pub(crate) fn keep_line(&mut self, pod: &str, line: &[u8]) {
        let lines = &mut self.pods.entry(pod.to_owned()).or_default().last_lines;
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(String::from_utf8_lossy(line).into_owned());
    }

    /// Takes over a pod's new state. Returns why the pod failed if that is news.
    pub(crate) fn update(&mut self, pod: &Pod) -> Option<String> {
        match pod.status.as_ref()?.phase.as_deref()? {
            // Otherwise a long run would accumulate them.
            "Succeeded" => {
                self.pods.remove(&pod.name_any());
                None
            }
            "Failed" => {
                let failure = failure_reason(pod);
                let followed = self.pods.entry(pod.name_any()).or_default();
                followed.failure.replace(failure.clone()).is_none().then_some(failure)
            }
            _ => None,
        }
    }

    /// The end of a pod's log.
    pub(crate) fn last_lines(&self, pod: &str) -> impl Iterator<Item = &str> {
        self.pods.get(pod).into_iter().flat_map(|pod| &pod.last_lines).map(String::as_str)
    }

    /// How many have failed.
    pub(crate) fn failures(&self) -> u32 {
        self.pods.values().map(|pod| u32::from(pod.failure.is_some())).sum()
    }

    pub(crate) fn failed(&self) -> Vec<FailedPod> {
        let failed = self.pods.iter().filter_map(|(name, pod)| {
            let reason = pod.failure.clone()?;
            let last_lines = pod.last_lines.iter().cloned().collect();
            Some(FailedPod { pod: name.clone(), reason, last_lines })
        });
        failed.collect()
    }
}
