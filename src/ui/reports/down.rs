//! What `down` says before and after it deletes.

use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::release::down::{DownPlan, DownPreview};
use workqueue_core::names::ReleaseName;
use workqueue_core::words::count;

/// There is no object to delete.
pub fn nothing(release: &ReleaseName, cluster: &Cluster) -> String {
    format!("release {release} has no objects in namespace {}", cluster.namespace())
}

/// What becomes of the active runs and of what the queues hold, a line for each.
pub fn losses(preview: &DownPreview, plan: &DownPlan) -> Vec<String> {
    let mut lines: Vec<String> = preview.runs.iter().map(run).collect();
    match &preview.messages {
        Some(queues) => lines.extend(queues.iter().map(|(queue, messages)| contents(queue, *messages, plan))),
        None => lines.push("the broker cannot be asked what is in its queues".to_owned()),
    }
    lines
}

fn run(job: &JobState) -> String {
    let name = if job.run.is_empty() { &job.name } else { &job.run };
    let state = if job.paused.is_some() { "paused" } else { "active" };
    let pods = count(job.active, "pod");
    format!("run {name} is {state} on queue {}, with {pods}: it will be deleted", job.queue)
}

/// The name of a queue says what it holds: items, failed ones, or records of items that have ended.
fn contents(queue: &str, messages: u64, plan: &DownPlan) -> String {
    let fate = if plan.keep_data { "kept on the PVC, if the broker has one" } else { "lost" };
    let they = if messages == 1 { "it" } else { "they" };
    if queue.ends_with(".results") {
        return format!("stream {queue} holds records of items that have ended: they will be {fate}");
    }
    let (kind, state) =
        if queue.ends_with(".failed") { ("failed item", "") } else { ("item", " that no run has finished") };
    format!("queue {queue} holds {}{state}: {they} will be {fate}", count(messages, kind))
}

/// What the user is asked about.
pub fn what(preview: &DownPreview, release: &ReleaseName, cluster: &Cluster) -> String {
    let objects = count(preview.objects.len() as u64, "object");
    format!("{objects} of release {release} in namespace {}", cluster.namespace())
}

/// All objects are deleted.
pub fn done(release: &ReleaseName) -> String {
    format!("release {release} is deleted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_items_failed_items_and_records_are_told_apart() {
        let mut plan = DownPlan {
            release: "r1".parse().expect("legal"),
            queue: "job1".parse().expect("legal"),
            keep_data: false,
            dry_run: false,
            timeout: std::time::Duration::ZERO,
        };
        let queues = [("a", 1), ("a.failed", 2), ("a.results", 7)];
        let queues = queues.map(|(queue, messages)| (queue.to_owned(), messages)).to_vec();
        let [run, queue] = ["r7", "a"].map(str::to_owned);
        let runs = vec![JobState { run, queue, active: 1, ..JobState::default() }];
        let preview = DownPreview { objects: Vec::new(), messages: Some(queues), runs };
        let lost = [
            "run r7 is active on queue a, with 1 pod: it will be deleted",
            "queue a holds 1 item that no run has finished: it will be lost",
            "queue a.failed holds 2 failed items: they will be lost",
            "stream a.results holds records of items that have ended: they will be lost",
        ];
        assert_eq!(losses(&preview, &plan), lost);
        plan.keep_data = true;
        assert!(losses(&preview, &plan)[1].ends_with("it will be kept on the PVC, if the broker has one"));
    }
}
