//! How a run has ended, in words and as an exit code.

use crate::cluster::job::JobState;
use crate::run::books::{Proof, Verdict};
use crate::run::follow::{RunEnd, RunReport};
use crate::ui::failure::{ExitStatus, Failure};
use workqueue_core::words::{are, were};

/// How a run ended, in words and as an exit code.
///
/// # Errors
/// A run that did not complete, with its reason and the last lines of the pods that failed; one
/// that completed while items failed or are left.
pub fn end(report: &RunReport) -> Result<(String, ExitStatus), Failure> {
    match &report.end {
        RunEnd::Complete => match (complete(report), &report.job.input_cut) {
            (Ok(text), Some(reason)) => Err(input_cut(&report.job.run, reason, &text)),
            // The book lacks the items of a reader that was killed.
            (Err(failure), Some(reason)) if failure.status == ExitStatus::Unproven => {
                Err(input_cut(&report.job.run, reason, &failure.message))
            }
            (complete, _) => complete.map(|text| (text, ExitStatus::Success)),
        },
        RunEnd::Detached => Ok((detached(&report.job), ExitStatus::Interrupted)),
        RunEnd::Deleted => Err(failed(report, "Deleted", "somebody deleted the Job")),
        RunEnd::Failed { reason, message } => Err(failed(report, reason, message)),
    }
}

/// What to say of a complete run, with this report, whose input was not enqueued to its end.
pub(super) fn input_cut(run: &str, reason: &str, text: &str) -> Failure {
    let message = format!("{text}\nthe input of run {run} was not enqueued to its end: {reason}");
    let hint = "what is not in the queue is not processed: `map` the rest of the input";
    Failure::new(message, hint).with_status(ExitStatus::NotEnqueued)
}

/// Somebody has stopped `map` a second time.
pub const GIVEN_UP: &str = "stopped at once; a run that was started continues, and its workers may wait for more input until \
                            `kubectl workqueue map --attach RUN` or `kubectl workqueue stop RUN`";

fn detached(job: &JobState) -> String {
    format!(
        "detached; run {run} continues\n  follow it:  kubectl workqueue attach {run}\n  stop it:    kubectl workqueue \
         stop {run}",
        run = job.run,
    )
}

/// A Job also completes if items have failed, are left or are gone.
fn complete(report: &RunReport) -> Result<String, Failure> {
    let run = &report.job.run;
    let Some(verdict) = &report.verdict else {
        let message = format!("run {run} is complete, but nobody knows what became of its items");
        return Err(Failure::new(message, see_status(run)).with_status(ExitStatus::Unproven));
    };
    if let Some(failure) = unproven(report, verdict) {
        return Err(failure.with_status(ExitStatus::Unproven));
    }
    if let Some(failure) = incomplete(&report.job, verdict) {
        return Err(failure.with_status(ExitStatus::ItemsFailed));
    }
    if let Some(failure) = cut(run, verdict) {
        return Err(failure.with_status(ExitStatus::OutputsCut));
    }
    let proof = match verdict.proof {
        Proof::Items => "each item is accounted for",
        _ => "by the counts of the queues",
    };
    Ok(format!("run {run} is complete: {}{} ({proof})", outcomes(verdict), leftover(verdict)))
}

/// What to say if every item is done, but not every output is kept as a whole.
fn cut(run: &str, verdict: &Verdict) -> Option<Failure> {
    let what = outputs_cut(verdict.cut, &verdict.cut_ids)?;
    let message = format!("run {run} is complete: {}, but {what}", outcomes(verdict));
    Some(Failure::new(message, CUT))
}

/// What to do about outputs that are cut.
pub(super) const CUT: &str = "--output-limit keeps longer ones; what is larger than 15 MiB belongs into a store, and its address \
                   into the output";

/// Says that outputs are cut, if some are.
pub(crate) fn outputs_cut(number: u64, ids: &[String]) -> Option<String> {
    let named = named(ids, number);
    (number > 0).then(|| format!("{} cut, or not kept at all{named}", are(number, "output")))
}

fn see_status(run: &str) -> String {
    format!("`kubectl workqueue attach {run}` asks again, and `kubectl workqueue status` shows the queues")
}

/// What to say if the books do not balance.
fn unproven(report: &RunReport, verdict: &Verdict) -> Option<Failure> {
    let JobState { run, queue, .. } = &report.job;
    if let Some(doubt) = &verdict.doubt {
        let message = format!("run {run} is complete, but nothing proves what became of its items: {doubt}");
        return Some(Failure::new(message, see_status(run)));
    }
    if verdict.missing == 0 {
        return None;
    }
    let message = format!(
        "run {run} is complete, but its books do not balance: {}, {} gone without an outcome{}",
        outcomes(verdict),
        are(verdict.missing, "item"),
        named(&verdict.missing_ids, verdict.missing),
    );
    let cause = match verdict.purged {
        0 => format!("somebody else took or deleted them from queue {queue}, or the broker lost them"),
        purged => format!("{} purged from queue {queue} during the run", were(purged, "item")),
    };
    Some(Failure::new(message, cause + ": enqueue them again if they are not done"))
}

/// Numbers of items by outcome: `7 done, 1 failed`.
pub(super) fn outcomes(verdict: &Verdict) -> String {
    let done = verdict.done.map(|done| format!("{done} done"));
    let failed = (verdict.failed > 0).then(|| format!("{} failed", verdict.failed));
    done.into_iter().chain(failed).collect::<Vec<_>>().join(", ")
}

/// The first ids, and whether there are more: ` (a.1, a.2, …)`.
fn named(ids: &[String], number: u64) -> String {
    let more = if number > ids.len() as u64 { ", …" } else { "" };
    if ids.is_empty() { String::new() } else { format!(" ({}{more})", ids.join(", ")) }
}

/// Copies of items that are done, if there are any.
fn leftover(verdict: &Verdict) -> String {
    match verdict.leftover {
        0 => String::new(),
        1 => ", with 1 copy of a done item left over".to_owned(),
        copies => format!(", with {copies} copies of done items left over"),
    }
}

/// What to say of a complete Job if items have failed or are left.
fn incomplete(job: &JobState, verdict: &Verdict) -> Option<Failure> {
    let (JobState { run, queue, .. }, outcomes) = (job, outcomes(verdict));
    let (message, hint) = match (&job.halt, verdict.ready.unwrap_or(0), verdict.failed) {
        (_, 0, 0) => return None,
        (_, 0, failed) => (
            format!("run {run} is complete: {outcomes}{}", named(&verdict.failed_ids, failed)),
            "`kubectl workqueue failed list` shows the failed items; `kubectl workqueue failed retry --all` enqueues \
             them again",
        ),
        (Some(rule), ready, 1..) => (
            format!("run {run} was halted ({rule}): {outcomes}, {ready} still in queue {queue}"),
            "`kubectl workqueue failed list` shows the failed items; to process the rest, run it again without items",
        ),
        (_, ready, _) => (
            format!(
                "run {run} is complete, but {} in queue {queue}: enqueued meanwhile, or requeued by a worker that \
                 exits with 0 although its program failed",
                are(ready, "item")
            ),
            "to process them, run it again without items",
        ),
    };
    Some(Failure::new(message, hint))
}

fn failed(report: &RunReport, reason: &str, message: &str) -> Failure {
    let job = &report.job;
    let mut lines = match job.stopped {
        true => format!("run {} was stopped", job.run),
        false => format!("run {} failed: {reason}: {message}", job.run),
    };
    for pod in &report.failed_pods {
        lines += &format!("\npod {} {}", pod.pod, pod.reason);
        for line in &pod.last_lines {
            lines += &format!("\n  {line}");
        }
    }
    let verdict = report.verdict.as_ref();
    let done = verdict.map(outcomes).filter(|outcomes| !outcomes.is_empty());
    let done = done.map(|outcomes| format!("{outcomes}; ")).unwrap_or_default();
    let left = match verdict.and_then(|verdict| verdict.ready) {
        None => "unfinished items are still in the queue: to continue with them, run it again without items"
            .to_owned(),
        Some(0) => "no items are left in the queue".to_owned(),
        Some(1) => "1 item is still in the queue: to continue with it, run it again without items".to_owned(),
        Some(left) => {
            format!("{left} items are still in the queue: to continue with them, run it again without items")
        }
    };
    let missing = verdict.filter(|verdict| verdict.missing > 0).map(|verdict| {
        let named = named(&verdict.missing_ids, verdict.missing);
        format!("; {} gone without an outcome{named}", are(verdict.missing, "item"))
    });
    Failure::new(lines, done + &left + &missing.unwrap_or_default()).with_status(ExitStatus::JobFailed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(end: RunEnd, ready: u64, failed: u64, missing: u64) -> RunReport {
        let job = JobState {
            run: "r1".to_owned(),
            queue: "q".to_owned(),
            mode: Some("fine".to_owned()),
            items: Some(8),
            ..JobState::default()
        };
        let verdict = Verdict {
            proof: Proof::Items,
            done: Some(8 - ready - failed - missing),
            failed,
            ready: Some(ready),
            missing,
            missing_ids: vec!["k2x9bcdf.7".to_owned()],
            ..Verdict::unproven(String::new())
        };
        let verdict = Some(Verdict { doubt: None, ..verdict });
        RunReport { job, end, failed_pods: Vec::new(), verdict }
    }

    #[test]
    fn a_complete_run_succeeds_only_if_every_item_is_done() {
        let ended = |ready, failed| end(&report(RunEnd::Complete, ready, failed, 0));
        let done = "run r1 is complete: 8 done (each item is accounted for)".to_owned();
        assert_eq!(ended(0, 0), Ok((done, ExitStatus::Success)));
        let failure = ended(0, 3).expect_err("items failed");
        assert_eq!(
            (failure.message.as_str(), failure.status),
            ("run r1 is complete: 5 done, 3 failed", ExitStatus::ItemsFailed)
        );
        let failure = ended(1, 0).expect_err("an item is left");
        assert!(failure.message.starts_with("run r1 is complete, but 1 item is in queue q"), "{failure:?}");
    }

    #[test]
    fn a_run_whose_books_do_not_balance_never_succeeds() {
        let failure = end(&report(RunEnd::Complete, 0, 0, 2)).expect_err("items are missing");
        assert_eq!(failure.status, ExitStatus::Unproven);
        assert_eq!(
            failure.message,
            "run r1 is complete, but its books do not balance: 6 done, 2 items are gone without an outcome \
             (k2x9bcdf.7, …)"
        );
        let doubt = Some(Verdict::unproven("the broker is away".to_owned()));
        for verdict in [doubt, None] {
            let report = RunReport { verdict, ..report(RunEnd::Complete, 0, 0, 0) };
            assert_eq!(end(&report).expect_err("nothing is proven").status, ExitStatus::Unproven);
        }
    }

    #[test]
    fn a_run_over_a_part_of_its_input_is_not_called_complete() {
        let mut report = report(RunEnd::Complete, 0, 0, 0);
        report.job.input_cut = Some("item 9 is too large".to_owned());
        let failure = end(&report).expect_err("its input was cut");
        assert_eq!(failure.status, ExitStatus::NotEnqueued);
        assert!(failure.message.contains("8 done"), "{failure:?}");
        assert!(failure.message.ends_with("was not enqueued to its end: item 9 is too large"), "{failure:?}");
        report.verdict = Some(Verdict::unproven("nobody knows its items".to_owned()));
        let failure = end(&report).expect_err("its input was cut");
        assert_eq!(failure.status, ExitStatus::NotEnqueued);
        assert!(failure.message.contains("nothing proves"), "{failure:?}");
        report.verdict = self::report(RunEnd::Complete, 0, 3, 0).verdict;
        assert_eq!(end(&report).expect_err("items failed").status, ExitStatus::ItemsFailed);
    }

    #[test]
    fn a_failed_run_says_what_is_left() {
        let failure = end(&report(RunEnd::Deleted, 2, 0, 0)).expect_err("it was deleted");
        assert_eq!(failure.message, "run r1 failed: Deleted: somebody deleted the Job");
        assert!(failure.hint.expect("one").starts_with("6 done; 2 items are still in the queue"));
    }
}
