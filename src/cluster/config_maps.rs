//! ConfigMaps that runs need: creates them, lists them, and tells which of them Jobs use.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::json;

use super::job::JobState;
use super::{Cluster, Error, FIELD_MANAGER};

/// In bytes: all values of a ConfigMap together. The API server refuses more.
/// <https://kubernetes.io/docs/concepts/configuration/configmap/#motivation>
pub const MAX_VALUES: usize = 1024 * 1024;

/// Annotation of a ConfigMap: the run that has used it last.
const USER_ANNOTATION: &str = "kubectl-workqueue/used-by";

/// Time limit for creating one. A full one takes half a minute on a line with 400 kbit/s.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(300);

impl Cluster {
    /// The metadata of the ConfigMaps with these labels, without their content.
    pub async fn config_maps(&self, selector: &str) -> Result<Vec<ObjectMeta>, Error> {
        let list = ListParams::default().labels(selector);
        let maps = self.api::<ConfigMap>();
        let found = self.call("listing config maps", maps.list_metadata(&list)).await?;
        Ok(found.items.into_iter().map(|map| map.metadata).collect())
    }

    /// Creates a ConfigMap, unless there is one of its name.
    pub async fn create_config_map(&self, map: &ConfigMap) -> Result<(), Error> {
        let name = map.metadata.name.as_deref().unwrap_or_default();
        let params = PostParams { dry_run: false, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let maps = self.api::<ConfigMap>();
        let creating = maps.create(&params, map);
        match self.call_within(UPLOAD_TIMEOUT, format!("creating config map {name}"), creating).await {
            Err(error) if !error.is_already_exists() => Err(error),
            _ => Ok(()),
        }
    }

    /// Notes that a ConfigMap is used, so that [`delete_config_map`](Self::delete_config_map) leaves it if it
    /// was listed before. Returns whether it exists.
    pub async fn use_config_map(&self, name: &str, user: &str) -> Result<bool, Error> {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {USER_ANNOTATION: user}}}));
        let (maps, params) = (self.api::<ConfigMap>(), PatchParams::default());
        let patching = maps.patch_metadata(name, &params, &patch);
        match self.call(format!("noting that config map {name} is used"), patching).await {
            Err(error) if error.is_not_found() => Ok(false),
            patched => patched.map(|_| true),
        }
    }

    /// Deletes a ConfigMap that was listed. It is not an error if it no longer exists, or if it was changed
    /// or created again since.
    pub async fn delete_config_map(&self, map: &ObjectMeta) -> Result<(), Error> {
        let name = map.name.as_deref().unwrap_or_default();
        let expected = Preconditions { uid: map.uid.clone(), resource_version: map.resource_version.clone() };
        let params = DeleteParams::background().preconditions(expected);
        let maps = self.api::<ConfigMap>();
        match self.call(format!("deleting config map {name}"), maps.delete(name, &params)).await {
            Err(Error::Conflict { .. }) => Ok(()),
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// The names of the ConfigMaps that pods of Jobs mount, now or later, whoever made the Jobs.
    pub async fn mounted_config_maps(&self) -> Result<BTreeSet<String>, Error> {
        let jobs = self.call("listing jobs", self.api::<Job>().list(&ListParams::default())).await?;
        let active = jobs.items.into_iter().filter(|job| JobState::of(job).end.is_none());
        let volumes = active.filter_map(|job| job.spec?.template.spec?.volumes).flatten();
        Ok(volumes.filter_map(|volume| Some(volume.config_map?.name)).collect())
    }
}
