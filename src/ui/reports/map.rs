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
/// As for [`end`](reports::run::end); an input that was not read to its end; outputs that are missing.
pub fn end(report: &MapReport) -> Result<(String, ExitStatus), Failure> {
    if report.run.end == RunEnd::Detached {
        return Ok((detached(report), ExitStatus::Interrupted));
    }
    let (text, status) = reports::run::end(&report.run)?;
    let text = text + &printed(report);
    if let Some(failure) = input(report, &text) {
        return Err(failure);
    }
    if report.is_here && report.absent > 0 {
        let message = format!("{text}\n{} no output: it is gone from the broker", absent(report));
        let hint = "`kubectl workqueue results` shows how the items ended, and the end of their outputs";
        return Err(Failure::new(message, hint).with_status(ExitStatus::Unproven));
    }
    Ok((text, status))
}

/// What was printed, where that is not all there was.
fn printed(report: &MapReport) -> String {
    match report.absent {
        0 => String::new(),
        _ if report.is_here => String::new(),
        _ => format!("\n{} no output here: it was collected on another machine", absent(report)),
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
    let not_enqueued =
        |message: String, hint: &str| Some(Failure::new(message, hint).with_status(ExitStatus::NotEnqueued));
    match report.input.as_ref()? {
        InputEnd::Killed => not_enqueued(
            format!("{text}\nthe process that read the input of run {run} was killed before its end"),
            "what it had not read was not processed: `map` the rest of the input",
        ),
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
    if let Some(InputEnd::Read(input, _)) = &report.input
        && input.interrupted
    {
        text += &format!("\nthe input was read up to item {}, and no further", input.confirmed);
    }
    text += &format!(
        "\n  print the rest:  kubectl workqueue map --attach {run}\n  stop it:         kubectl workqueue stop {run}"
    );
    if let Some(position) = &report.position {
        text += &format!("\nhow far it was printed is saved in {position}");
    }
    text
}
