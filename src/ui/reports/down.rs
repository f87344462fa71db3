//! What `down` says before and after it deletes.

use crate::cluster::Cluster;
use crate::release::down::{DownPlan, DownPreview};
use crate::ui::words::count;
use workqueue_core::names::ReleaseName;

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
