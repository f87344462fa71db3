//! Follows a run to its end: logs, progress, failed pods, and the final count.

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::cluster::job::{JobEnd, JobState};
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
    /// What became of the items; `None` if the run continues.
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

/// Follows a run until it ends, `interrupt` resolves, or the deadline passes.
///
/// # Errors
/// [`Error::WorkersStuck`] when pods cannot start (an image that cannot be pulled), even without
/// a deadline; [`Error::Deadline`]; watches that the user is not allowed to open.
pub async fn follow(
    cluster: &Cluster,
    release: &ReleaseName,
    job: JobState,
    deadline: Deadline,
    observer: &dyn Observer,
    interrupt: impl Future<Output = ()>,
    if_stuck: IfStuck,
) -> Result<RunReport, Error> {
    let mut run = FollowedRun::new(job, observer);
    let mut logs = cluster.follow_logs(&run.job.pod_selector());
    let watched = watch(cluster, release, &mut run, &mut logs, deadline, interrupt).await;
    if if_stuck == IfStuck::Delete && matches!(watched, Err(Error::WorkersStuck { .. })) {
        for name in run.job.names() {
            cluster.delete_job(name).await?;
        }
    }
    let end = watched?;
    let mut verdict = None;
    if end != RunEnd::Detached {
        read_last_lines(&mut run, logs, observer).await?;
        observer.on(Notice::Waiting(Wait::Books));
        verdict = Some(books::close(cluster, release, &run.job, observer).await);
    }
    Ok(RunReport { failed_pods: run.pods.failed(), job: run.job, end, verdict })
}

/// Passes everything that the cluster and the broker report to `run` until it ends.
async fn watch(
    cluster: &Cluster,
    release: &ReleaseName,
    run: &mut FollowedRun<'_>,
    logs: &mut LogFollower,
    deadline: Deadline,
    interrupt: impl Future<Output = ()>,
) -> Result<RunEnd, Error> {
    let started = Instant::now();
    let mut states = std::pin::pin!(cluster.watch_run(&run.job));
    let mut counts = QueueWatch::start(cluster, release, &run.job);
    let mut interrupt = std::pin::pin!(interrupt);
    loop {
        let give_up_at = run.give_up_at();
        let wake_at = deadline.into_iter().chain(give_up_at).min();
        tokio::select! {
            () = &mut interrupt => return Ok(RunEnd::Detached),
            () = sleep_until(wake_at) => {
                return Err(if wake_at == give_up_at { run.stuck() } else { run.late(started) });
            }
            Some(count) = counts.next() => run.on_count(count),
            Some(event) = logs.next() => run.on_pod_event(event?),
            Some(event) = states.next() => {
                run.on_run_event(event?);
                if let Some(end) = &run.job.end {
                    return Ok(RunEnd::of(end));
                }
            }
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
