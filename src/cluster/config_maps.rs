//! ConfigMaps that runs need: creates them, lists them, and tells which of them Jobs use.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};

use super::job::JobState;
use super::{Cluster, Error, FIELD_MANAGER};
use workqueue_core::names::ReleaseName;

/// In bytes: all values of a ConfigMap together. The API server refuses more.
/// <https://kubernetes.io/docs/concepts/configuration/configmap/#motivation>
pub const MAX_VALUES: usize = 1024 * 1024;

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

    /// Deletes a ConfigMap that was listed. It is not an error if it no longer exists, or if another one
    /// has its name now.
    pub async fn delete_config_map(&self, map: &ObjectMeta) -> Result<(), Error> {
        let name = map.name.as_deref().unwrap_or_default();
        let expected = Preconditions { uid: map.uid.clone(), resource_version: None };
        let params = DeleteParams::background().preconditions(expected);
        let maps = self.api::<ConfigMap>();
        match self.call(format!("deleting config map {name}"), maps.delete(name, &params)).await {
            Err(Error::Conflict { .. }) => Ok(()),
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// The names of the ConfigMaps that pods of a release's Jobs mount, now or later.
    pub async fn mounted_config_maps(&self, release: &ReleaseName) -> Result<BTreeSet<String>, Error> {
        let list = ListParams::default().labels(&release.component_selector("worker"));
        let jobs = self.call("listing jobs", self.api::<Job>().list(&list)).await?;
        let active = jobs.items.into_iter().filter(|job| JobState::of(job).end.is_none());
        let volumes = active.filter_map(|job| job.spec?.template.spec?.volumes).flatten();
        Ok(volumes.filter_map(|volume| Some(volume.config_map?.name)).collect())
    }
}
