//! Follows a Job from wherever it is to its end: logs, progress, and why pods failed.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use tokio::time::Instant;

use super::counts::{self, Counts, Look, Watch};
use super::progress::{Progress, progress};
use super::session::Session;
use super::{Deadline, Error, Event, Observer};
use crate::cluster::Cluster;
use crate::cluster::diagnose::{STUCK_PATIENCE, StuckPods, failure_reason, has_ended};
use crate::cluster::job::{JobEnd, JobState};
use crate::cluster::logs::PodEvent;
use crate::cluster::run_watch::RunEvent;
use workqueue_amqp::result_stream;
use workqueue_core::names::{QueueName, ReleaseName};

/// Lines kept of each pod, to show them again if it fails.
const LAST_LINES: usize = 10;

/// How long the logs may take to arrive after the Job has ended.
const LOG_PATIENCE: Duration = Duration::from_secs(20);

/// How long a broker that is away is waited for at the end, to count what is left.
const BROKER_PATIENCE: Duration = Duration::from_secs(60);

/// How long the last look at the queue may take in all.
const LOOK_TIMEOUT: Duration = Duration::from_secs(75);

/// How long the records of the run may be read at the end.
const READING_TIMEOUT: Duration = Duration::from_secs(5);

/// How a run ended for the one who followed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// The Job completed.
    Complete,
    /// The Job failed, in the server's words.
    Failed {
        /// Such as `BackoffLimitExceeded`.
        reason: String,
        /// The sentence that goes with it.
        message: String,
    },
    /// Somebody deleted the Job.
    Deleted,
    /// The user stopped following; the run goes on.
    Detached,
}

/// A pod that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedPod {
    /// Its name.
    pub pod: String,
    /// Why, as far as Kubernetes knows.
    pub reason: String,
    /// The end of its log.
    pub last_lines: Vec<String>,
}

/// What is known about a run at the end of following it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// The Job's last state.
    pub job: JobState,
    /// How it ended.
    pub end: RunEnd,
    /// The pods that failed, by name.
    pub failed_pods: Vec<FailedPod>,
    /// What is in the queues after the Job's end; `None` if the broker could not be asked.
    pub counts: Option<Counts>,
    /// Items that workers have recorded as done; `None` where they record nothing, or there was no
    /// time to read it all.
    pub recorded: Option<u64>,
}

/// What becomes of a run whose pods cannot start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfStuck {
    /// Its Job is deleted: it would try for ever.
    Delete,
    /// It is left alone: others have started it.
    Leave,
}

/// Follows a Job to its end, to `interrupt`, or to the deadline.
///
/// # Errors
/// [`Error::WorkersStuck`] when pods cannot start (an image that cannot be pulled), whatever the
/// deadline; [`Error::Deadline`]; watches that the user may not open.
pub async fn follow(
    cluster: &Cluster,
    release: &ReleaseName,
    job: JobState,
    deadline: Deadline,
    observer: &dyn Observer,
    interrupt: impl Future<Output = ()>,
    if_stuck: IfStuck,
) -> Result<RunReport, Error> {
    let started = Instant::now();
    let mut following = Following::new(job);
    let mut logs = cluster.follow_logs(&following.job.pod_selector());
    let mut states = std::pin::pin!(cluster.watch_run(&following.job));
    let mut counts = Watch::start(cluster, release, &following.job);
    let mut interrupt = std::pin::pin!(interrupt);
    let end = loop {
        let give_up_at = following.give_up_at();
        let wake = deadline.into_iter().chain(give_up_at).min();
        tokio::select! {
            () = &mut interrupt => break RunEnd::Detached,
            () = sleep_until(wake) => return Err(if wake == give_up_at {
                following.give_up(cluster, if_stuck).await?
            } else {
                let what = format!("run {} did not end", following.job.run);
                Error::Deadline { what, seconds: started.elapsed().as_secs() }
            }),
            Some(look) = counts.next() => following.take_look(look, observer),
            Some(event) = logs.next() => following.take_pod_event(event?, observer),
            Some(event) = states.next() => {
                match event? {
                    RunEvent::State(job) => following.take_job(*job, observer),
                    RunEvent::Away(reason) => following.server_away(&reason, observer),
                }
                match following.job.end.clone() {
                    None => {}
                    Some(JobEnd::Complete) => break RunEnd::Complete,
                    Some(JobEnd::Failed { reason, message }) => break RunEnd::Failed { reason, message },
                    Some(JobEnd::Deleted) => break RunEnd::Deleted,
                }
            }
        }
    };
    drop(counts);
    let (mut counts, mut recorded) = (None, None);
    if end != RunEnd::Detached {
        // The Job's end may be known before the last lines are.
        logs.finish();
        let rest = async {
            while let Some(event) = logs.next().await {
                following.take_pod_event(event?, observer);
            }
            Ok::<(), Error>(())
        };
        match tokio::time::timeout(LOG_PATIENCE, rest).await {
            Ok(result) => result?,
            Err(_) => observer.on(Event::Note("some logs did not arrive in time; kubectl logs has them")),
        }
        observer.on(Event::Waiting("the broker, to count what is left"));
        let looking = last_look(cluster, release, &following.job);
        let look = tokio::time::timeout(LOOK_TIMEOUT, looking).await.ok().and_then(Result::ok);
        (counts, recorded) = look.map_or((None, None), |(counts, recorded)| (Some(counts), recorded));
    }
    Ok(RunReport { failed_pods: following.failed_pods(), job: following.job, end, counts, recorded })
}

/// Counts what is left, and what is recorded as done. A worker's tool that exits with 0 although its
/// program failed makes a Job complete while items are left; and items may have been taken by others.
async fn last_look(
    cluster: &Cluster,
    release: &ReleaseName,
    job: &JobState,
) -> Result<(Counts, Option<u64>), Error> {
    let deadline = Some(Instant::now() + BROKER_PATIENCE);
    let session = Session::open_when_ready(cluster, release, "kubectl-workqueue run", deadline).await?;
    let counts = counts::count(&session, job).await?;
    let recorded = recorded(&session, job).await;
    session.close().await;
    Ok((counts, recorded))
}

async fn recorded(session: &Session, job: &JobState) -> Option<u64> {
    let queue: QueueName = job.queue.parse().ok()?;
    let created = job.created.as_ref().and_then(|created| created.parse().ok());
    match progress(session, &queue, created, READING_TIMEOUT).await.ok()?.remove(&job.run) {
        Some(Progress { done, partial, .. }) => (!partial).then_some(done),
        // One pod an item may be an image's own command, which records nothing.
        None if job.is_coarse() => None,
        None => result_stream::end(&session.broker, &queue).await.ok()?.map(|_| 0),
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

/// What following has shown so far.
struct Following {
    job: JobState,
    pods: BTreeMap<String, FollowedPod>,
    stuck: StuckPods,
    server_is_away: bool,
    /// When the server came back.
    answers_since: Option<Instant>,
    broker_is_away: bool,
}

#[derive(Default)]
struct FollowedPod {
    failure: Option<String>,
    last_lines: VecDeque<String>,
}

impl Following {
    fn new(job: JobState) -> Self {
        let (pods, stuck) = (BTreeMap::new(), StuckPods::default());
        Self { job, pods, stuck, server_is_away: false, answers_since: None, broker_is_away: false }
    }

    fn take_job(&mut self, job: JobState, observer: &dyn Observer) {
        self.server_answers(observer);
        self.job = job;
        observer.on(Event::Job(&self.job));
    }

    /// Takes note that something came by way of the API server. Which watch is the first to open
    /// again is chance, and a Job may be silent for hours.
    fn server_answers(&mut self, observer: &dyn Observer) {
        if std::mem::take(&mut self.server_is_away) {
            self.answers_since = Some(Instant::now());
            observer.on(Event::News("the API server answers again"));
        }
    }

    fn server_away(&mut self, reason: &str, observer: &dyn Observer) {
        if !std::mem::replace(&mut self.server_is_away, true) {
            let run = &self.job.run;
            observer.on(Event::Note(&format!(
                "the API server does not answer ({reason}): run {run} goes on meanwhile, and is followed again \
                 once it does"
            )));
        }
    }

    fn take_look(&mut self, look: Look, observer: &dyn Observer) {
        match look {
            Look::Counts(counts) => {
                self.server_answers(observer);
                if std::mem::take(&mut self.broker_is_away) {
                    observer.on(Event::News("the broker answers again"));
                }
                observer.on(Event::Items { job: &self.job, counts });
            }
            // Without its API server it cannot be reached: that has been said.
            Look::Away(_) if self.server_is_away => {}
            Look::Away(reason) => {
                if !std::mem::replace(&mut self.broker_is_away, true) {
                    observer.on(Event::Note(&format!(
                        "the broker cannot be asked ({reason}): progress is shown again once it can"
                    )));
                }
            }
        }
    }

    fn take_pod_event(&mut self, event: PodEvent, observer: &dyn Observer) {
        // Lines may have waited here for long.
        if matches!(event, PodEvent::Pod(_) | PodEvent::Gone(_)) {
            self.server_answers(observer);
        }
        match event {
            PodEvent::Line { pod, line } => {
                observer.on(Event::Line { pod: &pod, line: &line });
                let lines = &mut self.pods.entry(pod.to_string()).or_default().last_lines;
                if lines.len() == LAST_LINES {
                    lines.pop_front();
                }
                lines.push_back(String::from_utf8_lossy(&line).into_owned());
            }
            PodEvent::Pod(pod) => self.take_pod(&pod, observer),
            PodEvent::Gone(pod) => self.pod_gone(&pod, observer),
            PodEvent::Incomplete { pod, reason } => {
                observer.on(Event::Note(&format!("the log of pod {pod} is incomplete: {reason}")));
            }
        }
    }

    fn pod_gone(&mut self, pod: &Pod, observer: &dyn Observer) {
        let name = pod.name_any();
        self.stuck.forget(&name);
        // Pods that have ended are tidied away.
        if !has_ended(pod) && self.job.end.is_none() {
            observer.on(Event::Note(&format!(
                "pod {name} was deleted before it had ended; its items go back to the queue"
            )));
        }
    }

    fn take_pod(&mut self, pod: &Pod, observer: &dyn Observer) {
        self.stuck.take(pod);
        match phase(pod) {
            // A pod that succeeded is of no more interest: a long run would collect them.
            Some("Succeeded") => _ = self.pods.remove(&pod.name_any()),
            Some("Failed") => {
                let (name, failure) = (pod.name_any(), failure_reason(pod));
                let followed = self.pods.entry(name.clone()).or_default();
                if followed.failure.is_none() {
                    observer.on(Event::Note(&format!("pod {name} {failure}")));
                }
                followed.failure = Some(failure);
            }
            _ => {}
        }
    }

    fn failed_pods(&self) -> Vec<FailedPod> {
        let failed = self.pods.iter().filter_map(|(name, pod)| {
            let reason = pod.failure.clone()?;
            Some(FailedPod {
                pod: name.clone(),
                reason,
                last_lines: pod.last_lines.iter().cloned().collect(),
            })
        });
        failed.collect()
    }

    /// When to give the run up: as long as one pod works, or is about to, there is hope. What was
    /// known before the server was away may not hold any more: it is looked at as long again.
    fn give_up_at(&self) -> Option<Instant> {
        if self.server_is_away {
            return None;
        }
        let give_up_at = self.stuck.so_many_give_up_at(can_run(&self.job))?;
        Some(self.answers_since.map_or(give_up_at, |since| give_up_at.max(since + STUCK_PATIENCE)))
    }

    /// Gives up a run that cannot end: its pods would try to start for ever.
    async fn give_up(&self, cluster: &Cluster, if_stuck: IfStuck) -> Result<Error, Error> {
        let reason = self.stuck.worst().unwrap_or_default();
        if if_stuck == IfStuck::Delete {
            for name in self.job.names() {
                cluster.delete_job(name).await?;
            }
        }
        Ok(Error::WorkersStuck { reason })
    }
}

/// Pods that the Job has, or would have, at this moment.
fn can_run(job: &JobState) -> usize {
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
    use serde_json::json;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Observer for Heard {
        fn on(&self, event: Event<'_>) {
            if let Event::News(text) | Event::Note(text) = event {
                self.0.lock().expect("it is whole").push(text.to_owned());
            }
        }
    }

    fn pod(name: &str, waiting: &str) -> PodEvent {
        let pod = json!({"metadata": {"name": name}, "status": {"phase": "Pending", "containerStatuses": [{
            "name": "c", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": waiting}}}]}});
        PodEvent::Pod(serde_json::from_value(pod).expect("a pod"))
    }

    fn job(succeeded: u32, parallelism: u32) -> JobState {
        JobState { completions: Some(4), succeeded, parallelism, active: 1, ..JobState::default() }
    }

    #[test]
    fn a_run_is_given_up_once_all_pods_that_can_run_are_stuck() {
        let heard = Heard::default();
        let mut following = Following::new(job(0, 2));
        following.take_pod_event(pod("a", "ErrImagePull"), &heard);
        assert_eq!(following.give_up_at(), None, "the Job has not made its second pod yet");
        following.take_pod_event(pod("b", "ContainerCreating"), &heard);
        assert_eq!(following.give_up_at(), None);
        let seen = Instant::now();
        following.take_pod_event(pod("b", "ErrImagePull"), &heard);
        assert!(following.give_up_at() >= Some(seen + STUCK_PATIENCE), "the second has its time as well");
        let PodEvent::Pod(gone) = pod("b", "ErrImagePull") else { panic!("it is one") };
        following.take_pod_event(PodEvent::Gone(gone), &heard);
        assert_eq!(following.give_up_at(), None);
        following.take_job(job(3, 2), &heard);
        assert!(following.give_up_at().is_some(), "the last one that has to succeed");
        following.take_job(job(3, 0), &heard);
        assert_eq!(following.give_up_at(), None, "it is paused");
        following.take_job(JobState { completions: None, ..job(0, 3) }, &heard);
        assert_eq!(following.give_up_at(), None, "two more are to come");
        following.take_job(JobState { completions: None, ..job(2, 3) }, &heard);
        assert!(following.give_up_at().is_some(), "the others have left an empty queue");
    }

    #[test]
    fn a_server_that_was_away_answers_with_whatever_comes() {
        let counts = || Look::Counts(Counts::default());
        let mut following = Following::new(job(0, 1));
        let heard = Heard::default();
        following.take_pod_event(pod("a", "ErrImagePull"), &heard);
        let first = following.give_up_at();
        following.server_away("no route", &heard);
        assert_eq!(following.give_up_at(), None, "what is known may be old");
        following.take_look(Look::Away("no tunnel".to_owned()), &heard);
        following.take_look(counts(), &heard);
        assert!(following.give_up_at() > first, "the pods are looked at again");
        following.take_look(Look::Away("no broker".to_owned()), &heard);
        following.take_look(counts(), &heard);
        following.server_away("no route", &heard);
        following.take_pod_event(pod("a", "ErrImagePull"), &heard);
        let heard = heard.0.into_inner().expect("it is whole");
        let starts = |text: &String| text.split(" (").next().unwrap_or_default().to_owned();
        assert_eq!(
            heard.iter().map(starts).collect::<Vec<_>>(),
            [
                "the API server does not answer",
                "the API server answers again",
                "the broker cannot be asked",
                "the broker answers again",
                "the API server does not answer",
                "the API server answers again",
            ]
        );
    }
}
