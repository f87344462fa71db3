//! Programs that never start: the image lacks the program, its worker or its interpreter.
//!
//! Kubernetes tries again with ever longer pauses, up to the Job's backoffLimit: for hours.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use tokio::time::Instant;

use crate::cluster::job::JobState;
use crate::cluster::pod_start::{StartFailure, has_started, start_failure};
use crate::cluster::pod_state::has_ended;
use crate::notice::RunCounts;
use crate::run::job_manifest::INJECTOR;
use crate::run::starting::possible_pods;

/// How often in a row every pod has to fail.
const TIMES: u32 = 2;

/// Pause of the Job controller, and of kubelets, after the first failure. It doubles with each further
/// one. <https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy>
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(360);

/// A program that runs for so long has started.
const WORKS_AFTER: Duration = Duration::from_secs(10);

/// How often the time until the next pod is said.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// The pods of a run whose program could not be started.
#[derive(Default)]
pub(crate) struct StartFailures {
    pods: BTreeMap<String, StartFailure>,
    /// Pods that run, and since when.
    running: BTreeMap<String, Instant>,
    /// Whether a pod did some work.
    has_worked: bool,
    /// The pod that failed last, and when.
    last: Option<(String, Instant)>,
    said_at: Option<Instant>,
    /// How many failures there had been when the queue was last seen with all its items.
    untouched_after: u32,
}

impl StartFailures {
    /// Takes over a pod's new state.
    pub(crate) fn take(&mut self, pod: &Pod, now: Instant) {
        let name = pod.name_any();
        if pod.metadata.deletion_timestamp.is_some() {
            // A container that starts while its pod is being deleted finds no volumes: nobody is to blame.
            self.forget(&name);
        } else if let Some(failure) = start_failure(pod) {
            self.running.remove(&name);
            if self.pods.insert(name.clone(), failure.clone()) != Some(failure) {
                self.last = Some((name, now));
            }
        } else if has_ended(pod) {
            self.running.remove(&name);
            self.has_worked |= has_started(pod);
        } else if has_started(pod) {
            self.running.entry(name).or_insert(now);
        }
    }

    pub(crate) fn forget(&mut self, name: &str) {
        self.running.remove(name);
    }

    /// Takes over what is in the queues.
    pub(crate) fn counted(&mut self, counts: RunCounts, job: &JobState) {
        if counts.failed == 0 && job.items.is_some_and(|items| counts.waiting >= items) {
            self.untouched_after = self.failures();
        }
    }

    fn failures(&self) -> u32 {
        self.pods.values().map(|failure| failure.times).sum()
    }

    /// A pod whose program could not be started, once every pod that the run can have has failed so
    /// twice, and no item was done.
    pub(crate) fn in_vain(&self, job: &JobState, now: Instant) -> Option<(&str, &StartFailure)> {
        let enough = u32::try_from(possible_pods(job)).unwrap_or(u32::MAX).max(1).saturating_mul(TIMES);
        let works = self.running.values().any(|since| now.duration_since(*since) >= WORKS_AFTER);
        if self.has_worked || works || job.succeeded > 0 || self.failures() < enough {
            return None;
        }
        let ran = self.pods.values().any(|failure| failure.ran);
        (!ran || self.untouched_after >= enough).then(|| self.last()).flatten()
    }

    /// How long until the next pod, and why the last one has failed, if it is time to say so.
    pub(crate) fn due(&mut self, job: &JobState, now: Instant) -> Option<(Duration, String)> {
        let (_, last_at) = self.last.as_ref().filter(|_| !self.has_worked && self.running.is_empty())?;
        if self.said_at.is_some_and(|said| now.duration_since(said) < SAID_EVERY) {
            return None;
        }
        let pods = u32::try_from(possible_pods(job)).unwrap_or(u32::MAX).max(1);
        let rounds = self.failures().div_ceil(pods).clamp(1, 16);
        let pause = (FIRST_PAUSE * 2_u32.pow(rounds - 1)).min(MAX_PAUSE);
        let (pod, failure) = self.last()?;
        let due =
            (pause.saturating_sub(now.duration_since(*last_at)), format!("pod {pod}: {}", failure.reason));
        self.said_at = Some(now);
        Some(due)
    }

    fn last(&self) -> Option<(&str, &StartFailure)> {
        let (name, _) = self.last.as_ref()?;
        Some((name, self.pods.get(name)?))
    }
}

const NAME_A_PROGRAM: &str =
    "name a program that is in the image after `--`, bring one with --script FILE, or use another --image";

/// What cures pods that fail on some nodes only, by the words of their containers: nodes of an architecture
/// that was not there when the run began, for one. Other pods may do the work.
pub(crate) fn node_cure(words: &str) -> Option<&'static str> {
    let says = |what: &str| words.contains(what);
    if says("was brought along") {
        Some(
            "put the worker for this architecture next to kubectl-workqueue and run it again, or keep the pods off \
             such nodes with worker.nodeSelector",
        )
    } else if says(INJECTOR) && says("exec format error") {
        Some(
            "the image that unpacks the worker is for another architecture than this node: set \
             worker.inject.unpackImage to one for both, such as busybox, or keep the pods off such nodes with \
             worker.nodeSelector",
        )
    } else {
        None
    }
}

/// What cures a program that cannot be started, by its container's words.
pub(crate) fn cure(words: &str) -> &'static str {
    let says = |what: &str| words.contains(what);
    // What the worker says of the program; its lines begin with its own name.
    let program = says("cannot start ") && !says("exec:");
    if let Some(cure) = node_cure(words) {
        cure
    } else if says("exec format error") {
        "build the image for the platforms of all nodes, such as `kubectl workqueue build --platform linux/amd64,linux/arm64`"
    } else if says("written the ConfigMap of the script") {
        "find out who writes ConfigMaps with the names of Jobs, and run it again"
    } else if says("/run/workqueue/script/") {
        "use an --image that has the interpreter in the first line of the script"
    } else if says("in a row before it took an item") {
        "the pods' logs say why the program ends; with --runtime-api it has to ask for its items"
    } else if program {
        NAME_A_PROGRAM
    } else if says("in the ConfigMaps does not have") {
        "delete the ConfigMaps that are named and run again, which creates them again; find out who changed them"
    } else if says("unpacks the worker") || says(INJECTOR) && says("/bin/sh") {
        "set worker.inject.unpackImage to an image that has sh, gzip and sha256sum, such as busybox"
    } else if says("/run/workqueue/bin/") || says(INJECTOR) {
        "name a --worker-image that runs on the nodes"
    } else if says("workqueue-worker") {
        "omit --worker-in-image, which brings the worker into the pods of any image, or build the image with \
         `kubectl workqueue build`"
    } else if says("amqp-consume") || says("mktemp") {
        "--amqp-consume needs amqp-tools and a shell in the image; without it, the image needs nothing"
    } else {
        NAME_A_PROGRAM
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(name: &str, phase: &str, state: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name}, "spec": {"containers": [{"name": "c"}]},
            "status": {"phase": phase, "containerStatuses": [{
                "name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}]},
        }))
        .expect("a pod")
    }

    fn failed(name: &str, code: i32, reason: &str) -> Pod {
        let ended = json!({"exitCode": code, "reason": reason, "message": "no such file or directory"});
        pod(name, "Failed", json!({"terminated": ended}))
    }

    fn job() -> JobState {
        JobState { completions: Some(2), parallelism: 2, items: Some(5), ..JobState::default() }
    }

    fn after(pods: &[Pod]) -> StartFailures {
        let mut failures = StartFailures::default();
        pods.iter().for_each(|pod| failures.take(pod, Instant::now()));
        failures
    }

    #[test]
    fn a_program_that_starts_in_no_pod_twice_in_a_row_is_missing() {
        let one = |name| failed(name, 128, "StartError");
        assert_eq!(
            after(&[one("a"), one("b"), one("c")]).in_vain(&job(), Instant::now()),
            None,
            "b had one attempt only"
        );
        let mut failures = after(&[one("a"), one("b"), one("c"), one("d")]);
        let (name, failure) = failures.in_vain(&job(), Instant::now()).expect("each had two");
        assert_eq!((name, failure.reason.as_str()), ("d", "StartError: no such file or directory"));
        failures.take(&pod("e", "Running", json!({"running": {}})), Instant::now());
        assert!(failures.in_vain(&job(), Instant::now()).is_some(), "it may end as the others did");
        assert_eq!(failures.in_vain(&job(), Instant::now() + WORKS_AFTER), None, "it runs");
        failures.take(&failed("e", 3, "Error"), Instant::now());
        assert_eq!(failures.in_vain(&job(), Instant::now()), None, "one has worked");
    }

    #[test]
    fn pods_that_are_being_deleted_say_nothing_about_the_program() {
        let mut pods = ["a", "b", "c", "d"].map(|name| failed(name, 128, "ContainerCannotRun"));
        assert!(after(&pods).in_vain(&job(), Instant::now()).is_some());
        for pod in &mut pods {
            pod.metadata.deletion_timestamp =
                serde_json::from_value(json!("2026-01-01T00:00:00Z")).expect("a time");
        }
        assert_eq!(after(&pods).in_vain(&job(), Instant::now()), None);
    }

    #[test]
    fn a_shell_that_finds_no_program_counts_if_nothing_was_taken() {
        let pods = ["a", "b", "c", "d"].map(|name| failed(name, 127, "Error"));
        let mut failures = after(&pods);
        assert_eq!(failures.in_vain(&job(), Instant::now()), None, "nobody knows what was taken");
        failures.counted(RunCounts { waiting: 4, ..RunCounts::default() }, &job());
        assert_eq!(failures.in_vain(&job(), Instant::now()), None, "one item was");
        failures.counted(RunCounts { waiting: 5, ..RunCounts::default() }, &job());
        assert!(failures.in_vain(&job(), Instant::now()).is_some());
        let mut early = after(&pods[..3]);
        early.counted(RunCounts { waiting: 5, ..RunCounts::default() }, &job());
        early.take(&pods[3], Instant::now());
        assert_eq!(early.in_vain(&job(), Instant::now()), None, "that count was before its failure");
    }

    #[test]
    fn the_time_until_the_next_pod_is_said_every_ten_seconds() {
        let start = Instant::now();
        let mut failures = StartFailures::default();
        for name in ["a", "b", "c"] {
            failures.take(&failed(name, 127, "Error"), start);
        }
        let mut said = Vec::new();
        for second in 0..25 {
            let due = failures.due(&job(), start + Duration::from_secs(second));
            said.extend(due.map(|(due, _)| (second, due.as_secs())));
        }
        assert_eq!(said, [(0, 20), (10, 10), (20, 0)]);
    }

    #[test]
    fn the_cure_fits_the_words() {
        let cured = |words: &str| cure(words).split(' ').next().expect("words");
        assert_eq!(cured("exec: \"workqueue-worker\": executable file not found in $PATH"), "omit");
        let unpacking = |words: &str| cured(&format!("init container {INJECTOR}: exited with 126: {words}"));
        assert_eq!(
            unpacking("the worker in the ConfigMaps does not have the SHA-256 digest 0a: …"),
            "delete"
        );
        assert_eq!(unpacking("no worker for linux/s390x was brought along"), "put");
        // Docker, and containerd with an image of one platform only.
        assert_eq!(
            unpacking("standard_init_linux.go:228: exec user process caused: exec format error"),
            "the"
        );
        assert_eq!(unpacking("exec /bin/sh: exec format error"), "the");
        assert_eq!(unpacking("the image that unpacks the worker has no gzip"), "set");
        assert_eq!(unpacking("exec: \"/bin/sh\": stat /bin/sh: no such file or directory"), "set");
        assert_eq!(unpacking("exec: \"install\": executable file not found in $PATH"), "name");
        assert_eq!(cured("exec /run/workqueue/bin/workqueue-worker: exec format error"), "build");
        assert_eq!(
            cured(
                "exited with 126: workqueue-worker: error: the files in /run/workqueue/script-source do not have the \
                   digest that the Job names: somebody else has written the ConfigMap of the script"
            ),
            "find"
        );
        assert_eq!(cured("error: cannot start /run/workqueue/script/work.py: No such file"), "use");
        assert_eq!(cured("workqueue-worker: error: cannot start /bin/missing: No such file"), "name");
        assert_eq!(cured("worker: 3: amqp-consume: not found"), "--amqp-consume");
        assert_eq!(cured("exec: \"/bin/missing\": no such file or directory"), "name");
    }
}
