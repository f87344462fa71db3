//! What `down` says before and after it deletes.

use crate::cluster::Cluster;
use crate::release::down::{DownPlan, DownPreview};
use workqueue_core::names::ReleaseName;
use workqueue_core::words::count;

/// There is no object to delete.
pub fn nothing(release: &ReleaseName, cluster: &Cluster) -> String {
    format!("release {release} has no objects in namespace {}", cluster.namespace())
}

/// What becomes of the messages in the queues, a line for each queue.
pub fn messages(preview: &DownPreview, plan: &DownPlan) -> Vec<String> {
    let fate = if plan.keep_data { "kept on the PVC, if the broker has one" } else { "lost" };
    let Some(queues) = &preview.messages else {
        return vec!["the broker cannot be asked what is in its queues".to_owned()];
    };
    let line = |(queue, messages): &(String, u64)| {
        let they = if *messages == 1 { "it" } else { "they" };
        format!("queue {queue} holds {}: {they} will be {fate}", count(*messages, "message"))
    };
    queues.iter().map(line).collect()
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
    fn a_queue_with_messages_is_named_with_what_becomes_of_them() {
        let mut plan = DownPlan {
            release: "r1".parse().expect("legal"),
            queue: "job1".parse().expect("legal"),
            keep_data: false,
            dry_run: false,
            timeout: std::time::Duration::ZERO,
        };
        let queues = vec![("a".to_owned(), 1), ("b".to_owned(), 2)];
        let preview = DownPreview { objects: Vec::new(), messages: Some(queues) };
        let lost =
            ["queue a holds 1 message: it will be lost", "queue b holds 2 messages: they will be lost"];
        assert_eq!(messages(&preview, &plan), lost);
        plan.keep_data = true;
        assert!(messages(&preview, &plan)[0].ends_with("it will be kept on the PVC, if the broker has one"));
    }
}
