//! Reports of the operations as JSON and as sentences. The JSON shapes are in `docs/json.md`.

use serde_json::{Value, json};

use crate::cluster::job::{JobEnd, JobState};
use crate::notice::RunCounts;
use crate::queue::dry_run::InputSummary;
use crate::queue::enqueue::EnqueueReport;
use crate::run::follow::{RunEnd, RunReport};
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use workqueue_core::names::QueueName;

/// An enqueue as JSON.
pub fn enqueue_json(queue: &QueueName, report: &EnqueueReport) -> Value {
    json!({
        "queue": queue.as_str(),
        "batch": report.batch,
        "skipped": report.skipped,
        "read": report.read,
        "confirmed": report.confirmed,
        "refused": report.refused,
        "firstRefused": report.first_refused.as_ref().map(|(position, reason)| {
            json!({"item": position.to_string(), "reason": reason})
        }),
        "repeated": report.repeated,
        "interrupted": report.interrupted,
    })
}

/// An input that was only read, as JSON. Bodies that are not UTF-8 are shown with `U+FFFD`.
pub fn input_summary_json(summary: &InputSummary) -> Value {
    let first = summary.first.iter();
    json!({
        "dryRun": true,
        "items": summary.items,
        "bytes": summary.bytes,
        "largest": summary.largest.as_ref().map(|(position, size)| {
            json!({"item": position.to_string(), "bytes": size})
        }),
        "first": first.map(|item| String::from_utf8_lossy(&item.body)).collect::<Vec<_>>(),
    })
}

/// An input that was only read, in words.
pub fn input_summary_words(summary: &InputSummary) -> String {
    let InputSummary { items, bytes, .. } = summary;
    let largest =
        summary.largest.as_ref().map(|(position, size)| format!(", the largest {size} at {position}"));
    format!("{items} items, {bytes} bytes{}; nothing was enqueued", largest.unwrap_or_default())
}

/// An enqueue in words.
pub fn enqueue_words(queue: &QueueName, report: &EnqueueReport) -> String {
    let EnqueueReport { read, confirmed, refused, .. } = report;
    let in_doubt = read - confirmed - refused;
    let mut line = format!("{queue}: {read} items read, {confirmed} confirmed");
    if report.skipped > 0 {
        line += &format!(", after {} of an earlier attempt", report.skipped);
    }
    if *refused > 0 {
        line += &format!(", {refused} refused");
    }
    if report.repeated > 0 {
        line += &format!(
            ", {} published again after a broken connection (as many may be there twice)",
            report.repeated
        );
    }
    if in_doubt > 0 {
        line += &format!(", {in_doubt} not confirmed (they may be in the queue or not)");
    }
    line
}

/// What to tell the user when not every item got into the queue without another error.
pub fn enqueue_failure(queue: &QueueName, report: &EnqueueReport) -> Option<Failure> {
    if report.interrupted {
        let message = format!("interrupted after {} items", report.confirmed);
        let hint = "those are in the queue; `enqueue --resume` goes on with the rest of a file";
        return Some(Failure::new(message, hint).with_status(ExitStatus::Interrupted));
    }
    let (position, reason) = report.first_refused.as_ref()?;
    let message =
        format!("queue {queue} refused {} items, the first at {position}: {reason}", report.refused);
    let hint = "make room in the queue, or put the data where the workers can read it and enqueue its address; \
        then enqueue these items again";
    Some(Failure::new(message, hint).with_status(ExitStatus::NotEnqueued))
}

/// A Job as JSON.
pub fn job_json(job: &JobState) -> Value {
    let end = match &job.end {
        None => Value::Null,
        Some(JobEnd::Complete) => json!("complete"),
        Some(JobEnd::Failed { .. }) => json!("failed"),
        Some(JobEnd::Deleted) => json!("deleted"),
    };
    json!({
        "run": job.run,
        "job": job.name,
        "jobs": job.names().collect::<Vec<_>>(),
        "queue": job.queue,
        "mode": job.mode,
        "items": job.items,
        "completions": job.completions,
        "parallelism": job.parallelism,
        "paused": job.paused.is_some(),
        "halt": job.halt,
        "active": job.active,
        "succeeded": job.succeeded,
        "failed": job.failed,
        "end": end,
        "created": job.created,
    })
}

fn complete(ui: &Ui, report: &RunReport) -> Result<ExitStatus, Failure> {
    let job = &report.job;
    let Some(RunCounts { waiting, failed }) = report.counts else {
        let message =
            format!("run {} is complete, but the broker could not be asked about its items", job.run);
        // Pods succeed also with items that have failed for good.
        return Err(Failure::new(message, "`kubectl workqueue status` tells how many failed or are left"));
    };
    let failure =
        |message: String, hint: &str| Err(Failure::new(message, hint).with_status(ExitStatus::ItemsFailed));
    let total = if job.is_coarse() { job.succeeded } else { job.items.unwrap_or(0) };
    let expected = u64::from(total.saturating_sub(failed + waiting));
    let done = report.recorded.unwrap_or(expected);
    if waiting > 0
        && failed > 0
        && let Some(rule) = &job.halt
    {
        let message = format!(
            "run {} was halted ({rule}): {done} done, {failed} failed, {waiting} still in queue {}",
            job.run, job.queue
        );
        return failure(
            message,
            "`kubectl workqueue failed list` shows those that failed; `run` works on what is left",
        );
    }
    if waiting > 0 {
        let message = format!(
            "run {} is complete, but {waiting} items are in queue {}: enqueued meanwhile, or given back by a worker \
             that exits with 0 although its program failed",
            job.run, job.queue
        );
        return failure(message, "`kubectl workqueue run` works on them");
    }
    if failed > 0 {
        let message = format!("run {} is complete: {done} done, {failed} failed", job.run);
        return failure(
            message,
            "`kubectl workqueue failed list` shows them; `failed retry --all` enqueues them again",
        );
    }
    ui.status(&if done < expected {
        format!("run {} is complete: no item is left of {total}, and {done} are recorded as done", job.run)
    } else {
        format!("run {} is complete: {done} done", job.run)
    });
    Ok(ExitStatus::Success)
}

/// A run that was followed as JSON.
pub fn run_json(report: &RunReport) -> Value {
    let pods = report
        .failed_pods
        .iter()
        .map(|pod| json!({"pod": pod.pod, "reason": pod.reason, "lastLines": pod.last_lines}));
    let mut value = job_json(&report.job);
    value["detached"] = json!(report.end == RunEnd::Detached);
    value["failedPods"] = pods.collect();
    value["waiting"] = json!(report.counts.map(|counts| counts.waiting));
    value["itemsDone"] = json!(report.recorded);
    value["itemsFailed"] = json!(report.counts.map(|counts| counts.failed));
    value
}

/// Says how a run ended, and gives its exit code.
///
/// # Errors
/// A run that did not complete, with its reason and the last lines of the pods that failed.
pub fn run_end(ui: &Ui, report: &RunReport, json: bool) -> Result<ExitStatus, Failure> {
    let job = &report.job;
    ui.done();
    if json {
        ui.json(&run_json(report));
    }
    let (reason, message) = match &report.end {
        RunEnd::Complete => return complete(ui, report),
        RunEnd::Detached => {
            ui.status(&format!(
                "detached; run {run} goes on\n  follow it:  kubectl workqueue attach {run}\n  stop it:    \
                 kubectl delete job {}",
                job.names().collect::<Vec<_>>().join(" "),
                run = job.run,
            ));
            return Ok(ExitStatus::Interrupted);
        }
        RunEnd::Deleted => ("Deleted", "somebody deleted the Job"),
        RunEnd::Failed { reason, message } => (reason.as_str(), message.as_str()),
    };
    let mut lines = format!("run {} failed: {reason}: {message}", job.run);
    for pod in &report.failed_pods {
        lines += &format!("\npod {} {}", pod.pod, pod.reason);
        for line in &pod.last_lines {
            lines += &format!("\n  {line}");
        }
    }
    let left =
        report.counts.map_or("what is left is".to_owned(), |counts| format!("{} items are", counts.waiting));
    let done = match job.completions.filter(|_| job.is_coarse()) {
        Some(total) => format!("{} of {total} are done; ", job.succeeded),
        None => String::new(),
    };
    let hint = format!("{done}{left} still in the queue, and `kubectl workqueue run` works on it");
    Err(Failure::new(lines, hint).with_status(ExitStatus::JobFailed))
}
