//! Follows a Job from wherever it is to its end: logs, progress, and why pods failed.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use tokio::time::Instant;

use super::counts::{self, Counts, Watch};
use super::session::Session;
use super::{Deadline, Error, Event, Observer};
use crate::cluster::Cluster;
use crate::cluster::diagnose::{StuckPods, failure_reason};
use crate::cluster::job::{JobEnd, JobState};
use crate::cluster::logs::PodEvent;
use crate::names::ReleaseName;

/// Lines kept of each pod, to show them again if it fails.
const LAST_LINES: usize = 10;

/// How long the logs may take to arrive after the Job has ended.
const LOG_PATIENCE: Duration = Duration::from_secs(20);

/// How long the last look at the queue may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

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
) -> Result<RunReport, Error> {
    let started = Instant::now();
    let mut following = Following { job, pods: BTreeMap::new(), stuck: StuckPods::default() };
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
                following.give_up(cluster).await?
            } else {
                let what = format!("run {} did not end", following.job.run);
                Error::Deadline { what, seconds: started.elapsed().as_secs() }
            }),
            Some(counts) = counts.next() => observer.on(Event::Items { job: &following.job, counts }),
            Some(event) = logs.next() => following.take_pod_event(event?, observer),
            Some(state) = states.next() => {
                following.job = state?;
                observer.on(Event::Job(&following.job));
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
    let mut counts = None;
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
        let looking = last_look(cluster, release, &following.job);
        counts = tokio::time::timeout(LOOK_TIMEOUT, looking).await.ok().and_then(Result::ok);
    }
    Ok(RunReport { failed_pods: following.failed_pods(), job: following.job, end, counts })
}

/// Counts what is left. A worker's tool that exits with 0 although its program failed makes a Job
/// complete while items are left.
async fn last_look(cluster: &Cluster, release: &ReleaseName, job: &JobState) -> Result<Counts, Error> {
    let session = Session::open(cluster, release, "kubectl-workqueue run").await?;
    let counts = counts::count(&session, job).await?;
    session.close().await;
    Ok(counts)
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

/// What following has shown so far.
struct Following {
    job: JobState,
    pods: BTreeMap<String, FollowedPod>,
    stuck: StuckPods,
}

#[derive(Default)]
struct FollowedPod {
    failure: Option<String>,
    last_lines: VecDeque<String>,
}

impl Following {
    fn take_pod_event(&mut self, event: PodEvent, observer: &dyn Observer) {
        match event {
            PodEvent::Line { pod, line } => {
                observer.on(Event::Line { pod: &pod, line: &line });
                let lines = &mut self.pods.entry(pod.to_string()).or_default().last_lines;
                if lines.len() == LAST_LINES {
                    lines.pop_front();
                }
                lines.push_back(String::from_utf8_lossy(&line).into_owned());
            }
            PodEvent::Pod(pod) => self.take_pod(&pod),
            PodEvent::Incomplete { pod, reason } => {
                observer.on(Event::Note(&format!("the log of pod {pod} is incomplete: {reason}")));
            }
        }
    }

    fn take_pod(&mut self, pod: &Pod) {
        self.stuck.take(pod);
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        match phase {
            // A pod that succeeded is of no more interest: a long run would collect them.
            Some("Succeeded") => _ = self.pods.remove(&pod.name_any()),
            Some("Failed") => {
                let failure = Some(failure_reason(pod));
                self.pods.entry(pod.name_any()).or_default().failure = failure;
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

    /// When to give the run up: as long as one pod works, or is about to, there is hope.
    fn give_up_at(&self) -> Option<Instant> {
        let all_stuck = self.job.active > 0 && self.stuck.count() >= self.job.active as usize;
        if all_stuck { self.stuck.give_up_at() } else { None }
    }

    /// Deletes a Job that cannot end: its pods would try to start for ever.
    async fn give_up(&self, cluster: &Cluster) -> Result<Error, Error> {
        let reason = self.stuck.worst().unwrap_or_default();
        for name in self.job.names() {
            cluster.delete_job(name).await?;
        }
        Ok(Error::WorkersStuck { reason })
    }
}
