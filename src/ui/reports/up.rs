//! The report of `up`.

use crate::release::up::{DryRun, PrunedBroker, UpPlan, UpReport};
use workqueue_core::words::count;

/// What was done, or would be.
pub fn summary(plan: &UpPlan, report: &UpReport) -> String {
    let release = &plan.release;
    let mut text = match (plan.dry_run, report.changed()) {
        (DryRun::None, true) => format!("release {release} is up"),
        (DryRun::None, false) => format!("release {release} is up to date: nothing changed"),
        (DryRun::Client, _) => "nothing was applied, and no cluster was contacted (dry run)".to_owned(),
        (DryRun::Server, _) => "nothing was applied; the server accepts all of it (dry run)".to_owned(),
    };
    if let Some(after) = report.ready_after {
        text += &format!("; the broker was ready after {:.1} s", after.as_secs_f64());
    }
    let left_out: Vec<String> = report.left_out.iter().map(ToString::to_string).collect();
    if !left_out.is_empty() {
        text += &format!("\n{}: left to `kubectl workqueue run`", left_out.join(", "));
    }
    text
}

/// The objects of a dry run that asks no cluster, one a line.
pub fn objects(report: &UpReport) -> String {
    let lines = report.objects.iter().map(|(object, _)| format!("{object} (dry run)"));
    lines.collect::<Vec<_>>().join("\n")
}

/// A broker would be pruned: what is in its queues, a line for each.
pub fn pruned_broker(broker: &PrunedBroker) -> Vec<String> {
    let mut lines = vec![format!("{} is no longer rendered and would be pruned", broker.object)];
    match &broker.messages {
        None => lines.push("the broker cannot be asked what is in its queues".to_owned()),
        Some(queues) => lines.extend(queues.iter().map(|(queue, messages)| {
            let they = if *messages == 1 { "it stays" } else { "they stay" };
            let held = count(*messages, "message");
            format!("queue {queue} holds {held}: without a broker, {they} at best on its PVC")
        })),
    }
    lines
}
