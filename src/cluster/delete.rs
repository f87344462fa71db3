//! Deletes what a release consists of, found by its labels, and waits until it is gone.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;
use tokio::time::Instant;

use super::apply::{ObjectRef, content, helm_release, is_applied_by_us};
use super::{Cluster, Error};
use workqueue_core::names::ReleaseName;

/// The kinds that the chart makes, in the order to delete them: workers before their broker,
/// workloads before what they use. A kind that a server does not know has no objects there.
const KINDS: [(&str, &str, &str, &str); 13] = [
    ("batch", "v1", "Job", "jobs"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    ("", "v1", "ReplicationController", "replicationcontrollers"),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("policy", "v1beta1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
    ("", "v1", "Service", "services"),
    ("", "v1", "ConfigMap", "configmaps"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles"),
    ("", "v1", "ServiceAccount", "serviceaccounts"),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("", "v1", "Secret", "secrets"),
];

impl ObjectRef {
    /// Whether it holds what cannot be made again: the messages, and the only login to them.
    pub fn holds_data(&self) -> bool {
        ["PersistentVolumeClaim", "Secret"].contains(&self.kind.as_str())
    }
}

/// Pause between two looks at what is still there.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

impl Cluster {
    /// What belongs to a release, in the order to delete it.
    ///
    /// # Errors
    /// [`Error::NotOurs`] when Helm installed it; and as for every request.
    pub async fn release_objects(
        &self,
        release: &ReleaseName,
        keep_data: bool,
    ) -> Result<Vec<ObjectRef>, Error> {
        let mut found = Vec::new();
        for kind in KINDS {
            for object in self.labelled(kind, release).await? {
                if let Some(helm) = helm_release(&object) {
                    return Err(Error::NotOurs(format!(
                        "release {release} was installed by Helm (as {helm:?}): remove it with helm uninstall"
                    )));
                }
                let name = object.metadata.name.unwrap_or_default();
                let object = ObjectRef::new(&resource(kind).api_version, kind.2, &name);
                if !(keep_data && object.holds_data()) {
                    found.push(object);
                }
            }
        }
        // Both versions of a kind list the same objects.
        found.dedup_by(|a, b| a.kind == b.kind && a.name == b.name);
        Ok(found)
    }

    /// One object that we have applied, as it is, without the server's bookkeeping; `None` if it does
    /// not exist, if it is somebody else's, or if the server does not know its kind any more.
    ///
    /// # Errors
    /// As for every request.
    pub async fn find(&self, object: &ObjectRef) -> Result<Option<Value>, Error> {
        let (_, api) = match self.dynamic_api(&object.manifest()).await {
            Err(error) if error.is_not_found() => return Ok(None),
            found => found?,
        };
        let found = self.call(format!("reading {object}"), api.get_opt(&object.name)).await?;
        let is_ours = |found: &DynamicObject| helm_release(found).is_none() && is_applied_by_us(found);
        Ok(found.filter(is_ours).map(|found| content(&found)))
    }

    /// A StatefulSet of a release that takes its claims along when it is deleted.
    ///
    /// # Errors
    /// As for every request.
    pub async fn claims_owner(&self, release: &ReleaseName) -> Result<Option<ObjectRef>, Error> {
        let sets = self.labelled(KINDS[1], release).await?;
        let takes_along = |set: &DynamicObject| {
            set.data.pointer("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted")
                == Some(&"Delete".into())
        };
        let found = sets.into_iter().find(takes_along);
        Ok(found.map(|set| ObjectRef::new("apps/v1", "StatefulSet", &set.name_any())))
    }

    /// Deletes one object. One that is gone already is no error.
    ///
    /// # Errors
    /// As for every request.
    pub async fn delete(&self, object: &ObjectRef, dry_run: bool) -> Result<(), Error> {
        let params = DeleteParams { dry_run, ..DeleteParams::background() };
        let (_, api) = self.dynamic_api(&object.manifest()).await?;
        match self.call(format!("deleting {object}"), api.delete(&object.name, &params)).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits until nothing of a release is left, its pods included.
    ///
    /// # Errors
    /// [`Error::Deadline`] with what is still there; and as for every request.
    pub async fn wait_gone(
        &self,
        release: &ReleaseName,
        keep_data: bool,
        deadline: Option<Instant>,
        mut status: impl FnMut(&str),
    ) -> Result<(), Error> {
        let started = Instant::now();
        let mut left = String::new();
        let waiting = async {
            self.wait_pods_gone(release, |pods| {
                pods.clone_into(&mut left);
                status(pods);
            })
            .await?;
            // Claims go when the last pod that used them has gone: moments later.
            loop {
                let objects = self.release_objects(release, keep_data).await?;
                if objects.is_empty() {
                    return Ok(());
                }
                left = objects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let Some(deadline) = deadline else { return waiting.await };
        let ended = tokio::time::timeout_at(deadline, waiting).await;
        ended.unwrap_or_else(|_| Err(Error::Deadline { what: left, seconds: started.elapsed().as_secs() }))
    }

    async fn wait_pods_gone(&self, release: &ReleaseName, mut status: impl FnMut(&str)) -> Result<(), Error> {
        let config = watcher::Config::default().labels(&release.selector());
        let mut events = std::pin::pin!(watcher::watcher(self.api::<Pod>(), config).default_backoff());
        let mut pods = BTreeSet::new();
        let mut listing = true;
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => {
                    pods.clear();
                    listing = true;
                }
                Ok(watcher::Event::InitDone) => listing = false,
                Ok(watcher::Event::InitApply(pod) | watcher::Event::Apply(pod)) => {
                    _ = pods.insert(pod.name_any())
                }
                Ok(watcher::Event::Delete(pod)) => _ = pods.remove(&pod.name_any()),
                Err(error) => self.watch_refused("watching pods", error).map_or(Ok(()), Err)?,
            }
            if !listing && pods.is_empty() {
                return Ok(());
            }
            if !listing {
                status(&pods.iter().map(|pod| format!("pod/{pod}")).collect::<Vec<_>>().join(", "));
            }
        }
        Ok(())
    }

    async fn labelled(
        &self,
        kind: (&str, &str, &str, &str),
        release: &ReleaseName,
    ) -> Result<Vec<DynamicObject>, Error> {
        let list = ListParams::default().labels(&release.selector());
        match self.call(format!("listing {}", kind.3), self.dynamic(kind).list(&list)).await {
            Ok(objects) => Ok(objects.items),
            // The server does not know the kind in this version.
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn dynamic(&self, kind: (&str, &str, &str, &str)) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), self.namespace(), &resource(kind))
    }
}

fn resource((group, version, kind, plural): (&str, &str, &str, &str)) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}
