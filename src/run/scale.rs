//! Changes how many pods of a run work at one time: more, fewer, none for a while.
//!
//! A Job's completions are fixed and are the pods that drain its queue, so that more pods need a
//! further Job of the same run. Pods that are taken away give their items back.

use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::run::logs::find_run;
use workqueue_core::names::ReleaseName;

/// Makes `parallelism` pods work on a run at one time, and gives its state then.
///
/// # Errors
/// [`Error::NoRun`], [`Error::RunEnded`], [`Error::RunPaused`]; and as for every request.
pub async fn scale(
    cluster: &Cluster,
    release: &ReleaseName,
    run: Option<&str>,
    parallelism: u32,
) -> Result<JobState, Error> {
    let run = find_run(cluster, release, run).await?;
    let jobs = live_jobs(cluster, release, &run).await?;
    if run.paused.is_some() {
        return Err(Error::RunPaused(run.run));
    }
    for (job, step) in plan(&jobs, parallelism) {
        match step {
            Step::Set(pods) if pods == job.parallelism => {}
            Step::Set(pods) => cluster.set_parallelism(&job.name, pods, None).await?,
            Step::Add(pods) => _ = cluster.add_job(&job.name, &next_name(&run), pods).await?,
            Step::Delete => cluster.delete_job(&job.name).await?,
        }
    }
    find_run(cluster, release, Some(&run.name)).await
}

/// Takes all pods of a run away until [`resume`].
///
/// # Errors
/// [`Error::NoRun`], [`Error::RunEnded`]; and as for every request.
pub async fn pause(cluster: &Cluster, release: &ReleaseName, run: Option<&str>) -> Result<JobState, Error> {
    let run = find_run(cluster, release, run).await?;
    for job in live_jobs(cluster, release, &run).await? {
        if job.paused.is_none() {
            cluster.set_parallelism(&job.name, 0, Some(job.parallelism)).await?;
        }
    }
    find_run(cluster, release, Some(&run.name)).await
}

/// Gives a paused run its pods again.
///
/// # Errors
/// [`Error::NoRun`], [`Error::RunEnded`]; and as for every request.
pub async fn resume(cluster: &Cluster, release: &ReleaseName, run: Option<&str>) -> Result<JobState, Error> {
    let run = find_run(cluster, release, run).await?;
    for job in live_jobs(cluster, release, &run).await? {
        if let Some(pods) = job.paused {
            cluster.set_parallelism(&job.name, pods, None).await?;
        }
    }
    find_run(cluster, release, Some(&run.name)).await
}

/// The Jobs of a run that have not ended, oldest first.
async fn live_jobs(cluster: &Cluster, release: &ReleaseName, run: &JobState) -> Result<Vec<JobState>, Error> {
    let mut jobs = cluster.jobs(release).await?;
    jobs.retain(|job| job.end.is_none() && run.names().any(|name| name == job.name));
    if jobs.is_empty() { Err(Error::RunEnded(run.run.clone())) } else { Ok(jobs) }
}

/// What is to be done about a Job, or next to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// So many pods at one time.
    Set(u32),
    /// A further Job like this one, with so many pods.
    Add(u32),
    /// Nothing is left for it: with no pods at one time it would never end.
    Delete,
}

/// Shares the pods out among the Jobs, the oldest first, each up to what still has to succeed.
fn plan(jobs: &[JobState], parallelism: u32) -> Vec<(&JobState, Step)> {
    let mut left = parallelism;
    let mut steps = Vec::new();
    for job in jobs {
        let room = job.remaining().unwrap_or(u32::MAX);
        // It is about to complete.
        if room == 0 {
            continue;
        }
        let pods = left.min(room);
        left -= pods;
        steps.push((job, if pods > 0 { Step::Set(pods) } else { Step::Delete }));
    }
    // With one pod an item there are no more pods than items.
    if let Some(first) = jobs.first().filter(|job| left > 0 && !job.is_coarse()) {
        steps.push((first, Step::Add(left)));
    }
    steps
}

/// A name that no Job of the run has: the first one's with a number.
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
    fn more_pods_are_a_further_job_and_fewer_take_it_away() {
        let two = [job("w", 4, 0, "fine"), job("w-2", 4, 0, "fine")];
        assert_eq!(steps(&two[..1], 8), [Step::Set(4), Step::Add(4)]);
        assert_eq!(steps(&two, 8), [Step::Set(4), Step::Set(4)]);
        assert_eq!(steps(&two, 5), [Step::Set(4), Step::Set(1)]);
        assert_eq!(steps(&two, 3), [Step::Set(3), Step::Delete]);
        assert_eq!(steps(&two[..1], 1), [Step::Set(1)]);
    }

    #[test]
    fn pods_that_have_succeeded_make_no_room() {
        assert_eq!(steps(&[job("w", 4, 3, "fine")], 4), [Step::Set(1), Step::Add(3)]);
        assert_eq!(steps(&[job("w", 4, 4, "fine"), job("w-2", 2, 0, "fine")], 2), [Step::Set(2)]);
        assert_eq!(steps(&[job("w", 4, 4, "coarse")], 2), []);
    }

    #[test]
    fn one_pod_an_item_needs_no_further_job() {
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
