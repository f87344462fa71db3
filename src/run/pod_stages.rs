//! How far each pod of a followed run has come, and which pods go because fewer are wanted.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use crate::cluster::job::JobState;
use crate::cluster::pod_start::has_started;
use crate::cluster::pod_state::{has_ended, pod_state};
use crate::notice::PodCounts;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// In Kubernetes' word for what it does before its program runs.
    Starting(String),
    Running,
    /// It is being deleted: how many others were at work then, and how many the run was to have.
    Ending {
        others: usize,
        wanted: usize,
    },
}

impl Stage {
    fn is_ending(&self) -> bool {
        matches!(self, Self::Ending { .. })
    }
}

/// The pods of a run that have not ended.
#[derive(Debug, Default)]
pub(crate) struct PodStages {
    stages: BTreeMap<String, Stage>,
    /// Pods that went because fewer were wanted.
    unwanted: BTreeSet<String>,
}

impl PodStages {
    /// Takes over a pod's new state.
    pub(crate) fn take(&mut self, pod: &Pod, job: &JobState) {
        let name = pod.name_any();
        if has_ended(pod) {
            self.remove(&name, job);
        } else if pod.metadata.deletion_timestamp.is_some() {
            self.end(name, job);
        } else {
            let stage = if has_started(pod) { Stage::Running } else { Stage::Starting(word(pod)) };
            self.stages.insert(name, stage);
        }
    }

    /// Removes a pod that is gone. Returns whether it went because fewer were wanted.
    pub(crate) fn gone(&mut self, name: &str, job: &JobState) -> bool {
        self.end(name.to_owned(), job);
        self.remove(name, job);
        self.unwanted.contains(name)
    }

    /// Whether a pod goes, or went, because fewer were wanted.
    pub(crate) fn is_unwanted(&self, name: &str, job: &JobState) -> bool {
        // The news of the Job may come after that of its pods.
        let is_enough = |stage: &Stage| match stage {
            Stage::Ending { others, wanted } => *others >= (*wanted).min(job.parallelism as usize),
            _ => false,
        };
        self.unwanted.contains(name) || self.stages.get(name).is_some_and(is_enough)
    }

    fn remove(&mut self, name: &str, job: &JobState) {
        if self.is_unwanted(name, job) {
            self.unwanted.insert(name.to_owned());
        }
        self.stages.remove(name);
    }

    fn end(&mut self, name: String, job: &JobState) {
        if self.stages.get(&name).is_some_and(Stage::is_ending) {
            return;
        }
        self.stages.remove(&name);
        // Judged at once: later a new pod may have taken its place.
        let (others, wanted) = (self.at_work(), job.parallelism as usize);
        self.stages.insert(name, Stage::Ending { others, wanted });
    }

    fn at_work(&self) -> usize {
        self.stages.values().filter(|stage| !stage.is_ending()).count()
    }

    /// How many pods are at which stage.
    pub(crate) fn counts(&self) -> PodCounts {
        let mut counts = PodCounts::default();
        for stage in self.stages.values() {
            match stage {
                Stage::Running => counts.running += 1,
                Stage::Ending { .. } => counts.ending += 1,
                Stage::Starting(word) => {
                    counts.starting += 1;
                    counts.why.get_or_insert_with(|| word.clone());
                }
            }
        }
        counts
    }
}

/// Kubernetes' word for the state of a pod, without its message.
fn word(pod: &Pod) -> String {
    let state = pod_state(pod);
    state.split(':').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(name: &str, metadata: Value, state: Value) -> Pod {
        let mut pod = json!({"metadata": metadata, "spec": {"containers": [{"name": "c"}]}, "status": {
            "phase": "Running", "containerStatuses": [{"name": "c", "image": "", "imageID": "", "ready": false,
                "restartCount": 0, "state": state}]}});
        pod["metadata"]["name"] = json!(name);
        serde_json::from_value(pod).expect("a pod")
    }

    fn running(name: &str) -> Pod {
        pod(name, json!({}), json!({"running": {}}))
    }

    fn deleted(name: &str) -> Pod {
        pod(name, json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}), json!({"running": {}}))
    }

    fn job(parallelism: u32) -> JobState {
        JobState { parallelism, ..JobState::default() }
    }

    fn three() -> PodStages {
        let mut stages = PodStages::default();
        ["a", "b", "c"].iter().for_each(|name| stages.take(&running(name), &job(3)));
        stages
    }

    #[test]
    fn a_pod_whose_image_is_pulled_does_not_count_as_running() {
        let mut stages = PodStages::default();
        stages.take(&running("a"), &job(3));
        stages.take(&pod("b", json!({}), json!({"waiting": {"reason": "ContainerCreating"}})), &job(3));
        stages.take(&deleted("c"), &job(3));
        let why = Some("ContainerCreating".to_owned());
        assert_eq!(stages.counts(), PodCounts { running: 1, starting: 1, ending: 1, failed: 0, why });
    }

    #[test]
    fn pods_that_go_because_fewer_are_wanted_are_told_from_others() {
        let mut scaled = three();
        for name in ["a", "b"] {
            scaled.take(&deleted(name), &job(1));
            assert!(scaled.gone(name, &job(1)), "{name}");
        }
        let mut early = three();
        early.take(&deleted("a"), &job(3));
        assert!(early.gone("a", &job(2)), "the news that fewer are wanted came later");
        let mut paused = three();
        assert!(paused.gone("a", &job(0)));

        let mut killed = three();
        killed.take(&deleted("a"), &job(3));
        // Another one takes its place before it is gone.
        killed.take(&running("d"), &job(3));
        assert!(!killed.gone("a", &job(3)));
        assert!(!killed.gone("b", &job(3)), "without a word before");
    }
}
