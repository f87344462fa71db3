//! The report of `map`.

use crate::cluster::job::JobState;
use crate::run::follow::RunEnd;
use crate::run::map::{InputEnd, MapReport};
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::reports;
use workqueue_core::names::QueueName;
use workqueue_core::words::{count, have};

/// A run has started.
pub fn started(job: &JobState) -> String {
    format!("run {}: job {} works on the items of queue {}", job.run, job.name, job.queue)
}

/// How it ended, in words and as an exit code.
///
/// # Errors
/// As for [`end`](reports::run_end::end); an input that was not read to its end; outputs that are missing.
pub fn end(report: &MapReport) -> Result<(String, ExitStatus), Failure> {
    if report.run.end == RunEnd::Detached {
        return Ok((detached(report), ExitStatus::Interrupted));
    }
    // This process may know more of its input than what is noted at the Job.
    let mut run = report.run.clone();
    let cut = run.job.input_cut.take();
    let not_read = |text: &str| {
        let noted = || Some(reports::run_end::input_cut(&run.job.run, cut.as_ref()?, text));
        input(report, text).or_else(noted)
    };
    let ended = reports::run_end::end(&run);
    if let Err(failure) = &ended
        && failure.status == ExitStatus::Unproven
        && let Some(not_read) = not_read(&failure.message)
    {
        // The book lacks the items of a reader that was killed.
        return Err(not_read);
    }
    let (text, status) = ended?;
    let text = text + &absent_outputs(report);
    if let Some(failure) = not_read(&text) {
        return Err(failure);
    }
    if report.absent > 0 {
        let hint = "`kubectl workqueue results` shows how the items ended, and the end of their outputs";
        return Err(Failure::new(text, hint).with_status(ExitStatus::Unproven));
    }
    Ok((text, status))
}

/// What is not printed.
fn absent_outputs(report: &MapReport) -> String {
    match (report.absent, report.is_here) {
        (0, _) => String::new(),
        (_, true) => {
            format!("\n{} no output here: somebody else has taken it, or it is gone", absent(report))
        }
        (_, false) => format!("\n{} no output here: it was collected elsewhere, or is gone", absent(report)),
    }
}

/// The items without an output: `2 done items (a.1, a.2) have`.
fn absent(report: &MapReport) -> String {
    let more = if report.absent > report.absent_ids.len() as u64 { ", …" } else { "" };
    let named = format!(" ({}{more})", report.absent_ids.join(", "));
    let have = have(report.absent, "done item");
    match have.rsplit_once(' ') {
        Some((items, verb)) => format!("{items}{named} {verb}"),
        None => have,
    }
}

/// What to say of an input that was not enqueued to its end.
fn input(report: &MapReport, text: &str) -> Option<Failure> {
    let run = &report.run.job.run;
    match report.input.as_ref()? {
        InputEnd::Cut(reason) => Some(reports::run_end::input_cut(run, reason, text)),
        InputEnd::Read(_, Some(error)) => {
            let Failure { message, hint, .. } = Failure::of(error);
            Some(Failure { message: format!("{text}\n{message}"), hint, status: ExitStatus::NotEnqueued })
        }
        InputEnd::Read(input, None) if !input.is_complete() => {
            let queue: QueueName = report.run.job.queue.parse().ok()?;
            let failure = reports::enqueue::failure(&queue, input);
            let summary = reports::enqueue::summary(&queue, input);
            let hint = failure.as_ref().and_then(|failure| failure.hint.clone());
            let message = failure.map_or(summary, |failure| failure.message);
            Some(Failure { message: format!("{text}\n{message}"), hint, status: ExitStatus::NotEnqueued })
        }
        InputEnd::Read(..) => None,
    }
}

fn detached(report: &MapReport) -> String {
    let run = &report.run.job.run;
    let mut text = format!("detached after {}; run {run} continues", count(report.printed, "item"));
    match &report.input {
        Some(InputEnd::Read(input, None)) if input.interrupted => {
            text += &format!("\nthe input was read up to item {}, and no further", input.confirmed);
        }
        Some(InputEnd::Cut(reason)) => {
            text += &format!("\nthe input was not enqueued to its end: {reason}");
        }
        _ => {
            if let Some(failure) = input(report, "") {
                text += &failure.message;
            }
        }
    }
    if let Some(item) = &report.unread {
        text +=
            &format!("\nitem {item} was being printed, and nobody has read it to its end: it comes again");
    }
    let order = if report.keeps_order { " -k" } else { "" };
    text += &format!(
        "\n  print the rest:  kubectl workqueue map --attach {run}{order}\n  stop it:         kubectl workqueue stop {run}"
    );
    if let Some(position) = &report.position {
        text += &format!("\nhow far it was printed is saved in {position}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::run::books::{Proof, Verdict};
    use crate::run::follow::RunReport;

    fn report(end: RunEnd) -> MapReport {
        let job = JobState { run: "r1".to_owned(), queue: "q".to_owned(), ..JobState::default() };
        let verdict = Verdict { proof: Proof::Items, done: Some(3), ready: Some(0), ..Verdict::default() };
        MapReport {
            run: RunReport { job, end, failed_pods: Vec::new(), verdict: Some(verdict) },
            input: None,
            printed: 3,
            unread: None,
            absent: 0,
            absent_ids: Vec::new(),
            is_here: true,
            keeps_order: false,
            position: None,
        }
    }

    #[test]
    fn an_absent_output_is_never_a_success_whoever_may_have_it() {
        assert_eq!(end(&report(RunEnd::Complete)).expect("all is printed").1, ExitStatus::Success);
        for is_here in [true, false] {
            let absent_ids = vec!["k2x9bcdf.2".to_owned()];
            let report = MapReport { is_here, absent: 1, absent_ids, ..report(RunEnd::Complete) };
            let failure = end(&report).expect_err("one is absent");
            assert_eq!(failure.status, ExitStatus::Unproven);
            assert!(failure.message.contains("1 done item (k2x9bcdf.2) has no output here"), "{failure:?}");
        }
    }

    #[test]
    fn an_input_that_another_process_has_cut_is_remembered() {
        let mut report = report(RunEnd::Complete);
        report.run.job.input_cut = Some("its reading was stopped after 3 items".to_owned());
        let failure = end(&report).expect_err("its input was cut");
        assert_eq!(failure.status, ExitStatus::NotEnqueued);
        assert!(failure.message.ends_with("stopped after 3 items"), "{failure:?}");
        report.run.verdict = Some(Verdict::unproven("nobody knows its items".to_owned()));
        report.input = Some(InputEnd::Cut("its reader was killed".to_owned()));
        let failure = end(&report).expect_err("its input was cut");
        assert_eq!(failure.status, ExitStatus::NotEnqueued);
        assert!(failure.message.contains("nobody knows its items"), "{failure:?}");
        assert!(failure.message.ends_with("its reader was killed"), "{failure:?}");
    }

    #[test]
    fn the_command_that_prints_the_rest_keeps_the_order() {
        let (text, _) =
            end(&MapReport { keeps_order: true, ..report(RunEnd::Detached) }).expect("it detaches");
        assert!(text.contains("kubectl workqueue map --attach r1 -k\n"), "{text}");
    }

    #[test]
    fn an_item_that_nobody_has_read_is_named() {
        let unread = Some("k2x9bcdf.2".to_owned());
        let (text, _) = end(&MapReport { unread, ..report(RunEnd::Detached) }).expect("it detaches");
        assert!(
            text.contains("\nitem k2x9bcdf.2 was being printed, and nobody has read it to its end"),
            "{text}"
        );
    }

    #[test]
    fn detaching_tells_of_an_input_that_went_wrong() {
        let input = Some(InputEnd::Read(Box::default(), Some(Error::NoHome)));
        let (text, status) = end(&MapReport { input, ..report(RunEnd::Detached) }).expect("it detaches");
        assert_eq!(status, ExitStatus::Interrupted);
        assert!(text.contains("there is no home directory"), "{text}");
        let input = Some(InputEnd::Cut("its reading was given up".to_owned()));
        let (text, _) = end(&MapReport { input, ..report(RunEnd::Detached) }).expect("it detaches");
        assert!(text.contains("not enqueued to its end: its reading was given up"), "{text}");
    }
}
