//! How far a run has come, in one line: its items, then its pods.

use crate::notice::{PodCounts, RunProgress};
use workqueue_core::words::count;

/// The line.
pub(super) fn run_line(progress: &RunProgress<'_>) -> String {
    let (job, items, pods) = (progress.job, items(progress), pods(progress));
    if job.paused.is_some() && job.end.is_none() {
        let run = &job.run;
        return format!(
            "run {run} is paused: {items}; {pods}; `kubectl workqueue resume {run}` continues it"
        );
    }
    format!("{items}; {pods}")
}

fn items(progress: &RunProgress<'_>) -> String {
    let job = progress.job;
    let coarse = || job.completions.filter(|_| job.is_coarse());
    let total = job.items.or_else(coarse).map(u64::from);
    let Some(counts) = progress.items else {
        return total.map_or("items not counted yet".to_owned(), |total| count(total, "item"));
    };
    let failed = u64::from(counts.failed);
    // A pod that succeeds has settled its item.
    let settled = || job.is_coarse().then(|| u64::from(job.succeeded).saturating_sub(failed));
    let ended = match (counts.done.or_else(settled), total) {
        // More may have been enqueued meanwhile.
        (Some(done), Some(total)) if done + failed <= total => {
            format!("{done} of {} done", count(total, "item"))
        }
        (Some(done), _) => format!("{} done", count(done, "item")),
        (None, Some(total)) if u64::from(counts.waiting) <= total => {
            format!("{} of {} waiting", counts.waiting, count(total, "item"))
        }
        (None, _) => format!("{} waiting", count(counts.waiting, "item")),
    };
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    let held = if counts.outputs_full { ", waiting for room for outputs" } else { "" };
    format!("{ended}{failed}{held}")
}

fn pods(progress: &RunProgress<'_>) -> String {
    let PodCounts { running, starting, ending, failed, why } = &progress.pods;
    let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    let parts = [
        (*running, "running".to_owned()),
        (*starting, format!("starting{why}")),
        (*ending, "ending".to_owned()),
        (*failed, "failed".to_owned()),
    ];
    let mut parts = parts.iter().filter(|(number, _)| *number > 0);
    let Some((number, state)) = parts.next() else { return format!("no pods{why}") };
    let first = format!("{} {state}", count(*number, "pod"));
    parts.fold(first, |line, (number, state)| format!("{line}, {number} {state}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::job::JobState;
    use crate::notice::RunCounts;

    fn line(job: &JobState, items: Option<RunCounts>, pods: PodCounts) -> String {
        run_line(&RunProgress { job, items, pods })
    }

    fn fine() -> JobState {
        JobState { mode: Some("fine".to_owned()), items: Some(8), run: "r".to_owned(), ..JobState::default() }
    }

    #[test]
    fn items_come_first_and_pods_that_wait_are_told_from_those_that_work() {
        let counts = |waiting, failed, done| Some(RunCounts { waiting, failed, done, outputs_full: false });
        let starting =
            PodCounts { starting: 2, why: Some("ContainerCreating".to_owned()), ..PodCounts::default() };
        assert_eq!(line(&fine(), None, starting), "8 items; 2 pods starting (ContainerCreating)");
        let why = Some("Unschedulable".to_owned());
        let pods = PodCounts { running: 1, starting: 1, why, ..PodCounts::default() };
        assert_eq!(
            line(&fine(), counts(4, 1, Some(3)), pods),
            "3 of 8 items done, 1 failed; 1 pod running, 1 starting (Unschedulable)"
        );
        let two = PodCounts { running: 2, ..PodCounts::default() };
        assert_eq!(line(&fine(), counts(8, 0, None), two.clone()), "8 of 8 items waiting; 2 pods running");
        assert_eq!(line(&fine(), counts(0, 0, Some(9)), two), "9 items done; 2 pods running");
        let job = JobState { items: Some(1), ..fine() };
        let failed = PodCounts { failed: 1, ..PodCounts::default() };
        assert_eq!(line(&job, counts(0, 0, Some(1)), failed), "1 of 1 item done; 1 pod failed");
    }

    #[test]
    fn a_pod_for_each_item_counts_them_too() {
        let job = JobState { mode: Some("coarse".to_owned()), completions: Some(8), succeeded: 3, ..fine() };
        let counts = Some(RunCounts { waiting: 4, failed: 1, ..RunCounts::default() });
        let pods = PodCounts { running: 1, ..PodCounts::default() };
        assert_eq!(line(&job, counts, pods), "2 of 8 items done, 1 failed; 1 pod running");
    }

    #[test]
    fn a_paused_run_names_what_continues_it() {
        let job = JobState { paused: Some(2), ..fine() };
        let counts = Some(RunCounts { waiting: 8, done: Some(0), ..RunCounts::default() });
        assert_eq!(
            line(&job, counts, PodCounts::default()),
            "run r is paused: 0 of 8 items done; no pods; `kubectl workqueue resume r` continues it"
        );
        let why = Some("FailedCreate".to_owned());
        let job = fine();
        assert!(
            line(&job, counts, PodCounts { why, ..PodCounts::default() })
                .ends_with("; no pods (FailedCreate)")
        );
    }
}
