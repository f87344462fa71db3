//! What the pods of a run wait for before their programs run: what is said of it and when, and
//! whether waiting is in vain.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use tokio::time::Instant;

use crate::cluster::image_pull::PullFailure;
use crate::cluster::job::JobState;
use crate::cluster::pod_start::{PodWait, has_started, pod_wait};
use crate::cluster::pod_state::has_ended;
use crate::cluster::start_wait::{StartWait, joined};
use crate::cluster::warning_events::ObjectWarning;

/// How long a definite reason may last before the run is ended. A registry may learn of an image
/// moments after the Job, and kubelets pull again after 10 and 20 seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// What passes sooner is not said: some volumes and images are a moment late.
const SAID_AFTER: Duration = Duration::from_secs(5);

/// Pause between two sentences about the same reason, as long as nothing has started.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// The same while other pods of the run work.
const SAID_RARELY: Duration = Duration::from_secs(600);

/// How long a pod's event explains it. Kubelets repeat what still holds every two minutes.
const EVENT_HOLDS: Duration = Duration::from_secs(180);

/// Warnings that say why a pod cannot start, when its own state does not.
const REASONS: [&str; 6] = [
    "FailedAttachVolume",
    "FailedCreatePodSandBox",
    "FailedMapVolume",
    "FailedMount",
    "FailedToRetrieveImagePullSecret",
    "NetworkNotReady",
];

/// The pods of a run that have not started.
#[derive(Default)]
pub(crate) struct Starting {
    pods: BTreeMap<String, Waiting>,
    /// Why the Job controller cannot create pods: the Job, the message, and since when.
    job: Option<(String, String, Instant)>,
    /// Whether a pod of the run has started its program.
    has_started: bool,
    /// When each reason was said last.
    said: BTreeMap<String, Instant>,
}

/// A pod on its way.
#[derive(Default)]
struct Waiting {
    /// Whether the pod itself has been seen, and not only a warning about it.
    exists: bool,
    wait: Option<PodWait>,
    /// Why its image was not pulled last, which a back-off hides.
    pull: Option<(PullFailure, String)>,
    event: Option<(ObjectWarning, Instant)>,
    /// The reason, and since when.
    since: Option<(String, Instant)>,
    definite_since: Option<Instant>,
}

impl Starting {
    pub(crate) fn new(has_started: bool) -> Self {
        Self { has_started, ..Self::default() }
    }

    pub(crate) fn has_started(&self) -> bool {
        self.has_started
    }

    /// Takes over a pod's new state.
    pub(crate) fn take(&mut self, pod: &Pod, now: Instant) {
        self.has_started |= has_started(pod);
        let name = pod.name_any();
        if has_started(pod) || has_ended(pod) || pod.metadata.deletion_timestamp.is_some() {
            self.forget(&name);
            return;
        }
        let waiting = self.pods.entry(name).or_default();
        if !std::mem::replace(&mut waiting.exists, true) {
            // The controller can create pods again.
            self.job = None;
        }
        waiting.wait = pod_wait(pod);
        waiting.settle(now);
    }

    pub(crate) fn forget(&mut self, name: &str) {
        self.pods.remove(name);
    }

    /// Takes over a warning about a pod or a Job of the run.
    pub(crate) fn warned(&mut self, warning: ObjectWarning, run: &JobState, now: Instant) {
        match warning.kind.as_str() {
            "Job" if warning.reason == "FailedCreate" && run.names().any(|name| name == warning.name) => {
                let since = self.job.as_ref().map_or(now, |(_, _, since)| *since);
                self.job = Some((warning.name, warning.message, since));
            }
            "Pod" if run.names().any(|name| is_pod_of(&warning.name, name)) => {
                self.pods.entry(warning.name.clone()).or_default().warned(warning, now);
            }
            _ => {}
        }
    }

    /// Restarts the patience, after an outage of the API server: what was known may no longer hold.
    pub(crate) fn restart(&mut self, now: Instant) {
        for waiting in self.pods.values_mut() {
            waiting.definite_since = waiting.definite_since.map(|_| now);
        }
    }

    /// Forgets what no longer explains anything.
    fn tidy(&mut self, run: &JobState, now: Instant) {
        for waiting in self.pods.values_mut() {
            if waiting.event.as_ref().is_some_and(|(_, at)| now.duration_since(*at) >= EVENT_HOLDS) {
                waiting.event = None;
                waiting.settle(now);
            }
        }
        self.pods.retain(|_, waiting| waiting.exists || waiting.event.is_some());
        if run.active as usize >= possible_pods(run) {
            self.job = None;
        }
    }

    /// What is to be said now.
    pub(crate) fn due(&mut self, run: &JobState, now: Instant) -> Vec<StartWait> {
        self.tidy(run, now);
        let lines = self.lines(now);
        self.said.retain(|reason, _| lines.iter().any(|line| line.reason == *reason));
        let every = if self.has_started { SAID_RARELY } else { SAID_EVERY };
        let mut due = lines;
        due.retain(|line| {
            let last = self.said.get(&line.reason);
            line.waited >= SAID_AFTER && last.is_none_or(|last| now.duration_since(*last) >= every)
        });
        self.said.extend(due.iter().map(|line| (line.reason.clone(), now)));
        due
    }

    /// One line for each reason, the longest wait first.
    pub(crate) fn lines(&self, now: Instant) -> Vec<StartWait> {
        let mut lines: Vec<StartWait> = Vec::new();
        if let Some((job, message, since)) = &self.job {
            lines.push(StartWait {
                reason: "FailedCreate".to_owned(),
                pods: 0,
                object: job.clone(),
                message: message.clone(),
                waited: now.duration_since(*since),
                is_definite: false,
            });
        }
        let mut existing = self.pods.values().filter(|waiting| waiting.exists);
        let is_definite = !self.has_started && existing.all(|waiting| waiting.definite_since.is_some());
        for (name, waiting) in self.pods.iter().filter(|(_, waiting)| waiting.exists) {
            let Some(((reason, message), (_, since))) = waiting.reason().zip(waiting.since.as_ref()) else {
                continue;
            };
            let waited = now.duration_since(*since);
            let line = StartWait { reason, pods: 1, object: name.clone(), message, waited, is_definite };
            match lines.iter_mut().find(|other| other.pods > 0 && other.reason == line.reason) {
                Some(other) => other.join(line),
                None => lines.push(line),
            }
        }
        lines.sort_by_key(|line| std::cmp::Reverse(line.waited));
        lines
    }

    /// Why the run is to be ended: every pod that it has, and that it can have, has been waiting in
    /// vain for long enough, and none has ever started.
    pub(crate) fn in_vain(&self, run: &JobState, now: Instant) -> Option<String> {
        let mut pods = self.pods.iter().filter(|(_, waiting)| waiting.exists).peekable();
        let is_in_vain = |waiting: &Waiting| {
            waiting.definite_since.is_some_and(|since| now.duration_since(since) >= PATIENCE)
        };
        let missing = self.pods.values().filter(|waiting| waiting.exists).count()
            < possible_pods(run).min(run.active as usize);
        if self.has_started || missing || !pods.clone().all(|(_, waiting)| is_in_vain(waiting)) {
            return None;
        }
        let (name, waiting) = pods.next()?;
        let (reason, message) = waiting.reason()?;
        Some(format!("pod {name}: {}", joined(&reason, &message)))
    }
}

impl Waiting {
    fn warned(&mut self, warning: ObjectWarning, now: Instant) {
        // The event repeats what a back-off hides: `Failed to pull image "IMAGE": MESSAGE`.
        let image = self.wait.as_ref().and_then(|wait| wait.image.clone());
        if let Some(rest) = warning.message.strip_prefix("Failed to pull image \"") {
            let Some((name, message)) = rest.split_once("\": ") else { return };
            let failure = PullFailure::read(message, image.as_deref().unwrap_or(name));
            self.pull = Some((failure, message.to_owned()));
        } else if REASONS.contains(&warning.reason.as_str()) {
            self.event = Some((warning, now));
        }
        self.settle(now);
    }

    /// The reason and its message; `None` for a pod on its normal way.
    fn reason(&self) -> Option<(String, String)> {
        let Some(wait) = &self.wait else {
            let (event, _) = self.event.as_ref()?;
            return Some((event.reason.clone(), event.message.clone()));
        };
        Some(match &self.pull {
            Some((_, message)) if wait.hides_pull_failure() => ("ErrImagePull".to_owned(), message.clone()),
            _ => (wait.reason.clone(), wait.message.clone()),
        })
    }

    /// Follows up on a change.
    fn settle(&mut self, now: Instant) {
        if let Some(wait) = &self.wait {
            // It has come further than to its volumes.
            self.event = self.event.take().filter(|_| wait.image.is_none());
            if let Some(failure) = wait.pull {
                self.pull = Some((failure, wait.message.clone()));
            }
        }
        let hidden = self.wait.as_ref().is_some_and(PodWait::hides_pull_failure);
        let definite = match &self.pull {
            Some((failure, _)) if hidden => failure.is_definite(),
            _ => self.wait.as_ref().is_some_and(PodWait::is_definite),
        };
        self.definite_since = definite.then(|| self.definite_since.unwrap_or(now));
        self.since = self.reason().map(|(reason, _)| match self.since.take() {
            Some((same, since)) if same == reason || is_pull(&same) && is_pull(&reason) => (reason, since),
            _ => (reason, now),
        });
    }
}

fn is_pull(reason: &str) -> bool {
    matches!(reason, "ErrImagePull" | "ImagePullBackOff")
}

/// Whether a pod has a name that the Job's controller gives.
fn is_pod_of(pod: &str, job: &str) -> bool {
    pod.strip_prefix(job).is_some_and(|rest| rest.starts_with('-'))
}

/// How many pods the run has, or could have, at this moment.
pub(crate) fn possible_pods(job: &JobState) -> usize {
    let pods = match job.remaining() {
        Some(left) => left.min(job.parallelism),
        // A Job without a number of completions starts no more pods once one has succeeded.
        None if job.succeeded > 0 => job.active,
        None => job.parallelism,
    };
    pods as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ABSENT: &str = "manifest for a/b:1 not found: manifest unknown: manifest unknown";
    const REFUSED: &str = "dial tcp 127.0.0.1:5999: connect: connection refused";

    fn pod(name: &str, state: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "a/b:1"}]},
            "status": {"phase": "Pending", "containerStatuses": [{
                "name": "c", "image": "a/b:1", "imageID": "", "ready": false, "restartCount": 0, "state": state}]},
        }))
        .expect("a pod")
    }

    fn waiting(name: &str, reason: &str, message: &str) -> Pod {
        pod(name, json!({"waiting": {"reason": reason, "message": message}}))
    }

    fn job(parallelism: u32, active: u32) -> JobState {
        let [name, run] = ["w-r1", "r1"].map(str::to_owned);
        JobState { name, run, completions: Some(parallelism), parallelism, active, ..JobState::default() }
    }

    fn warning(kind: &str, name: &str, reason: &str, message: &str) -> ObjectWarning {
        let [kind, name, reason, message] = [kind, name, reason, message].map(str::to_owned);
        ObjectWarning { kind, name, reason, message }
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_run_is_ended_once_all_its_pods_wait_in_vain() {
        let (start, run) = (Instant::now(), job(2, 2));
        let mut starting = Starting::default();
        starting.take(&waiting("w-r1-a", "ErrImagePull", ABSENT), start);
        assert_eq!(starting.in_vain(&run, start + PATIENCE), None, "the second pod may come further");
        starting.take(&waiting("w-r1-b", "ErrImagePull", ABSENT), start + seconds(5));
        starting.take(
            &waiting("w-r1-a", "ImagePullBackOff", "Back-off pulling image \"a/b:1\""),
            start + seconds(9),
        );
        assert_eq!(starting.in_vain(&run, start + PATIENCE), None, "the second gets its full time too");
        let reason = starting.in_vain(&run, start + seconds(5) + PATIENCE).expect("both are in vain");
        assert_eq!(reason, format!("pod w-r1-a: ErrImagePull: {ABSENT}"));
        starting.restart(start + seconds(30));
        assert_eq!(starting.in_vain(&run, start + seconds(60)), None, "the server was away");
    }

    #[test]
    fn a_registry_that_does_not_answer_is_waited_for() {
        let (start, run) = (Instant::now(), job(1, 1));
        let mut starting = Starting::default();
        starting.take(&waiting("w-r1-a", "ErrImagePull", ABSENT), start);
        starting.take(&waiting("w-r1-a", "ErrImagePull", REFUSED), start + seconds(20));
        assert_eq!(starting.in_vain(&run, start + seconds(4000)), None);
        starting.take(&waiting("w-r1-a", "ErrImagePull", ABSENT), start + seconds(100));
        assert_eq!(starting.in_vain(&run, start + seconds(139)), None, "the patience starts anew");
        assert!(starting.in_vain(&run, start + seconds(140)).is_some());
    }

    #[test]
    fn a_run_that_has_started_is_never_ended() {
        let (start, run) = (Instant::now(), job(1, 1));
        let mut starting = Starting::default();
        starting.take(&pod("w-r1-a", json!({"running": {}})), start);
        starting.take(&waiting("w-r1-b", "ErrImagePull", ABSENT), start);
        assert_eq!(starting.in_vain(&run, start + seconds(4000)), None);
        assert!(starting.has_started() && !starting.lines(start)[0].is_definite);
    }

    #[test]
    fn an_event_tells_what_a_back_off_hides() {
        let (start, run) = (Instant::now(), job(1, 1));
        let mut starting = Starting::default();
        starting.take(&waiting("w-r1-a", "ImagePullBackOff", "Back-off pulling image \"a/b:1\""), start);
        assert_eq!(starting.in_vain(&run, start + seconds(4000)), None, "nobody knows why");
        let failed = warning("Pod", "w-r1-a", "Failed", &format!("Failed to pull image \"a/b:1\": {ABSENT}"));
        starting.warned(failed, &run, start);
        assert!(starting.in_vain(&run, start + PATIENCE).is_some());
        let failed =
            warning("Pod", "w-r1-a", "Failed", &format!("Failed to pull image \"a/b:1\": {REFUSED}"));
        starting.warned(failed, &run, start + PATIENCE);
        assert_eq!(starting.in_vain(&run, start + seconds(4000)), None);
        assert_eq!(starting.lines(start + PATIENCE)[0].why(), format!("ErrImagePull: {REFUSED}"));
    }

    #[test]
    fn a_reason_is_said_soon_and_then_every_minute() {
        let (start, run) = (Instant::now(), job(3, 3));
        let mut starting = Starting::default();
        starting.take(&waiting("w-r1-a", "CreateContainerConfigError", "secret \"s\" not found"), start);
        starting.take(&waiting("w-r1-b", "CreateContainerConfigError", "secret \"s\" not found"), start);
        let mut said = Vec::new();
        for second in 0..130 {
            let due = starting.due(&run, start + seconds(second));
            said.extend(due.into_iter().map(|line| (second, line.pods, line.waited.as_secs())));
        }
        assert_eq!(said, [(5, 2, 5), (65, 2, 65), (125, 2, 125)]);
        starting.take(&pod("w-r1-c", json!({"running": {}})), start + seconds(130));
        assert_eq!(starting.due(&run, start + seconds(190)), [], "others work");
        assert_eq!(starting.due(&run, start + seconds(725)).len(), 1);
    }

    #[test]
    fn a_volume_that_is_late_is_said_until_the_pod_comes_further() {
        let (start, run) = (Instant::now(), job(1, 1));
        let mut starting = Starting::default();
        let failed = warning("Pod", "w-r1-a", "FailedMount", "configmap \"nope\" not found");
        // The warning may come before the pod.
        starting.warned(failed.clone(), &run, start);
        assert_eq!(starting.lines(start), []);
        starting.take(&waiting("w-r1-a", "ContainerCreating", ""), start);
        let line = &starting.due(&run, start + seconds(5))[0];
        assert_eq!(line.why(), "FailedMount: configmap \"nope\" not found");
        assert_eq!(line.next_command(), "kubectl describe pod w-r1-a");
        assert_eq!(starting.due(&run, start + EVENT_HOLDS), [], "it may be pulling its image");
        starting.warned(failed, &run, start + EVENT_HOLDS);
        starting.take(&pod("w-r1-a", json!({"running": {}})), start + EVENT_HOLDS);
        assert_eq!(starting.lines(start + EVENT_HOLDS), []);
        let other = warning("Pod", "other-a", "FailedMount", "");
        starting.warned(other, &run, start);
        assert!(starting.pods.is_empty(), "it is not the run's");
    }

    #[test]
    fn a_job_that_cannot_create_pods_is_said_with_the_next_command() {
        let start = Instant::now();
        let mut starting = Starting::default();
        let quota = "Error creating: pods \"w-r1-x\" is forbidden: exceeded quota: q, requested: pods=1";
        starting.warned(warning("Job", "w-r1", "FailedCreate", quota), &job(2, 1), start);
        starting.warned(warning("Job", "other", "FailedCreate", quota), &job(2, 1), start);
        let line = &starting.due(&job(2, 1), start + SAID_AFTER)[0];
        assert_eq!((line.pods, line.object.as_str()), (0, "w-r1"));
        assert_eq!(line.next_command(), "kubectl describe quota");
        assert_eq!(starting.due(&job(2, 2), start + seconds(100)), [], "the pods are there");
        assert_eq!(starting.lines(start), []);
    }
}
