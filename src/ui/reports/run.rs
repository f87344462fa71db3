//! The reports of `run`, `attach`, `scale`, `pause` and `resume`.

use super::run_end::outcomes;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::run::books::Verdict;
use crate::run::delete::Deletable;
use crate::run::scale::Changed;
use crate::ui::failure::Failure;
use workqueue_core::names::QueueName;
use workqueue_core::words::{are, count};

/// What is said if a run does not start after so many of its items were enqueued.
pub fn no_job(enqueued: u64) -> String {
    match enqueued {
        0 => "no Job was created".to_owned(),
        _ => {
            let are = are(enqueued, "item");
            format!(
                "no Job was created, but {are} in the queue: enqueue the others, and run it again without items"
            )
        }
    }
}

/// A run has started, and enqueued `new` items before.
pub fn started(job: &JobState, queue: &QueueName, new: u64) -> String {
    let total = job.items.or(job.completions).unwrap_or(0);
    let waiting = u64::from(total).saturating_sub(new);
    let origin = match (waiting, new) {
        (0, _) | (_, 0) => String::new(),
        (1, _) => format!(": 1 was waiting, {}", new_ones(new)),
        _ => format!(": {waiting} were waiting, {}", new_ones(new)),
    };
    format!("run {}: job {} works on {} of queue {queue}{origin}", job.run, job.name, count(total, "item"))
}

fn new_ones(new: u64) -> String {
    if new == 1 { "1 is new".to_owned() } else { format!("{new} are new") }
}

/// The queue has no items.
pub fn nothing_to_do(queue: &QueueName) -> String {
    format!("queue {queue} is empty: there is nothing to do")
}

/// How to follow a run.
pub fn how_to_follow(job: &JobState) -> String {
    format!("follow it with: kubectl workqueue attach {}", job.run)
}

/// A run has another number of pods now.
pub fn scaled(Changed { job, already }: &Changed) -> String {
    let word = if *already { "already" } else { "now" };
    format!("run {} {word} works with {}", job.run, count(job.parallelism, "pod"))
}

/// A run is paused.
pub fn paused(Changed { job, already }: &Changed) -> String {
    let word = if *already { "already " } else { "" };
    format!("run {run} is {word}paused; `kubectl workqueue resume {run}` continues it", run = job.run)
}

/// A paused run continues.
pub fn resumed(Changed { job, already }: &Changed) -> String {
    let (run, pods) = (&job.run, count(job.parallelism, "pod"));
    match already {
        true => format!("run {run} is not paused: it already works with {pods}"),
        false => format!("run {run} continues with {pods}"),
    }
}

/// What to tell the user if a command can mean several runs: its line for each of them. `command` makes it
/// of the run's name, without `kubectl workqueue`.
pub fn if_several(command: impl Fn(&str) -> String) -> impl FnOnce(Error) -> Failure {
    move |error| {
        let lines = match &error {
            Error::SeveralRuns(runs) => {
                runs.iter().map(|(run, _)| format!("\n  kubectl workqueue {}", command(run))).collect()
            }
            _ => String::new(),
        };
        let failure = Failure::from(error);
        Failure { hint: failure.hint.map(|hint| hint + &lines), ..failure }
    }
}

/// A run was stopped: what became of its items.
pub fn stopped(job: &JobState, verdict: &Verdict) -> String {
    let outcomes = outcomes(verdict);
    let ready = verdict.ready.map(|ready| format!("{} in queue {}", are(ready, "item"), job.queue));
    let parts: Vec<String> =
        Some(outcomes).filter(|text| !text.is_empty()).into_iter().chain(ready).collect();
    format!(
        "run {} is stopped: {}; to continue with the rest, run it again without items",
        job.run,
        parts.join(", ")
    )
}

/// What `delete` would delete.
pub fn to_delete(found: &Deletable) -> String {
    let jobs = found.job.as_ref().map(|job| {
        let names: Vec<&str> = job.names().collect();
        let active = if job.end.is_none() { " (active)" } else { "" };
        format!("{}{active}", names.join(", "))
    });
    let ledger = found.entry.as_ref().map(|_| format!("its ledger of queue {}", found.queue));
    let parts: Vec<String> = jobs.map(|jobs| format!("job {jobs}")).into_iter().chain(ledger).collect();
    format!("run {}: {}", found.run, parts.join(" and "))
}

/// A run was deleted.
pub fn deleted(run: &str) -> String {
    format!("run {run} is deleted")
}

/// What to tell the user if following a run failed that somebody else may have started: if its
/// pods cannot start, it is up to them to stop it.
pub fn if_stuck(job: &JobState) -> impl FnOnce(Error) -> Failure + use<> {
    let jobs = job.names().collect::<Vec<_>>().join(" ");
    move |error| {
        let hint = match &error {
            Error::WorkersStuck { cure, .. } => Some(format!(
                "the run is left as it is, and its pods keep trying: stop it with `kubectl delete job {jobs}`, and {}",
                cure.unwrap_or("fix the image")
            )),
            _ => None,
        };
        let failure = Failure::from(error);
        Failure { hint: hint.or(failure.hint), ..failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::failure::ExitStatus;

    #[test]
    fn a_command_that_can_mean_several_runs_is_spelt_for_each() {
        let runs = [("r1", "a"), ("r2", "b")].map(|(run, queue)| (run.to_owned(), queue.to_owned()));
        let failure =
            if_several(|run| format!("scale {run} --parallelism 4"))(Error::SeveralRuns(runs.to_vec()));
        assert_eq!(failure.message, "several runs are active: r1 (queue a), r2 (queue b)");
        assert_eq!(
            failure.hint.as_deref(),
            Some(
                "name one of them\n  kubectl workqueue scale r1 --parallelism 4\n  \
                 kubectl workqueue scale r2 --parallelism 4"
            )
        );
        let other = if_several(|run| run.to_owned())(Error::no_run("r"));
        assert_eq!(other, Failure::from(Error::no_run("r")));
    }

    #[test]
    fn items_that_were_waiting_are_told_from_new_ones() {
        let queue = "q".parse().expect("legal");
        let job = |items| JobState { name: "w".to_owned(), items: Some(items), ..JobState::default() };
        let said = |items, new| {
            let line = started(&job(items), &queue, new);
            line.split_once("works on ").expect("it does").1.to_owned()
        };
        assert_eq!(said(2, 2), "2 items of queue q");
        assert_eq!(said(4, 0), "4 items of queue q");
        assert_eq!(said(4, 2), "4 items of queue q: 2 were waiting, 2 are new");
        assert_eq!(said(2, 1), "2 items of queue q: 1 was waiting, 1 is new");
    }

    #[test]
    fn pausing_twice_is_said() {
        let changed =
            |already| Changed { job: JobState { run: "r1".to_owned(), ..JobState::default() }, already };
        assert!(paused(&changed(false)).starts_with("run r1 is paused; "));
        assert!(paused(&changed(true)).starts_with("run r1 is already paused; "));
        assert!(resumed(&changed(true)).starts_with("run r1 is not paused"));
    }

    #[test]
    fn a_run_that_is_stuck_is_left_alone() {
        let [name, more] = ["w-r1", "w-r1-2"].map(str::to_owned);
        let job = JobState { name, more: vec![more], ..JobState::default() };
        let failure =
            if_stuck(&job)(Error::WorkersStuck { reason: "pod p: ErrImagePull".to_owned(), cure: None });
        assert_eq!(failure.message, "the workers cannot start: pod p: ErrImagePull");
        assert_eq!(failure.status, ExitStatus::JobFailed);
        assert!(failure.hint.expect("one").contains("`kubectl delete job w-r1 w-r1-2`"));
        let other = Error::no_run("r");
        let hint = Failure::from(Error::no_run("r")).hint;
        assert_eq!(if_stuck(&job)(other).hint, hint);
    }
}
