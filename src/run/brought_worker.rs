//! Brings the static worker into the pods of a run, whatever their image: stores it in ConfigMaps, which
//! an init container unpacks.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::try_join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use crate::cluster::{self, Cluster};
use crate::error::Error;
use crate::image::{ARCHITECTURES, WorkerBinary};
use crate::notice::{Notice, Observer, Wait};
use crate::release::worker_maps::{self, WorkerExecutable};
use workqueue_core::names::ReleaseName;

/// The worker for the nodes that a run's pods may get.
pub(crate) struct BroughtWorker {
    release: ReleaseName,
    executables: Vec<Arc<WorkerExecutable>>,
    /// The chart's value `worker.inject.archives`. Until the worker is stored, its ConfigMaps have names
    /// that stand for theirs.
    archives: Value,
    /// The release's ConfigMaps with workers, as they were at first.
    found: Vec<ObjectMeta>,
}

impl BroughtWorker {
    /// Finds the workers beside the plugin for the architectures of the nodes. If the user may not list
    /// nodes, takes all that are there.
    ///
    /// # Errors
    /// [`Error::NoWorker`].
    pub(crate) async fn find(
        cluster: &Cluster,
        release: &ReleaseName,
        node_selector: Option<&Map<String, Value>>,
    ) -> Result<Self, Error> {
        let (needed, found) =
            tokio::join!(node_architectures(cluster, node_selector), list(cluster, release));
        let binaries = select(needed.as_ref(), WorkerBinary::find)?;
        let open = |binary| Ok(Arc::new(WorkerExecutable::open(binary)?));
        let executables = binaries.iter().map(open).collect::<Result<Vec<_>, Error>>()?;
        let names = vec![vec!["sample".to_owned()]; executables.len()];
        let archives = archives(&executables, names);
        Ok(Self { release: release.clone(), executables, archives, found: found? })
    }

    pub(crate) fn archives(&self) -> &Value {
        &self.archives
    }

    /// The architectures that it is for.
    pub(crate) fn architectures(&self) -> Vec<&'static str> {
        self.executables.iter().map(|executable| executable.architecture).collect()
    }

    /// How many ConfigMaps are not in the cluster yet.
    pub(crate) async fn missing(&self) -> usize {
        let mut missing = 0;
        for executable in &self.executables {
            if executable.complete(&self.release, &self.found).is_none() {
                let (executable, release) = (executable.clone(), self.release.clone());
                let compressing =
                    tokio::task::spawn_blocking(move || executable.config_maps(&release, "").len());
                missing += compressing.await.unwrap_or_default();
            }
        }
        missing
    }

    /// Stores the worker in the cluster, unless it is there.
    pub(crate) async fn store(&mut self, cluster: &Cluster, observer: &dyn Observer) -> Result<(), Error> {
        self.archives = self.complete(cluster, &self.found, observer).await?;
        Ok(())
    }

    /// Notes that a run uses it, and stores it again if another plugin has pruned it. To be called once the
    /// run's Job exists: whoever prunes has listed the ConfigMaps before the Jobs, so either the Job is among
    /// these, or the ConfigMaps have changed since and stay.
    pub(crate) async fn restore(
        &self,
        cluster: &Cluster,
        run: &str,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        let archives = self.archives.as_object().into_iter().flat_map(|archives| archives.values());
        let names = archives.flat_map(|archive| archive["configMaps"].as_array().into_iter().flatten());
        let using = names.filter_map(Value::as_str).map(|name| cluster.use_config_map(name, run));
        let found = match try_join_all(using).await {
            Ok(exist) if exist.iter().all(|exists| *exists) => return Ok(()),
            // Some were pruned; or this user may not patch them, and only creates what is missing.
            Ok(_) | Err(cluster::Error::Forbidden { .. }) => list(cluster, &self.release).await?,
            Err(error) => return Err(error.into()),
        };
        self.complete(cluster, &found, observer).await?;
        Ok(())
    }

    /// Creates the ConfigMaps that are not among those that were found. Returns
    /// [`archives`](Self::archives).
    async fn complete(
        &self,
        cluster: &Cluster,
        found: &[ObjectMeta],
        observer: &dyn Observer,
    ) -> Result<Value, Error> {
        let storing =
            self.executables.iter().map(async |executable| match executable.complete(&self.release, found) {
                Some(names) => Ok(names),
                None => self.create(cluster, executable, observer).await,
            });
        Ok(archives(&self.executables, try_join_all(storing).await?))
    }

    async fn create(
        &self,
        cluster: &Cluster,
        executable: &Arc<WorkerExecutable>,
        observer: &dyn Observer,
    ) -> Result<Vec<String>, Error> {
        observer.on(Notice::Waiting(Wait::WorkerStored));
        let (executable, release) = (executable.clone(), self.release.clone());
        let namespace = cluster.namespace().to_owned();
        let compressing = tokio::task::spawn_blocking(move || executable.config_maps(&release, &namespace));
        let maps = compressing.await.expect("it does not panic");
        try_join_all(maps.iter().map(|map| cluster.create_config_map(map))).await?;
        Ok(maps.into_iter().filter_map(|map| map.metadata.name).collect())
    }

    /// Deletes the ConfigMaps of older versions that no active Job mounts, and that nobody has begun to use
    /// since this command started.
    pub(crate) async fn prune(&self, cluster: &Cluster) -> Result<(), Error> {
        let current: Vec<&WorkerExecutable> = self.executables.iter().map(Arc::as_ref).collect();
        let obsolete = worker_maps::obsolete(&self.found, &current);
        if obsolete.is_empty() {
            return Ok(());
        }
        let mounted = cluster.mounted_config_maps().await?;
        let unused =
            obsolete.into_iter().filter(|map| map.name.as_ref().is_some_and(|name| !mounted.contains(name)));
        match try_join_all(unused.map(|map| cluster.delete_config_map(map))).await {
            // Whoever may delete them does so with the next run.
            Err(error) if error.is_refusal() => Ok(()),
            deleted => Ok(deleted.map(drop)?),
        }
    }
}

/// The release's ConfigMaps with workers. A user who may create them but not list them creates them each
/// time, which is refused where one exists.
async fn list(cluster: &Cluster, release: &ReleaseName) -> Result<Vec<ObjectMeta>, Error> {
    match cluster.config_maps(&worker_maps::selector(release)).await {
        Err(cluster::Error::Forbidden { .. }) => Ok(Vec::new()),
        found => Ok(found?),
    }
}

fn archives(executables: &[Arc<WorkerExecutable>], names: Vec<Vec<String>>) -> Value {
    let archive = |(executable, names): (&Arc<WorkerExecutable>, Vec<String>)| {
        (executable.architecture.to_owned(), json!({"sha256": executable.sha256, "configMaps": names}))
    };
    Value::Object(executables.iter().zip(names).map(archive).collect())
}

/// The workers for the architectures that are needed, or for all if that is not known.
fn select<T>(
    needed: Option<&BTreeSet<&'static str>>,
    find: impl Fn(&'static str) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let (mut found, mut missing) = (Vec::new(), None);
    for architecture in
        ARCHITECTURES.into_iter().filter(|name| needed.is_none_or(|needed| needed.contains(name)))
    {
        match find(architecture) {
            Some(worker) => found.push(worker),
            None => missing = Some(architecture),
        }
    }
    match missing {
        _ if found.is_empty() => Err(Error::NoWorker(None)),
        Some(architecture) if needed.is_some() => Err(Error::NoWorker(Some(architecture))),
        _ => Ok(found),
    }
}

/// The architectures of the nodes that pods with this selector may get; `None` if there are none, or if
/// the user may not know.
async fn node_architectures(
    cluster: &Cluster,
    node_selector: Option<&Map<String, Value>>,
) -> Option<BTreeSet<&'static str>> {
    let labels = node_selector.into_iter().flatten();
    let selected: String =
        labels.filter_map(|(name, value)| Some(format!(",{name}={}", value.as_str()?))).collect();
    let asking = ARCHITECTURES.into_iter().map(|architecture| {
        let selector = format!("kubernetes.io/os=linux,kubernetes.io/arch={architecture}{selected}");
        async move { Ok::<_, cluster::Error>(cluster.has_node(&selector).await?.then_some(architecture)) }
    });
    let found = try_join_all(asking).await.ok()?;
    Some(found.into_iter().flatten().collect()).filter(|found: &BTreeSet<_>| !found.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_architecture_of_the_nodes_needs_a_worker() {
        let (amd64, both) = (BTreeSet::from(["amd64"]), BTreeSet::from(["amd64", "arm64"]));
        let only_amd64 = |name| (name == "amd64").then_some(name);
        let select = |needed: Option<&_>| select(needed, only_amd64);
        assert_eq!(select(Some(&amd64)).expect("found"), ["amd64"]);
        assert_eq!(select(None).expect("found"), ["amd64"], "nobody knows of other nodes");
        assert!(matches!(select(Some(&both)), Err(Error::NoWorker(Some("arm64")))));
        assert!(matches!(super::select(Some(&amd64), |_| None::<()>), Err(Error::NoWorker(None))));
    }
}
