//! Deletes a release: everything that `up` and `run` created, after showing what would be lost.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::cluster::existing::Existing;
use crate::cluster::job::JobState;
use crate::cluster::object_ref::ObjectRef;
use crate::error::Error;
use crate::notice::{Notice, ObjectChange, Observer, Wait, deadline_after};
use crate::release::{contents, storage};
use workqueue_core::names::{QueueName, ReleaseName};

pub struct DownPlan {
    pub release: ReleaseName,
    /// The queue to count even if the broker's tool does not list it.
    pub queue: QueueName,
    /// Keep the PVCs and the Secrets.
    pub keep_data: bool,
    /// Delete nothing.
    pub dry_run: bool,
    /// For the whole operation; 0 for no limit.
    pub timeout: Duration,
}

/// What `down` would delete.
#[derive(Debug)]
pub struct DownPreview {
    /// The objects, in the order of deletion.
    pub objects: Vec<Existing>,
    /// The queues that hold messages, and how many; `None` if the broker did not answer.
    pub messages: Option<Vec<(String, u64)>>,
    /// The runs that are active.
    pub runs: Vec<JobState>,
}

/// Finds what `down` would delete.
///
/// # Errors
/// [`crate::cluster::Error::NotOurs`] if Helm installed the release; [`Error::PvcsDeleted`] if the
/// plan keeps data but the chart's values delete the PVCs with their StatefulSet.
pub async fn preview(
    cluster: &Cluster,
    plan: &DownPlan,
    observer: &dyn Observer,
) -> Result<DownPreview, Error> {
    if plan.keep_data
        && let Some(owner) = cluster.pvc_owner(&plan.release).await?
    {
        return Err(Error::PvcsDeleted(owner));
    }
    let labelled = cluster.release_objects(&plan.release, plan.keep_data).await?;
    // Objects from a user's own chart may lack our labels.
    let refs: Vec<ObjectRef> = labelled.iter().map(|existing| existing.object.clone()).collect();
    let mut objects = storage::obsolete(cluster, &plan.release, &refs).await?;
    objects.retain(|existing| !(plan.keep_data && existing.object.holds_data()));
    objects.extend(labelled);
    // The release storage goes last: if we are interrupted, the next attempt finds the rest by it.
    objects.sort_by_key(|existing| storage::is_storage(&existing.object, &plan.release));
    let messages = if objects.is_empty() {
        cluster.require_namespace().await?;
        Some(Vec::new())
    } else {
        observer.on(Notice::Waiting(Wait::Contents));
        contents::messages(cluster, &plan.release, Some(&plan.queue)).await
    };
    let mut runs = cluster.runs(&plan.release).await?;
    runs.retain(|run| run.end.is_none());
    Ok(DownPreview { objects, messages, runs })
}

/// Deletes the objects and waits until they are gone.
///
/// # Errors
/// What the cluster refuses; the deadline, with the objects that are left.
pub async fn down(
    cluster: &Cluster,
    plan: &DownPlan,
    objects: &[Existing],
    observer: &dyn Observer,
) -> Result<(), Error> {
    let deadline = deadline_after(plan.timeout);
    for existing in objects {
        cluster.delete(existing, plan.dry_run).await?;
        observer.on(Notice::Object { object: &existing.object, change: ObjectChange::Deleted });
    }
    if !plan.dry_run {
        let waiting = |left: &str| observer.on(Notice::Waiting(Wait::Cluster(left)));
        cluster.wait_gone(&plan.release, plan.keep_data, deadline, waiting).await?;
    }
    Ok(())
}
