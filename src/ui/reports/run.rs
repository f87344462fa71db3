//! The reports of `run`, `attach`, `scale`, `pause` and `resume`.

use crate::cluster::job::JobState;
use crate::error::Error;
use crate::notice::RunCounts;
use crate::run::follow::{RunEnd, RunReport};
use crate::ui::failure::{ExitStatus, Failure};
use workqueue_core::names::QueueName;
use workqueue_core::words::{are, count};

/// What is said if a run does not start.
pub const NO_JOB: &str = "no Job was created";

/// A run has started.
pub fn started(job: &JobState, queue: &QueueName) -> String {
    let items = count(job.items.or(job.completions).unwrap_or(0), "item");
    format!("run {}: job {} works on {items} of queue {queue}", job.run, job.name)
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
pub fn scaled(job: &JobState) -> String {
    format!("run {} now works with {}", job.run, count(job.parallelism, "pod"))
}

/// A run is paused.
pub fn paused(job: &JobState) -> String {
    format!("run {run} is paused; `kubectl workqueue resume {run}` continues it", run = job.run)
}

/// A paused run continues.
pub fn resumed(job: &JobState) -> String {
    format!("run {} continues with {}", job.run, count(job.parallelism, "pod"))
}

/// How a run ended, in words and as an exit code.
///
/// # Errors
/// A run that did not complete, with its reason and the last lines of the pods that failed; one
/// that completed while items failed or are left.
pub fn end(report: &RunReport) -> Result<(String, ExitStatus), Failure> {
    match &report.end {
        RunEnd::Complete => complete(report).map(|text| (text, ExitStatus::Success)),
        RunEnd::Detached => Ok((detached(&report.job), ExitStatus::Interrupted)),
        RunEnd::Deleted => Err(failed(report, "Deleted", "somebody deleted the Job")),
        RunEnd::Failed { reason, message } => Err(failed(report, reason, message)),
    }
}

fn detached(job: &JobState) -> String {
    format!(
        "detached; run {run} continues\n  follow it:  kubectl workqueue attach {run}\n  stop it:    kubectl delete \
         job {}",
        job.names().collect::<Vec<_>>().join(" "),
        run = job.run,
    )
}

/// A Job also completes if items have failed or are left.
fn complete(report: &RunReport) -> Result<String, Failure> {
    let RunReport { job, counts, recorded, .. } = report;
    let run = &job.run;
    let Some(counts) = *counts else {
        let message = format!("run {run} is complete, but the broker could not be asked about its items");
        return Err(Failure::new(
            message,
            "`kubectl workqueue status` shows how many have failed or are left",
        ));
    };
    let total = if job.is_coarse() { job.succeeded } else { job.items.unwrap_or(0) };
    let expected = u64::from(total.saturating_sub(counts.failed + counts.waiting));
    let done = recorded.unwrap_or(expected);
    if let Some(failure) = incomplete(job, counts, done) {
        return Err(failure.with_status(ExitStatus::ItemsFailed));
    }
    if done < expected {
        let total = count(total, "item");
        return Ok(format!(
            "run {run} is complete: none of {total} is left, and {done} are recorded as done"
        ));
    }
    Ok(format!("run {run} is complete: {done} done"))
}

/// What to say of a complete Job if not every item is done.
fn incomplete(job: &JobState, counts: RunCounts, done: u64) -> Option<Failure> {
    let (RunCounts { waiting, failed }, JobState { run, queue, .. }) = (counts, job);
    let (message, hint) = match (&job.halt, waiting, failed) {
        (_, 0, 0) => return None,
        (_, 0, _) => (
            format!("run {run} is complete: {done} done, {failed} failed"),
            "`kubectl workqueue failed list` shows the failed items; `kubectl workqueue failed retry --all` enqueues \
             them again",
        ),
        (Some(rule), _, 1..) => (
            format!(
                "run {run} was halted ({rule}): {done} done, {failed} failed, {waiting} still in queue {queue}"
            ),
            "`kubectl workqueue failed list` shows the failed items; `kubectl workqueue run` processes the rest",
        ),
        _ => (
            format!(
                "run {run} is complete, but {} in queue {queue}: enqueued meanwhile, or requeued by a worker that \
                 exits with 0 although its program failed",
                are(waiting, "item")
            ),
            "`kubectl workqueue run` processes them",
        ),
    };
    Some(Failure::new(message, hint))
}

fn failed(report: &RunReport, reason: &str, message: &str) -> Failure {
    let job = &report.job;
    let mut lines = format!("run {} failed: {reason}: {message}", job.run);
    for pod in &report.failed_pods {
        lines += &format!("\npod {} {}", pod.pod, pod.reason);
        for line in &pod.last_lines {
            lines += &format!("\n  {line}");
        }
    }
    let done = match job.completions.filter(|_| job.is_coarse()) {
        Some(total) => format!("{} of {total} are done; ", job.succeeded),
        None => String::new(),
    };
    let left = match report.counts.map(|counts| counts.waiting) {
        None => {
            "unfinished items are still in the queue: `kubectl workqueue run` continues with them".to_owned()
        }
        Some(0) => "no items are left in the queue".to_owned(),
        Some(1) => "1 item is still in the queue: `kubectl workqueue run` continues with it".to_owned(),
        Some(left) => {
            format!("{left} items are still in the queue: `kubectl workqueue run` continues with them")
        }
    };
    Failure::new(lines, done + &left).with_status(ExitStatus::JobFailed)
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

    fn report(end: RunEnd, waiting: u32, failed: u32) -> RunReport {
        let job = JobState {
            run: "r1".to_owned(),
            queue: "q".to_owned(),
            mode: Some("fine".to_owned()),
            items: Some(8),
            ..JobState::default()
        };
        RunReport {
            job,
            end,
            failed_pods: Vec::new(),
            counts: Some(RunCounts { waiting, failed }),
            recorded: None,
        }
    }

    #[test]
    fn a_complete_run_succeeds_only_if_every_item_is_done() {
        let ended = |waiting, failed| end(&report(RunEnd::Complete, waiting, failed));
        assert_eq!(ended(0, 0), Ok(("run r1 is complete: 8 done".to_owned(), ExitStatus::Success)));
        let failure = ended(0, 3).expect_err("items failed");
        assert_eq!(
            (failure.message.as_str(), failure.status),
            ("run r1 is complete: 5 done, 3 failed", ExitStatus::ItemsFailed)
        );
        let failure = ended(1, 0).expect_err("an item is left");
        assert!(failure.message.starts_with("run r1 is complete, but 1 item is in queue q"), "{failure:?}");
    }

    #[test]
    fn a_failed_run_says_what_is_left() {
        let failure = end(&report(RunEnd::Deleted, 2, 0)).expect_err("it was deleted");
        assert_eq!(failure.message, "run r1 failed: Deleted: somebody deleted the Job");
        assert!(failure.hint.expect("one").starts_with("2 items are still in the queue"));
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
        let other = Error::NoRun(None);
        let hint = Failure::from(Error::NoRun(None)).hint;
        assert_eq!(if_stuck(&job)(other).hint, hint);
    }
}
