//! Finds the run that a command is about. Nothing is guessed: if a command can mean several runs, they are
//! listed.

use crate::cluster::job::JobState;
use crate::cluster::{self, Cluster};
use crate::error::Error;
use crate::queue::connection::BrokerConnection;
use workqueue_amqp::ledger;
use workqueue_core::names::{QueueName, ReleaseName};

/// Finds a run by its name, or by the name of one of its Jobs.
///
/// # Errors
/// [`Error::NoRun`].
pub async fn find_run(cluster: &Cluster, release: &ReleaseName, run: &str) -> Result<JobState, Error> {
    let mut runs = runs(cluster, release).await?;
    match runs.iter().position(|job| is_called(job, run)) {
        Some(at) => Ok(runs.swap_remove(at)),
        None => Err(Error::NoRun { name: Some(run.to_owned()), known: named(&runs) }),
    }
}

/// Makes sure that there is, or was, a run of this name over a queue: that it has Jobs, or stands in the
/// queue's book.
///
/// # Errors
/// [`Error::NoRun`], [`Error::OtherQueue`]; those of the cluster and the broker.
pub async fn require_run(
    cluster: &Cluster,
    release: &ReleaseName,
    connection: &BrokerConnection,
    queue: &QueueName,
    run: &str,
) -> Result<(), Error> {
    let book = ledger::look(&connection.broker, queue).await.map_err(|error| connection.explain(error))?;
    let mut known: Vec<(String, String)> = Vec::new();
    for entry in book.iter().flat_map(|book| &book.runs) {
        known.push((entry.run.clone(), queue.to_string()));
    }
    let jobs = match cluster.runs(release).await {
        // The book knows the runs as well.
        Err(cluster::Error::Forbidden { .. }) => Vec::new(),
        jobs => jobs?,
    };
    known.extend(named(&jobs).into_iter().filter(|job| !known.contains(job)).collect::<Vec<_>>());
    match known.iter().find(|(name, _)| name == run) {
        Some((_, its)) if its == queue.as_str() => Ok(()),
        Some((_, its)) => {
            Err(Error::OtherQueue { run: run.to_owned(), its: its.clone(), queue: queue.clone() })
        }
        None => Err(Error::NoRun { name: Some(run.to_owned()), known }),
    }
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
    select(runs(cluster, release).await?, name)
}

/// The runs of a release, oldest first. If there are none, the namespace at least exists.
async fn runs(cluster: &Cluster, release: &ReleaseName) -> Result<Vec<JobState>, Error> {
    let runs = cluster.runs(release).await?;
    if runs.is_empty() {
        cluster.require_namespace().await?;
    }
    Ok(runs)
}

/// The names of runs, or of Jobs without one, and their queues.
fn named(runs: &[JobState]) -> Vec<(String, String)> {
    let name = |job: &JobState| if job.run.is_empty() { job.name.clone() } else { job.run.clone() };
    runs.iter().map(|job| (name(job), job.queue.clone())).collect()
}

/// `runs` are sorted, oldest first.
fn select(mut runs: Vec<JobState>, name: Option<&str>) -> Result<JobState, Error> {
    if let Some(name) = name {
        if let Some(at) = runs.iter().position(|job| is_called(job, name)) {
            return Ok(runs.swap_remove(at));
        }
        if !runs.iter().any(|job| job.queue == name) {
            return Err(Error::NoRun { name: Some(name.to_owned()), known: named(&runs) });
        }
        runs.retain(|job| job.queue == name);
    }
    let (mut active, mut ended): (Vec<_>, Vec<_>) = runs.into_iter().partition(|job| job.end.is_none());
    if active.len() > 1 {
        return Err(Error::SeveralRuns(named(&active)));
    }
    active.pop().or_else(|| ended.pop()).ok_or(Error::NoRun { name: None, known: Vec::new() })
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
        assert_eq!(
            selected(&runs[2..], Some("r5")),
            "there is no run \"r5\"; there are: r3 (queue b), r4 (queue b); did you mean r3?"
        );
        assert_eq!(selected(&[], Some("r5")), "there is no run \"r5\"");
        let many: Vec<_> = (0..12).map(|number| run(&format!("run{number}"), "a", ended())).collect();
        let said = selected(&many, Some("nonesuch"));
        assert!(said.starts_with("there is no run \"nonesuch\"; there are: run2 (queue a), "), "{said}");
        assert!(said.ends_with("run11 (queue a), and 2 older"), "{said}");
        let twice = [run("r1", "a", None), run("r2", "a", None)];
        assert_eq!(selected(&twice, Some("a")), "several runs are active: r1 (queue a), r2 (queue a)");
    }
}
