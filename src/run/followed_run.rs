//! The state of a run that is being followed: turns events into notices, and judges when a run
//! whose pods cannot start is to be given up.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use tokio::time::Instant;

use crate::cluster::job::JobState;
use crate::cluster::job_watch::RunEvent;
use crate::cluster::pod_event::PodEvent;
use crate::cluster::pod_state::{has_ended, has_started};
use crate::cluster::stuck_pods::STUCK_PATIENCE;
use crate::error::Error;
use crate::notice::{Notice, Observer, Recovery, Warning};
use crate::run::followed_pods::FollowedPods;
use crate::run::queue_watch::QueueCount;

pub(crate) struct FollowedRun<'a> {
    pub job: JobState,
    pub pods: FollowedPods,
    observer: &'a dyn Observer,
    server_is_away: bool,
    /// When the API server last came back.
    server_back_at: Option<Instant>,
    broker_is_away: bool,
    /// Whether a pod of the run has started its program.
    has_worked: bool,
}

impl<'a> FollowedRun<'a> {
    pub(crate) fn new(job: JobState, observer: &'a dyn Observer) -> Self {
        let pods = FollowedPods::default();
        let has_worked = job.succeeded > 0;
        Self {
            job,
            pods,
            observer,
            server_is_away: false,
            server_back_at: None,
            broker_is_away: false,
            has_worked,
        }
    }

    pub(crate) fn on_run_event(&mut self, event: RunEvent) {
        match event {
            RunEvent::State(job) => {
                self.server_answered();
                self.job = *job;
                self.observer.on(Notice::Job(&self.job));
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
                self.observer.on(Notice::Items { job: &self.job, counts });
            }
            // The broker is reached through the API server, whose absence was reported already.
            QueueCount::Away(_) if self.server_is_away => {}
            QueueCount::Away(reason) => {
                if !std::mem::replace(&mut self.broker_is_away, true) {
                    self.observer.warn(Warning::BrokerAway { reason: &reason });
                }
            }
        }
    }

    pub(crate) fn on_pod_event(&mut self, event: PodEvent) {
        match event {
            // Says nothing about the server: lines may have been buffered here for a long time.
            PodEvent::Line { pod, line } => {
                self.observer.on(Notice::LogLine { pod: &pod, line: &line });
                self.pods.keep_line(&pod, &line);
            }
            PodEvent::Pod(pod) => {
                self.server_answered();
                self.has_worked |= has_started(&pod);
                if let Some(failure) = self.pods.update(&pod) {
                    self.observer.warn(Warning::PodFailed { pod: &pod.name_any(), failure: &failure });
                }
            }
            PodEvent::Gone(pod) => {
                self.server_answered();
                self.on_pod_deleted(&pod);
            }
            PodEvent::Incomplete { pod, reason } => {
                self.observer.warn(Warning::LogIncomplete { pod: &pod, reason: &reason });
            }
        }
    }

    fn on_pod_deleted(&mut self, pod: &Pod) {
        let name = pod.name_any();
        self.pods.remove(&name);
        // Kubernetes cleans up pods that have ended.
        if !has_ended(pod) && self.job.end.is_none() {
            self.observer.warn(Warning::PodDeleted { pod: &name });
        }
    }

    /// Notes that something came through the API server. Any watch may be the first to reopen, and
    /// the Job's own may stay silent for hours.
    fn server_answered(&mut self) {
        if std::mem::take(&mut self.server_is_away) {
            self.server_back_at = Some(Instant::now());
            self.observer.on(Notice::Recovered(Recovery::ApiServer));
        }
    }

    /// When to give up the run: once every pod that it can have has been stuck long enough. After
    /// an outage of the API server all of them get the full time again, since what was known
    /// before may no longer hold. A run that has worked is never given up: what its pods wait for
    /// now, such as a registry, will be back.
    pub(crate) fn give_up_at(&self) -> Option<Instant> {
        if self.server_is_away || self.has_worked {
            return None;
        }
        let give_up_at = self.pods.give_up_at(possible_pods(&self.job))?;
        Some(self.server_back_at.map_or(give_up_at, |back_at| give_up_at.max(back_at + STUCK_PATIENCE)))
    }

    /// The error of a run whose pods cannot start.
    pub(crate) fn stuck(&self) -> Error {
        Error::WorkersStuck { reason: self.pods.longest_stuck().unwrap_or_default() }
    }

    /// The error of a run that misses its deadline.
    pub(crate) fn late(&self, started: Instant) -> Error {
        let what = format!("run {} did not end", self.job.run);
        Error::Deadline { what, seconds: started.elapsed().as_secs() }
    }
}

/// How many pods the run has, or could have, at this moment.
fn possible_pods(job: &JobState) -> usize {
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
    use std::sync::Mutex;

    use super::*;
    use crate::notice::RunCounts;
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
    fn a_run_is_given_up_once_all_pods_that_can_run_are_stuck() {
        let heard = Heard::default();
        let mut run = FollowedRun::new(job(0, 2), &heard);
        run.on_pod_event(PodEvent::Pod(pod("a", "ErrImagePull")));
        assert_eq!(run.give_up_at(), None, "the Job has not made its second pod yet");
        run.on_pod_event(PodEvent::Pod(pod("b", "ContainerCreating")));
        assert_eq!(run.give_up_at(), None);
        let stuck_at = Instant::now();
        run.on_pod_event(PodEvent::Pod(pod("b", "ErrImagePull")));
        assert!(run.give_up_at() >= Some(stuck_at + STUCK_PATIENCE), "the second gets its full time too");
        run.on_pod_event(PodEvent::Gone(pod("b", "ErrImagePull")));
        assert_eq!(run.give_up_at(), None);
        let mut on_job = |job| {
            run.on_run_event(RunEvent::State(Box::new(job)));
            run.give_up_at()
        };
        assert!(on_job(job(3, 2)).is_some(), "only one more has to succeed");
        assert_eq!(on_job(job(3, 0)), None, "it is paused");
        let uncounted = |job| JobState { completions: None, ..job };
        assert_eq!(on_job(uncounted(job(0, 3))), None, "two more pods are to come");
        assert!(on_job(uncounted(job(2, 3))).is_some(), "the others have left an empty queue");
    }

    #[test]
    fn a_run_that_has_worked_is_not_given_up() {
        let heard = Heard::default();
        let mut run = FollowedRun::new(job(0, 1), &heard);
        let mut started = *pod("a", "");
        started.spec = serde_json::from_value(json!({"containers": [{"name": "c"}]})).expect("a spec");
        let status = &mut started.status.as_mut().expect("it has one").container_statuses;
        status.as_mut().expect("it has some")[0].state =
            serde_json::from_value(json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}}))
                .expect("a state");
        run.on_pod_event(PodEvent::Pod(Box::new(started)));
        run.on_pod_event(PodEvent::Pod(pod("a", "ErrImagePull")));
        assert_eq!(run.give_up_at(), None, "its registry will be back");
    }

    #[test]
    fn any_event_from_the_api_server_ends_its_outage() {
        let counts = || QueueCount::Counted(RunCounts::default());
        let heard = Heard::default();
        let mut run = FollowedRun::new(job(0, 1), &heard);
        run.on_pod_event(PodEvent::Pod(pod("a", "ErrImagePull")));
        let first = run.give_up_at();
        run.on_run_event(RunEvent::Unreachable("no route".to_owned()));
        assert_eq!(run.give_up_at(), None, "what is known may be outdated");
        run.on_count(QueueCount::Away("no tunnel".to_owned()));
        run.on_count(counts());
        assert!(run.give_up_at() > first, "the pods get their full time again");
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
