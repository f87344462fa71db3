//! Whether `run` has a worker that it can bring into its pods, for the nodes that they may get.

use super::finding::Finding;
use super::subject::{Role, Subject};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::run::brought_worker::BroughtWorker;
use workqueue_core::causes::with_causes;
use workqueue_core::names::ReleaseName;
use workqueue_core::words::count;

pub(super) const CHECK: &str = "worker";

/// The worker that `run` would bring.
///
/// # Errors
/// [`Error::NoWorker`]; those of the cluster.
async fn find(cluster: &Cluster, release: &ReleaseName, subject: &Subject) -> Result<BroughtWorker, Error> {
    let group = subject.pods.iter().find(|group| group.role == Role::Worker);
    let labels = group.and_then(|group| group.spec().node_selector).unwrap_or_default();
    let labels = labels.into_iter().map(|(name, value)| (name, value.into())).collect();
    BroughtWorker::find(cluster, release, Some(&labels)).await
}

/// Looks for the worker, and says where it is.
pub(super) async fn look(cluster: &Cluster, release: &ReleaseName, subject: &Subject) -> Finding {
    judge(find(cluster, release, subject).await.map(|worker| worker.architectures()))
}

/// How many ConfigMaps `run` would create to bring the worker. None if it cannot be brought: that is said
/// elsewhere.
pub(super) async fn missing_config_maps(
    cluster: &Cluster,
    release: &ReleaseName,
    subject: &Subject,
) -> usize {
    match find(cluster, release, subject).await {
        Ok(worker) => worker.missing().await,
        Err(_) => 0,
    }
}

fn judge(found: Result<Vec<&'static str>, Error>) -> Finding {
    match found {
        Ok(found) => {
            let number = count(found.len() as u64, "architecture");
            Finding::ok(CHECK, format!("`run` brings workqueue-worker for {number}: {}", found.join(", ")))
        }
        Err(Error::Cluster(error)) => Finding::not_seen(CHECK, &error),
        Err(error) => {
            let hint = error.hint().unwrap_or_else(|| "--worker-image names an image that has it".to_owned());
            // A run without a program, as in the tutorial, needs none.
            let message = format!("`run` with a program cannot bring a worker: {}", with_causes(&error));
            Finding::warning(CHECK, message, hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    #[test]
    fn a_worker_that_is_not_there_is_said_before_a_run_needs_it() {
        assert_eq!(judge(Ok(vec!["amd64"])).state, State::Ok);
        let missing = judge(Err(Error::NoWorker(Some("arm64"))));
        assert_eq!(missing.state, State::Warning);
        assert!(missing.message.contains("linux/arm64"), "{missing:?}");
        assert!(missing.hint.is_some_and(|hint| hint.contains("workqueue-worker-linux-arm64")));
    }
}
