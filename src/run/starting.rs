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
        } else if warning.explains_pod() {
            let earlier = self.event.take().map(|(earlier, _)| earlier);
            self.event = Some((warning.after(earlier), now));
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
mod tests;
