//! The state of a run that is being followed: turns events into notices, and judges when a run
//! whose pods cannot start is to be given up.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use tokio::time::Instant;

use crate::cluster;
use crate::cluster::job::JobState;
use crate::cluster::job_watch::RunEvent;
use crate::cluster::pod_event::PodEvent;
use crate::cluster::pod_start::start_failure;
use crate::cluster::pod_state::has_ended;
use crate::cluster::warning_events::ObjectWarning;
use crate::error::Error;
use crate::notice::{Notice, Observer, PodCounts, Recovery, RunCounts, RunProgress, Wait, Warning};
use crate::run::followed_pods::FollowedPods;
use crate::run::last_pods::LastPods;
use crate::run::pod_stages::PodStages;
use crate::run::queue_watch::QueueCount;
use crate::run::start_failures::{StartFailures, cure, node_cure};
use crate::run::starting::Starting;

pub(crate) struct FollowedRun<'a> {
    pub job: JobState,
    pub pods: FollowedPods,
    observer: &'a dyn Observer,
    server_is_away: bool,
    broker_is_away: bool,
    counts: Option<RunCounts>,
    stages: PodStages,
    outputs_full: bool,
    starting: Starting,
    failures: StartFailures,
    last_pods: LastPods,
    followed_since: Instant,
}

impl<'a> FollowedRun<'a> {
    pub(crate) fn new(job: JobState, observer: &'a dyn Observer) -> Self {
        let pods = FollowedPods::default();
        let starting = Starting::new(job.succeeded > 0);
        Self {
            job,
            pods,
            observer,
            server_is_away: false,
            broker_is_away: false,
            counts: None,
            stages: PodStages::default(),
            outputs_full: false,
            starting,
            failures: StartFailures::default(),
            last_pods: LastPods::default(),
            followed_since: Instant::now(),
        }
    }

    pub(crate) fn on_run_event(&mut self, event: RunEvent) {
        match event {
            RunEvent::State(job) => {
                self.server_answered();
                self.job = *job;
                self.report_progress(Instant::now());
            }
            RunEvent::Unreachable(reason) => {
                if !std::mem::replace(&mut self.server_is_away, true) {
                    self.observer.warn(Warning::ApiServerAway { run: &self.job.run, reason: &reason });
                }
            }
        }
    }

    pub(crate) fn on_count(&mut self, count: QueueCount) {
        match count {
            QueueCount::Counted(counts) => {
                self.server_answered();
                if std::mem::take(&mut self.broker_is_away) {
                    self.observer.on(Notice::Recovered(Recovery::Broker));
                }
                self.failures.counted(counts, &self.job);
                self.counts = Some(counts);
                match (std::mem::replace(&mut self.outputs_full, counts.outputs_full), counts.outputs_full) {
                    (false, true) => self.observer.warn(Warning::OutputsFull { run: &self.job.run }),
                    (true, false) => self.observer.on(Notice::Recovered(Recovery::OutputsRoom)),
                    _ => {}
                }
                self.report_progress(Instant::now());
            }
            // The broker is reached through the API server, whose absence was reported already.
            QueueCount::Away(_) if self.server_is_away => {}
            QueueCount::Away(reason) => {
                // What was counted holds no longer.
                self.counts = None;
                if !std::mem::replace(&mut self.broker_is_away, true) {
                    self.observer.warn(Warning::BrokerAway { reason: &reason });
                }
            }
        }
    }

    pub(crate) fn on_pod_event(&mut self, event: PodEvent) {
        match event {
            // Says nothing about the server: lines may have been buffered here for a long time.
            PodEvent::Line(line) => {
                self.observer.on(Notice::LogLine(&line));
                self.pods.keep_line(&line.pod, &line.text);
            }
            PodEvent::Pod(pod) => {
                self.server_answered();
                self.starting.take(&pod, Instant::now());
                self.failures.take(&pod, Instant::now());
                self.stages.take(&pod, &self.job);
                // What a pod does that is being deleted is no failure.
                let is_deleted = pod.metadata.deletion_timestamp.is_some();
                if !is_deleted && let Some(failure) = self.pods.update(&pod) {
                    let words = start_failure(&pod).map(|failure| failure.reason);
                    let cure = words.as_deref().and_then(node_cure);
                    self.observer.warn(Warning::PodFailed { pod: &pod.name_any(), failure: &failure, cure });
                }
            }
            PodEvent::Gone(pod) => {
                self.server_answered();
                self.on_pod_deleted(&pod);
            }
            // The end of what was to be stopped may be lost.
            PodEvent::Incomplete { pod, .. } if self.stages.is_unwanted(&pod, &self.job) => {}
            PodEvent::Incomplete { pod, reason } => {
                self.observer.warn(Warning::LogIncomplete { pod: &pod, reason: &reason });
            }
        }
    }

    fn on_pod_deleted(&mut self, pod: &Pod) {
        let name = pod.name_any();
        self.starting.forget(&name);
        self.failures.forget(&name);
        let is_unwanted = self.stages.gone(&name, &self.job);
        // Kubernetes cleans up pods that have ended, and stops those that `scale` and `pause` have left over.
        if !has_ended(pod) && !is_unwanted && self.job.end.is_none() {
            self.observer.warn(Warning::PodDeleted { pod: &name });
        }
    }

    /// Says how far the run has come, once there is something to say.
    fn report_progress(&self, now: Instant) {
        let mut pods = PodCounts { failed: self.pods.failures(), ..self.stages.counts() };
        if let Some(line) = self.starting.lines(now).into_iter().next() {
            pods.why = Some(line.reason);
        }
        let is_known = self.counts.is_some() || pods != PodCounts::default();
        if is_known && self.job.end.is_none() {
            self.observer.on(Notice::Run(RunProgress { job: &self.job, items: self.counts, pods }));
        }
    }

    /// Notes that something came through the API server. Any watch may be the first to reopen, and
    /// the Job's own may stay silent for hours.
    fn server_answered(&mut self) {
        if std::mem::take(&mut self.server_is_away) {
            self.starting.restart(Instant::now());
            self.observer.on(Notice::Recovered(Recovery::ApiServer));
        }
    }

    pub(crate) fn on_object_warning(&mut self, warning: ObjectWarning) {
        self.starting.warned(warning, &self.job, Instant::now());
    }

    /// Says what pods wait for, and judges whether waiting is in vain; to be called every second.
    /// `start_timeout` limits how long no pod of the run may start; 0 for no limit.
    ///
    /// # Errors
    /// [`Error::WorkersStuck`], [`Error::NotStarted`].
    pub(crate) fn on_tick(&mut self, start_timeout: Duration, now: Instant) -> Result<(), Error> {
        if !self.server_is_away {
            self.report_progress(now);
        }
        let waited = now.duration_since(self.followed_since);
        if !start_timeout.is_zero() && waited >= start_timeout && !self.starting.has_started() {
            return Err(self.not_started(waited));
        }
        // What is known may no longer hold.
        if self.server_is_away {
            return Ok(());
        }
        for line in self.starting.due(&self.job, now) {
            self.observer.warn(Warning::NotStarting(&line));
        }
        match self.starting.in_vain(&self.job, now) {
            Some(reason) => Err(Error::WorkersStuck { reason, cure: None }),
            None => self.judge_programs(now),
        }
    }

    /// Takes the pods that have not ended after all Jobs have. Returns whether the run is over.
    pub(crate) fn on_last_pods(&mut self, pods: Result<Vec<Pod>, cluster::Error>) -> bool {
        let pods = match pods {
            Ok(pods) => pods,
            // Without the permission nobody knows; otherwise the server will answer again.
            Err(error) => return error.is_refusal(),
        };
        self.server_answered();
        let left = self.last_pods.take(&pods, Instant::now());
        if !left.ending.is_empty() {
            self.observer.on(Notice::Waiting(Wait::LastPods(left.ending.len())));
            return false;
        }
        for pod in left.overdue {
            self.observer.warn(Warning::PodRemains { pod: &pod });
        }
        true
    }

    /// Ends a run whose program starts in no pod, and says when Kubernetes tries again.
    fn judge_programs(&mut self, now: Instant) -> Result<(), Error> {
        if let Some((pod, failure)) = self.failures.in_vain(&self.job, now) {
            let mut reason = format!("pod {pod}: {}", failure.reason);
            for line in self.pods.last_lines(pod) {
                if !reason.contains(line.trim()) {
                    reason += &format!("\n  {line}");
                }
            }
            let cure = Some(cure(&reason));
            return Err(Error::WorkersStuck { reason, cure });
        }
        if let Some((due, failure)) = self.failures.due(&self.job, now) {
            self.observer.warn(Warning::NextPod { due, failure: &failure });
        }
        Ok(())
    }

    /// The error of a run whose pods have not started in time.
    fn not_started(&self, waited: Duration) -> Error {
        let line = self.starting.lines(Instant::now()).into_iter().next();
        Error::NotStarted {
            run: self.job.run.clone(),
            seconds: waited.as_secs(),
            reason: line.map(|line| format!("{}: {}", line.who(), line.why())),
        }
    }

    /// The error of a run that misses its deadline.
    pub(crate) fn late(&self, started: Instant) -> Error {
        let what = format!("run {} did not end", self.job.run);
        Error::Deadline { what, seconds: started.elapsed().as_secs() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use serde_json::json;

    #[derive(Default)]
    struct Heard(Mutex<Vec<&'static str>>);

    impl Observer for Heard {
        fn on(&self, notice: Notice<'_>) {
            let heard = match notice {
                Notice::Warning(Warning::ApiServerAway { .. }) => "API server away",
                Notice::Warning(Warning::BrokerAway { .. }) => "broker away",
                Notice::Recovered(Recovery::ApiServer) => "API server back",
                Notice::Recovered(Recovery::Broker) => "broker back",
                Notice::Warning(Warning::PodDeleted { .. }) => "pod deleted",
                Notice::Warning(Warning::PodFailed { cure: Some(_), .. }) => "pod failed, with a cure",
                Notice::Warning(Warning::PodFailed { .. }) => "pod failed",
                _ => return,
            };
            self.0.lock().expect("not poisoned").push(heard);
        }
    }

    fn pod(name: &str, waiting: &str) -> Box<Pod> {
        let pod = json!({"metadata": {"name": name}, "status": {"phase": "Pending", "containerStatuses": [{
            "name": "c", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": waiting}}}]}});
        serde_json::from_value(pod).expect("a pod")
    }

    fn job(succeeded: u32, parallelism: u32) -> JobState {
        JobState { completions: Some(4), succeeded, parallelism, active: 1, ..JobState::default() }
    }

    #[test]
    fn a_run_of_which_nothing_starts_in_time_is_left() {
        let heard = Heard::default();
        let mut run = FollowedRun::new(job(0, 1), &heard);
        let (soon, late) = (Instant::now(), Instant::now() + Duration::from_secs(60));
        run.on_pod_event(PodEvent::Pod(pod("a", "CreateContainerConfigError")));
        assert!(run.on_tick(Duration::from_secs(60), soon).is_ok());
        assert!(run.on_tick(Duration::ZERO, late).is_ok(), "0 is no limit");
        let error = run.on_tick(Duration::from_secs(60), late).expect_err("it is late");
        assert!(matches!(error, Error::NotStarted { seconds: 60, .. }), "{error}");
        let mut worked = FollowedRun::new(job(1, 1), &heard);
        assert!(worked.on_tick(Duration::from_secs(60), late).is_ok());
    }

    #[test]
    fn a_pod_that_scaling_has_stopped_is_no_warning_and_another_one_is() {
        let deleted = |name: &str, phase: &str| {
            let mut pod = pod(name, "ContainerCreating");
            pod.metadata.deletion_timestamp =
                serde_json::from_value(json!("2026-01-01T00:00:00Z")).expect("a time");
            pod.status.as_mut().expect("it has one").phase = Some(phase.to_owned());
            pod
        };
        let heard = |wanted: u32| {
            let heard = Heard::default();
            let mut run = FollowedRun::new(job(0, wanted), &heard);
            for name in ["a", "b"] {
                run.on_pod_event(PodEvent::Pod(pod(name, "ContainerCreating")));
            }
            run.on_pod_event(PodEvent::Pod(deleted("a", "Running")));
            run.on_pod_event(PodEvent::Gone(deleted("a", "Running")));
            // Its program ends with an error because it is stopped.
            run.on_pod_event(PodEvent::Pod(deleted("b", "Failed")));
            heard.0.into_inner().expect("not poisoned")
        };
        assert_eq!(heard(1), [""; 0]);
        assert_eq!(heard(2), ["pod deleted"]);
    }

    #[test]
    fn a_pod_on_a_node_of_another_architecture_is_told_with_its_cure() {
        let failed = |name: &str, container: &str, message: &str| {
            let ended = json!({"exitCode": 126, "reason": "Error", "message": message});
            let status = json!({"name": container, "image": "x", "imageID": "", "ready": false,
                "restartCount": 0, "state": {"terminated": ended}});
            let pod = json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "worker"}]},
                "status": {"phase": "Failed", "initContainerStatuses": [status]}});
            PodEvent::Pod(serde_json::from_value(pod).expect("a pod"))
        };
        let heard = Heard::default();
        let mut run = FollowedRun::new(job(0, 2), &heard);
        run.on_pod_event(failed("a", "inject-worker", "no worker for linux/arm64 was brought along"));
        run.on_pod_event(failed("b", "inject-worker", "exec /bin/sh: exec format error"));
        run.on_pod_event(failed("c", "mine", "no such table"));
        let heard = heard.0.into_inner().expect("not poisoned");
        assert_eq!(heard, ["pod failed, with a cure", "pod failed, with a cure", "pod failed"]);
    }

    #[test]
    fn any_event_from_the_api_server_ends_its_outage() {
        let counts = || QueueCount::Counted(RunCounts::default());
        let heard = Heard::default();
        let mut run = FollowedRun::new(job(0, 1), &heard);
        run.on_run_event(RunEvent::Unreachable("no route".to_owned()));
        run.on_count(QueueCount::Away("no tunnel".to_owned()));
        run.on_count(counts());
        run.on_count(QueueCount::Away("no broker".to_owned()));
        run.on_count(counts());
        run.on_run_event(RunEvent::Unreachable("no route".to_owned()));
        run.on_pod_event(PodEvent::Pod(pod("a", "ErrImagePull")));
        let heard = heard.0.into_inner().expect("not poisoned");
        assert_eq!(
            heard,
            [
                "API server away",
                "API server back",
                "broker away",
                "broker back",
                "API server away",
                "API server back",
            ]
        );
    }
}
