//! Ends a run before its queue is empty: its pods requeue their items, and its books are closed.

use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::notice::{Deadline, Notice, Observer, Wait};
use crate::run::books::{self, Verdict};
use crate::run::find::find_run;
use workqueue_core::names::ReleaseName;
use workqueue_core::words::count;

/// Pause between two looks at the pods.
const PAUSE: Duration = Duration::from_secs(1);

/// Stops a run, waits until its pods have ended, and says what became of its items.
///
/// # Errors
/// [`Error::NoRun`], [`Error::RunEnded`]; [`Error::Deadline`] while pods are left.
pub async fn stop(
    cluster: &Cluster,
    release: &ReleaseName,
    run: &str,
    deadline: Deadline,
    observer: &dyn Observer,
) -> Result<(JobState, Verdict), Error> {
    let job = find_run(cluster, release, run).await?;
    if job.end.is_some() {
        return Err(Error::RunEnded(job.run));
    }
    for name in job.names() {
        cluster.stop_job(name).await?;
    }
    until_pods_ended(cluster, &job, deadline, observer).await?;
    let job = find_run(cluster, release, run).await?;
    observer.on(Notice::Waiting(Wait::Books));
    let verdict = books::close(cluster, release, &job, observer).await;
    Ok((job, verdict))
}

/// Waits until no pod of a run can hold an item.
pub(super) async fn until_pods_ended(
    cluster: &Cluster,
    job: &JobState,
    deadline: Deadline,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        let left = cluster.pods_left(job).await?;
        if left == 0 {
            return Ok(());
        }
        let what = format!("{} of run {} to end", count(left as u64, "pod"), job.run);
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            let what = format!("{} of run {} did not end", count(left as u64, "pod"), job.run);
            return Err(Error::Deadline { what, seconds: started.elapsed().as_secs() });
        }
        observer.on(Notice::Waiting(Wait::Cluster(&what)));
        tokio::time::sleep(PAUSE).await;
    }
}
