//! Deletes the objects of a release, found by their labels, and waits until they are gone.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::time::Instant;

use super::existing::Existing;
use super::object_content::helm_release;
use super::object_ref::ObjectRef;
use super::{Cluster, Error, watch_config};
use workqueue_core::names::ReleaseName;

/// The kinds of the chart's objects, in the order of deletion: workers before their broker, and
/// workloads before what they use. Kinds that a server does not know are skipped.
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
    /// Whether it holds data that cannot be recreated: the messages, or the credentials for them.
    pub fn holds_data(&self) -> bool {
        ["PersistentVolumeClaim", "Secret"].contains(&self.kind.as_str())
    }
}

/// Pause between two checks of what still exists.
const POLL_PAUSE: Duration = Duration::from_millis(300);

impl Cluster {
    /// The objects of a release, in the order of deletion.
    ///
    /// # Errors
    /// [`Error::NotOurs`] if Helm installed the release.
    pub async fn release_objects(
        &self,
        release: &ReleaseName,
        keep_data: bool,
    ) -> Result<Vec<Existing>, Error> {
        let mut found = Vec::new();
        for kind in KINDS {
            for object in self.labelled(kind, release).await? {
                if let Some(helm) = helm_release(&object) {
                    return Err(Error::NotOurs(format!(
                        "release {release} was installed by Helm (as {helm:?}): remove it with helm uninstall"
                    )));
                }
                let uid = object.uid().unwrap_or_default();
                let object = ObjectRef::new(&resource(kind).api_version, kind.2, &object.name_any());
                if !(keep_data && object.holds_data()) {
                    found.push(Existing { object, uid });
                }
            }
        }
        // A kind that is listed in two versions returns the same objects.
        found.dedup_by(|a, b| a.uid == b.uid);
        Ok(found)
    }

    /// A StatefulSet of a release whose PVCs are deleted with it.
    pub async fn pvc_owner(&self, release: &ReleaseName) -> Result<Option<ObjectRef>, Error> {
        let sets = self.labelled(KINDS[1], release).await?;
        let deletes_pvcs = |set: &DynamicObject| {
            set.data.pointer("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted")
                == Some(&"Delete".into())
        };
        let found = sets.into_iter().find(deletes_pvcs);
        Ok(found.map(|set| ObjectRef::new("apps/v1", "StatefulSet", &set.name_any())))
    }

    /// Waits until all objects of a release, and its pods, are gone.
    ///
    /// # Errors
    /// [`Error::Deadline`] with the objects that still exist.
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
            // PVCs are deleted a moment after the last pod that used them.
            loop {
                let objects = self.release_objects(release, keep_data).await?;
                if objects.is_empty() {
                    return Ok(());
                }
                left =
                    objects.iter().map(|existing| existing.object.to_string()).collect::<Vec<_>>().join(", ");
                tokio::time::sleep(POLL_PAUSE).await;
            }
        };
        let Some(deadline) = deadline else { return waiting.await };
        let ended = tokio::time::timeout_at(deadline, waiting).await;
        ended.unwrap_or_else(|_| Err(Error::Deadline { what: left, seconds: started.elapsed().as_secs() }))
    }

    async fn wait_pods_gone(&self, release: &ReleaseName, mut status: impl FnMut(&str)) -> Result<(), Error> {
        let config = watch_config().labels(&release.selector());
        let mut events =
            std::pin::pin!(watcher::watcher(self.for_streams().api::<Pod>(), config).default_backoff());
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
            // The server does not know this version of the kind.
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
