//! Why pods are not ready: their state, last events and last log lines, in kubectl's words.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::ResourceExt as _;
use kube::api::{ListParams, LogParams};
use tokio::time::Instant;

use super::Cluster;

/// Events to show of one pod.
const LAST_EVENTS: usize = 4;

/// Log lines to read of one pod.
const READ_LINES: i64 = 300;

/// Log lines to show from the first complaint on. RabbitMQ says why it cannot start, and then goes on
/// for a screen or two.
const COMPLAINT_LINES: usize = 10;

/// Log lines to show from the end.
const LAST_LINES: usize = 15;

/// What programs say where something goes wrong, in lower case.
const COMPLAINTS: [&str; 6] = ["error", "fail", "fatal", "panic", "exception", "denied"];

/// How long a pod may be in a state that does not mend itself before it is given up. Registries
/// and volumes are sometimes late, so that the first back-off is no verdict.
pub const STUCK_PATIENCE: Duration = Duration::from_secs(40);

/// Annotation of a pod: the container that kubectl means without `-c`. Injectors that put their
/// sidecar first name the pod's own there.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// What is known about pods that do not get ready.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// The pods; none when the controller has made none yet.
    pub pods: Vec<PodDiagnosis>,
}

/// What is known about one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodDiagnosis {
    /// The pod's name.
    pub name: String,
    /// Its state, as `kubectl get pods` names it, and the message that goes with it.
    pub state: String,
    /// Its last events, oldest first.
    pub events: Vec<String>,
    /// The lines of its log from the first complaint on, and the last ones.
    pub log: Vec<String>,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pods.is_empty() {
            return write!(f, "it has no pod yet");
        }
        for (number, pod) in self.pods.iter().enumerate() {
            let newline = if number > 0 { "\n" } else { "" };
            write!(f, "{newline}pod {}: {}", pod.name, pod.state)?;
            pod.events.iter().try_for_each(|event| write!(f, "\n  event: {event}"))?;
            pod.log.iter().try_for_each(|line| write!(f, "\n  log: {line}"))?;
        }
        Ok(())
    }
}

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

/// The status of a pod's main container: the one that the pod names as kubectl's default, else the
/// first of its spec. Statuses are sorted by name, and injected sidecars are among them.
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

fn with_message(reason: &str, message: Option<&str>) -> Option<String> {
    Some(match message {
        Some(message) if !message.is_empty() => format!("{reason}: {}", message.trim()),
        _ => reason.to_owned(),
    })
}

/// Whether a pod has run to its end, well or not.
pub fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// The reason of a state that does not mend itself: an image that cannot be pulled, a container
/// that cannot be made, one that keeps crashing. Under `OnFailure` that one is a Job's, whose
/// backoffLimit says how often it may.
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

/// Why a pod failed, as far as Kubernetes knows: `exited with 3`, `OOMKilled`, `Evicted: …`.
pub fn failure_reason(pod: &Pod) -> String {
    let Some(status) = &pod.status else { return "unknown".to_owned() };
    if let Some(reason) = &status.reason {
        return with_message(reason, status.message.as_deref()).unwrap_or_default();
    }
    // A sidecar may have been killed in the end, whatever the main container had come to.
    let mut containers = main_status(pod).into_iter().chain(status.container_statuses.iter().flatten());
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

/// Pods in states that do not mend themselves, and since when.
#[derive(Debug, Default)]
pub struct StuckPods(BTreeMap<String, (Instant, String)>);

impl StuckPods {
    /// Takes a pod as a watch shows it.
    pub fn take(&mut self, pod: &Pod) {
        let name = pod.name_any();
        // A pod alternates between two stuck states (ErrImagePull, ImagePullBackOff); only one
        // that got out of both starts anew.
        match stuck_reason(pod) {
            Some(reason) => _ = self.0.entry(name).or_insert_with(|| (Instant::now(), reason)),
            None => self.forget(&name),
        }
    }

    /// Drops a pod that has gone.
    pub fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// When the one that is stuck the longest has had its time.
    pub fn give_up_at(&self) -> Option<Instant> {
        self.0.values().map(|(since, _)| *since + STUCK_PATIENCE).min()
    }

    /// When as many as `pods` have each had their time; `None` while fewer are stuck.
    pub fn so_many_give_up_at(&self, pods: usize) -> Option<Instant> {
        if self.0.len() < pods {
            return None;
        }
        let mut since: Vec<Instant> = self.0.values().map(|(since, _)| *since).collect();
        since.sort_unstable();
        Some(*since.get(pods.checked_sub(1)?)? + STUCK_PATIENCE)
    }

    /// The one that is stuck the longest, with its state.
    pub fn worst(&self) -> Option<String> {
        let (name, (_, reason)) = self.0.iter().min_by_key(|(_, (since, _))| *since)?;
        Some(format!("pod {name}: {reason}"))
    }
}

/// Whether a pod takes traffic: its `Ready` condition holds and it is not being deleted.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    pod.metadata.deletion_timestamp.is_none() && ready.any(|condition| condition.status == "True")
}

impl Cluster {
    /// Gathers what is known about the pods that `selector` finds and that are not ready.
    ///
    /// Never fails: what may not be read (events, logs) is left out, since the caller is about to
    /// report a failure of its own.
    pub async fn diagnose(&self, selector: &str) -> Diagnosis {
        let list = ListParams::default().labels(selector);
        let pods = self.call("listing pods", self.api::<Pod>().list(&list)).await;
        let mut diagnosis = Diagnosis::default();
        for pod in pods.into_iter().flatten().filter(|pod| !is_ready(pod)) {
            diagnosis.pods.push(self.diagnose_pod(&pod).await);
        }
        diagnosis
    }

    async fn diagnose_pod(&self, pod: &Pod) -> PodDiagnosis {
        let name = pod.name_any();
        let (events, log) = tokio::join!(self.last_events(&name), self.telling_lines(&name, pod));
        PodDiagnosis { state: pod_state(pod), events, log, name }
    }

    async fn last_events(&self, pod: &str) -> Vec<String> {
        let of_pod =
            ListParams::default().fields(&format!("involvedObject.kind=Pod,involvedObject.name={pod}"));
        let events = self.call("listing events", self.api::<Event>().list(&of_pod)).await;
        let mut events: Vec<Event> = events.into_iter().flatten().collect();
        let time = |event: &Event| event.last_timestamp.as_ref().map(|time| time.0);
        events.sort_by_key(time);
        let first = events.len().saturating_sub(LAST_EVENTS);
        let text = |event: &Event| {
            let reason = event.reason.as_deref().unwrap_or("Event");
            with_message(reason, event.message.as_deref())
        };
        events[first..].iter().filter_map(text).collect()
    }

    async fn telling_lines(&self, name: &str, pod: &Pod) -> Vec<String> {
        let Some(status) = main_status(pod) else { return Vec::new() };
        let running = status.state.as_ref().is_some_and(|state| state.waiting.is_none());
        let params = LogParams {
            container: Some(status.name.clone()),
            tail_lines: Some(READ_LINES),
            // Between restarts the current container has no log; the one before it has.
            previous: !running && status.restart_count > 0,
            ..LogParams::default()
        };
        if !running && status.restart_count == 0 {
            return Vec::new();
        }
        let log = self.call("reading a log", self.api::<Pod>().logs(name, &params)).await;
        log.map(|log| telling(&log)).unwrap_or_default()
    }
}

/// The lines that tell why a program ended: those from its first complaint on, since all others
/// follow from that, and its last ones.
fn telling(log: &str) -> Vec<String> {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let complains = |line: &&str| {
        let line = line.to_lowercase();
        COMPLAINTS.iter().any(|word| line.contains(word))
    };
    let end = lines.len().saturating_sub(LAST_LINES);
    let first = lines.iter().position(complains).unwrap_or(end).min(end);
    let shown = match end.saturating_sub(first) {
        0..=COMPLAINT_LINES => lines[first..].to_vec(),
        _ => [&lines[first..first + COMPLAINT_LINES], &["…"], &lines[end..]].concat(),
    };
    shown.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).expect("a pod")
    }

    #[test]
    fn states_are_kubectls() {
        let pulling = pod(json!({"phase": "Pending", "containerStatuses": [{
            "name": "c", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x\""}}}]}));
        assert_eq!(pod_state(&pulling), "ImagePullBackOff: Back-off pulling image \"x\"");
        assert!(stuck_reason(&pulling).is_some());

        let unschedulable = pod(json!({"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available"}]}));
        assert_eq!(pod_state(&unschedulable), "Unschedulable: 0/1 nodes are available");
        assert_eq!(stuck_reason(&unschedulable), None);

        let failed = pod(json!({"phase": "Failed", "containerStatuses": [{
            "name": "c", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}]}));
        assert_eq!(pod_state(&failed), "Error (exit code 3)");
    }

    #[test]
    fn a_crash_is_final_only_where_nobody_counts_them() {
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

    #[test]
    fn a_sidecar_is_not_taken_for_the_main_container() {
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
    fn the_first_complaint_is_shown_and_the_end() {
        let line = |number: u32| match number {
            20 => "[error] no setting named nonsense".to_owned(),
            21.. => format!("error {number}"),
            _ => format!("line {number}"),
        };
        let log = |count| (1..=count).map(|number| line(number) + "\n\n").collect::<String>();
        assert_eq!(telling(&log(3)), ["line 1", "line 2", "line 3"]);
        assert_eq!(telling(&log(19)).first().map(String::as_str), Some("line 5"));
        let middling = telling(&log(40));
        assert_eq!((middling.len(), middling[0].as_str()), (21, "[error] no setting named nonsense"));
        let long = telling(&log(100));
        assert_eq!(long.len(), COMPLAINT_LINES + 1 + LAST_LINES);
        assert_eq!(
            [&long[0], &long[9], &long[10], &long[11]],
            ["[error] no setting named nonsense", "error 29", "…", "error 86"]
        );
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
