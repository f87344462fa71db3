//! Changes how many pods of a run work concurrently: scales it, pauses it, and resumes it.
//!
//! A Job's `completions` cannot be changed, and in fine mode equals the number of pods. More pods
//! therefore need another Job of the same run. Pods that are removed requeue their items.

use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::run::find::{find_run, select_run};
use workqueue_core::names::ReleaseName;

/// A run after it was to be changed.
pub struct Changed {
    pub job: JobState,
    /// It was as it should be before.
    pub already: bool,
}

/// Scales a run to `parallelism` concurrent pods.
///
/// # Errors
/// [`Error::NoRun`], [`Error::SeveralRuns`], [`Error::RunEnded`], [`Error::RunPaused`].
pub async fn scale(
    cluster: &Cluster,
    release: &ReleaseName,
    run: Option<&str>,
    parallelism: u32,
) -> Result<Changed, Error> {
    let run = select_run(cluster, release, run).await?;
    let jobs = live_jobs(cluster, release, &run).await?;
    if run.paused.is_some() {
        return Err(Error::RunPaused(run.run));
    }
    let mut steps = plan(&jobs, parallelism);
    steps.retain(|(job, step)| *step != Step::Set(job.parallelism));
    for (job, step) in &steps {
        match step {
            Step::Set(pods) => cluster.set_parallelism(&job.name, *pods, None).await?,
            Step::Add(pods) => _ = cluster.add_job(&job.name, &next_name(&run), *pods).await?,
            Step::Delete => cluster.delete_job(&job.name).await?,
        }
    }
    Ok(Changed { job: find_run(cluster, release, &run.name).await?, already: steps.is_empty() })
}

/// Removes all pods of a run until [`resume`].
///
/// # Errors
/// [`Error::NoRun`], [`Error::SeveralRuns`], [`Error::RunEnded`].
pub async fn pause(cluster: &Cluster, release: &ReleaseName, run: Option<&str>) -> Result<Changed, Error> {
    let run = select_run(cluster, release, run).await?;
    let mut already = true;
    for job in live_jobs(cluster, release, &run).await? {
        if job.paused.is_none() {
            cluster.set_parallelism(&job.name, 0, Some(job.parallelism)).await?;
            already = false;
        }
    }
    Ok(Changed { job: find_run(cluster, release, &run.name).await?, already })
}

/// Restores the pods of a paused run.
///
/// # Errors
/// [`Error::NoRun`], [`Error::SeveralRuns`], [`Error::RunEnded`].
pub async fn resume(cluster: &Cluster, release: &ReleaseName, run: Option<&str>) -> Result<Changed, Error> {
    let run = select_run(cluster, release, run).await?;
    let mut already = true;
    for job in live_jobs(cluster, release, &run).await? {
        if let Some(pods) = job.paused {
            cluster.set_parallelism(&job.name, pods, None).await?;
            already = false;
        }
    }
    Ok(Changed { job: find_run(cluster, release, &run.name).await?, already })
}

/// The Jobs of a run that have not ended, oldest first.
async fn live_jobs(cluster: &Cluster, release: &ReleaseName, run: &JobState) -> Result<Vec<JobState>, Error> {
    let mut jobs = cluster.jobs(release).await?;
    jobs.retain(|job| job.end.is_none() && run.names().any(|name| name == job.name));
    if jobs.is_empty() { Err(Error::RunEnded(run.run.clone())) } else { Ok(jobs) }
}

/// A change to a Job, or next to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Set its parallelism.
    Set(u32),
    /// Create another Job like it with this parallelism.
    Add(u32),
    /// Delete it, since no pods are left for it: with a parallelism of 0 it would never end.
    Delete,
}

/// Distributes the pods over the Jobs, oldest first. Each gets at most the number of pods that
/// still have to succeed.
fn plan(jobs: &[JobState], parallelism: u32) -> Vec<(&JobState, Step)> {
    let mut left = parallelism;
    let mut steps = Vec::new();
    for job in jobs {
        let needed = job.remaining().unwrap_or(u32::MAX);
        // It is about to complete.
        if needed == 0 {
            continue;
        }
        let pods = left.min(needed);
        left -= pods;
        steps.push((job, if pods > 0 { Step::Set(pods) } else { Step::Delete }));
    }
    // In coarse mode there are never more pods than items.
    if let Some(first) = jobs.first().filter(|job| left > 0 && !job.is_coarse()) {
        steps.push((first, Step::Add(left)));
    }
    steps
}

/// A name for another Job of the run: the first Job's name with the next number.
fn next_name(run: &JobState) -> String {
    let number = |name: &str| name.strip_prefix(&run.name)?.strip_prefix('-')?.parse::<u32>().ok();
    let last = run.more.iter().filter_map(|name| number(name)).max().unwrap_or(1);
    format!("{}-{}", run.name, last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, completions: u32, succeeded: u32, mode: &str) -> JobState {
        JobState {
            name: name.to_owned(),
            completions: Some(completions),
            parallelism: completions,
            succeeded,
            mode: Some(mode.to_owned()),
            ..JobState::default()
        }
    }

    fn steps(jobs: &[JobState], parallelism: u32) -> Vec<Step> {
        plan(jobs, parallelism).into_iter().map(|(_, step)| step).collect()
    }

    #[test]
    fn more_pods_add_a_job_and_fewer_pods_delete_it() {
        let two = [job("w", 4, 0, "fine"), job("w-2", 4, 0, "fine")];
        assert_eq!(steps(&two[..1], 8), [Step::Set(4), Step::Add(4)]);
        assert_eq!(steps(&two, 8), [Step::Set(4), Step::Set(4)]);
        assert_eq!(steps(&two, 5), [Step::Set(4), Step::Set(1)]);
        assert_eq!(steps(&two, 3), [Step::Set(3), Step::Delete]);
        assert_eq!(steps(&two[..1], 1), [Step::Set(1)]);
    }

    #[test]
    fn pods_that_have_succeeded_are_not_started_again() {
        assert_eq!(steps(&[job("w", 4, 3, "fine")], 4), [Step::Set(1), Step::Add(3)]);
        assert_eq!(steps(&[job("w", 4, 4, "fine"), job("w-2", 2, 0, "fine")], 2), [Step::Set(2)]);
        assert_eq!(steps(&[job("w", 4, 4, "coarse")], 2), []);
    }

    #[test]
    fn coarse_runs_need_no_further_job() {
        assert_eq!(steps(&[job("w", 10, 8, "coarse")], 50), [Step::Set(2)]);
    }

    #[test]
    fn names_of_further_jobs_are_numbered() {
        let run = |more: &[&str]| JobState {
            more: more.iter().map(|&name| name.to_owned()).collect(),
            ..job("w-r1", 1, 0, "fine")
        };
        assert_eq!(next_name(&run(&[])), "w-r1-2");
        assert_eq!(next_name(&run(&["w-r1-2", "w-r1-10"])), "w-r1-11");
    }
}
