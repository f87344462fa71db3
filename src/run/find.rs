//! Finds the run that a command is about. Nothing is guessed: if a command can mean several runs, they are
//! listed.

use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use workqueue_core::names::ReleaseName;

/// Finds a run by its name, or by the name of one of its Jobs.
///
/// # Errors
/// [`Error::NoRun`].
pub async fn find_run(cluster: &Cluster, release: &ReleaseName, run: &str) -> Result<JobState, Error> {
    let mut runs = cluster.runs(release).await?.into_iter();
    runs.find(|job| is_called(job, run)).ok_or_else(|| Error::NoRun(Some(run.to_owned())))
}

/// The same, and also by the name of its queue; without a name, among all runs. Of several runs it is the
/// active one; if none is active, the latest.
///
/// # Errors
/// [`Error::NoRun`]; [`Error::SeveralRuns`] if several are active.
pub async fn select_run(
    cluster: &Cluster,
    release: &ReleaseName,
    name: Option<&str>,
) -> Result<JobState, Error> {
    select(cluster.runs(release).await?, name)
}

/// `runs` are sorted, oldest first.
fn select(mut runs: Vec<JobState>, name: Option<&str>) -> Result<JobState, Error> {
    if let Some(name) = name {
        if let Some(at) = runs.iter().position(|job| is_called(job, name)) {
            return Ok(runs.swap_remove(at));
        }
        runs.retain(|job| job.queue == name);
    }
    let (mut active, mut ended): (Vec<_>, Vec<_>) = runs.into_iter().partition(|job| job.end.is_none());
    if active.len() > 1 {
        let named = |job: JobState| (if job.run.is_empty() { job.name } else { job.run }, job.queue);
        return Err(Error::SeveralRuns(active.into_iter().map(named).collect()));
    }
    active.pop().or_else(|| ended.pop()).ok_or_else(|| Error::NoRun(name.map(str::to_owned)))
}

fn is_called(job: &JobState, name: &str) -> bool {
    job.run == name || job.names().any(|other| other == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::job::JobEnd;

    fn run(run: &str, queue: &str, end: Option<JobEnd>) -> JobState {
        let [name, run, queue] = [&format!("w-{run}"), run, queue].map(str::to_owned);
        JobState { name, run, queue, end, ..JobState::default() }
    }

    fn selected(runs: &[JobState], name: Option<&str>) -> String {
        match select(runs.to_vec(), name) {
            Ok(job) => job.run,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn of_several_active_runs_none_is_guessed() {
        let ended = || Some(JobEnd::Complete);
        let runs = [run("r1", "a", None), run("r2", "b", ended()), run("r3", "b", None)];
        assert_eq!(selected(&runs, None), "several runs are active: r1 (queue a), r3 (queue b)");
        assert_eq!(selected(&runs[..2], None), "r1", "the one that is active, though another is later");
        assert_eq!(selected(&[run("r1", "a", ended()), run("r2", "b", ended())], None), "r2");
        assert_eq!(selected(&[], None), "there are no runs");
    }

    #[test]
    fn a_run_is_found_by_its_name_its_job_and_its_queue() {
        let ended = || Some(JobEnd::Complete);
        let runs =
            [run("r1", "a", None), run("a", "c", ended()), run("r3", "b", ended()), run("r4", "b", None)];
        assert_eq!(selected(&runs, Some("r3")), "r3");
        assert_eq!(selected(&runs, Some("w-r3")), "r3");
        assert_eq!(selected(&runs, Some("b")), "r4", "the active one of that queue");
        assert_eq!(selected(&runs, Some("a")), "a", "a run's name goes first");
        assert_eq!(selected(&runs[2..3], Some("b")), "r3");
        assert_eq!(selected(&runs, Some("d")), "there is no run \"d\"");
        let twice = [run("r1", "a", None), run("r2", "a", None)];
        assert_eq!(selected(&twice, Some("a")), "several runs are active: r1 (queue a), r2 (queue a)");
    }
}
