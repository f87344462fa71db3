//! Follows a run to its end: logs, progress, failed pods, and the final count.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::{Instant, MissedTickBehavior};

use crate::cluster::Cluster;
use crate::cluster::job::{JobEnd, JobState};
use crate::cluster::log_selection::LogSelection;
use crate::cluster::logs::LogFollower;
use crate::error::Error;
use crate::notice::{Deadline, Notice, Observer, Wait, Warning};
use crate::run::books::{self, Verdict};
use crate::run::followed_pods::FailedPod;
use crate::run::followed_run::FollowedRun;
use crate::run::queue_watch::QueueWatch;
use workqueue_core::names::ReleaseName;

/// How long to wait for the last log lines after the run has ended.
const LOG_TIMEOUT: Duration = Duration::from_secs(20);

/// How often the waiting pods are looked at.
const TICK: Duration = Duration::from_secs(1);

/// How a run ended, as seen by the user who followed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    Complete,
    /// The Job failed. Reason (such as `BackoffLimitExceeded`) and message are Kubernetes' own.
    Failed {
        reason: String,
        message: String,
    },
    /// Somebody deleted the Job.
    Deleted,
    /// The user stopped following; the run goes on.
    Detached,
}

impl RunEnd {
    fn of(end: &JobEnd) -> Self {
        match end.clone() {
            JobEnd::Complete => Self::Complete,
            JobEnd::Failed { reason, message } => Self::Failed { reason, message },
            JobEnd::Deleted => Self::Deleted,
        }
    }
}

/// What is known about a run when following it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// The last state of the run's Jobs.
    pub job: JobState,
    pub end: RunEnd,
    /// The pods that failed, sorted by name.
    pub failed_pods: Vec<FailedPod>,
    /// What became of the items; `None` if the run continues, or if the user did not wait for it.
    pub verdict: Option<Verdict>,
}

/// What to do with a run whose pods cannot start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfStuck {
    /// Delete its Jobs, which would otherwise try forever.
    Delete,
    /// Leave them: somebody else started the run.
    Leave,
}

/// How long to follow a run.
#[derive(Debug, Clone)]
pub struct FollowPlan {
    /// When to stop.
    pub deadline: Deadline,
    /// How long no pod of the run may have started; 0 for no limit.
    pub start_timeout: Duration,
    pub if_stuck: IfStuck,
    pub logs: LogSelection,
}

/// Follows a run until it ends, `interrupt` resolves, or the deadline passes.
///
/// # Errors
/// [`Error::WorkersStuck`] when pods will never start (an image that does not exist), even without
/// a deadline; [`Error::Deadline`], [`Error::NotStarted`]; watches that the user is not allowed to
/// open.
pub async fn follow(
    cluster: &Cluster,
    release: &ReleaseName,
    job: JobState,
    plan: FollowPlan,
    observer: &dyn Observer,
    interrupt: impl Future<Output = ()>,
) -> Result<RunReport, Error> {
    let mut run = FollowedRun::new(job, observer);
    let mut logs = cluster.follow_logs(&run.job.pod_selector(), plan.logs.clone());
    let mut interrupt = std::pin::pin!(interrupt);
    let watched = watch(cluster, release, &mut run, &mut logs, &plan, interrupt.as_mut()).await;
    if plan.if_stuck == IfStuck::Delete && matches!(watched, Err(Error::WorkersStuck { .. })) {
        for name in run.job.names() {
            cluster.delete_job(name).await?;
        }
    }
    let end = watched?;
    let mut verdict = None;
    if end != RunEnd::Detached {
        read_last_lines(&mut run, logs, observer).await?;
        observer.on(Notice::Waiting(Wait::Books));
        verdict = tokio::select! {
            verdict = books::close(cluster, release, &run.job, observer) => Some(verdict),
            () = interrupt => None,
        };
    }
    Ok(RunReport { failed_pods: run.pods.failed(), job: run.job, end, verdict })
}

/// Passes everything that the cluster and the broker report to `run` until it ends.
async fn watch(
    cluster: &Cluster,
    release: &ReleaseName,
    run: &mut FollowedRun<'_>,
    logs: &mut LogFollower,
    plan: &FollowPlan,
    mut interrupt: Pin<&mut impl Future<Output = ()>>,
) -> Result<RunEnd, Error> {
    let started = Instant::now();
    let mut states = std::pin::pin!(cluster.watch_run(&run.job));
    let mut warnings = std::pin::pin!(cluster.watch_warnings());
    let mut counts = QueueWatch::start(cluster, release, &run.job);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = interrupt.as_mut() => return Ok(RunEnd::Detached),
            () = sleep_until(plan.deadline) => return Err(run.late(started)),
            _ = ticks.tick() => match &run.job.end {
                Some(end) => {
                    let end = RunEnd::of(end);
                    if run.on_last_pods(cluster.live_pods(&run.job.pod_selector()).await) {
                        return Ok(end);
                    }
                }
                None => run.on_tick(plan.start_timeout, Instant::now())?,
            },
            Some(warning) = warnings.next() => run.on_object_warning(warning),
            Some(count) = counts.next() => run.on_count(count),
            Some(event) = logs.next() => run.on_pod_event(event?),
            Some(event) = states.next() => run.on_run_event(event?),
        }
    }
}

/// Reads the logs to their end: Kubernetes may report the end of a Job before its last lines.
async fn read_last_lines(
    run: &mut FollowedRun<'_>,
    mut logs: LogFollower,
    observer: &dyn Observer,
) -> Result<(), Error> {
    logs.finish();
    let reading = async {
        while let Some(event) = logs.next().await {
            run.on_pod_event(event?);
        }
        Ok(())
    };
    let finished = tokio::time::timeout(LOG_TIMEOUT, reading).await;
    finished.unwrap_or_else(|_| {
        observer.warn(Warning::LogsLate);
        Ok(())
    })
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
