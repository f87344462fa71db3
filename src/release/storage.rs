//! The release storage, which `up` keeps in the cluster: the values, so that `run` renders with the
//! same ones, and the objects, so that a later `up` finds those that are obsolete.
//!
//! It is a Secret because values may contain passwords.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::cluster::existing::Existing;
use crate::cluster::object_ref::ObjectRef;
use crate::error::Error;
use crate::release::manifests::ChartPlan;
use helm_template::{Chart, ValueSources};
use workqueue_core::names::{CHART, ReleaseName};

/// Tells people who inspect the cluster what the Secret is.
const SECRET_TYPE: &str = "kubectl-workqueue/release.v1";

/// The key in the Secret.
const KEY: &str = "release";

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct StoredRelease {
    /// The values that the user gave.
    pub values: Value,
    /// The objects that were applied.
    pub objects: Vec<ObjectRef>,
    /// The directory of the chart; `None` for the bundled one. Earlier versions did not store it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<PathBuf>,
}

impl StoredRelease {
    /// Loads what is stored of a release; `None` if it was installed by Helm or by hand, or if another
    /// version of the plugin stored it in a form that this one cannot read.
    pub(crate) async fn load(cluster: &Cluster, release: &ReleaseName) -> Result<Option<Self>, Error> {
        let stored = cluster.find_secret_value(&secret_name(release), KEY).await?;
        Ok(stored.and_then(|text| serde_json::from_str(&text).ok()))
    }

    pub(crate) async fn save(&self, cluster: &Cluster, release: &ReleaseName) -> Result<(), Error> {
        let text = serde_json::to_string(self).expect("values and names are JSON");
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": secret_name(release),
                "labels": {
                    "app.kubernetes.io/name": CHART,
                    "app.kubernetes.io/instance": release.as_str(),
                    "app.kubernetes.io/component": "release",
                    "app.kubernetes.io/managed-by": "kubectl-workqueue",
                },
            },
            "type": SECRET_TYPE,
            "stringData": {KEY: text},
        });
        // The Secret is only ours, so conflicting fields are overwritten.
        cluster.apply(&manifest, true).await?;
        Ok(())
    }
}

fn secret_name(release: &ReleaseName) -> String {
    format!("kubectl-workqueue.{release}")
}

/// Whether an object is the Secret of the release storage.
pub(crate) fn is_storage(object: &ObjectRef, release: &ReleaseName) -> bool {
    object.kind == "Secret" && object.name == secret_name(release)
}

/// The objects that an earlier `up` applied, that still exist as a part of this release, and that are
/// not among `current`.
pub(crate) async fn obsolete(
    cluster: &Cluster,
    release: &ReleaseName,
    current: &[ObjectRef],
) -> Result<Vec<Existing>, Error> {
    let applied = StoredRelease::load(cluster, release).await?.unwrap_or_default().objects;
    let mut obsolete = Vec::new();
    // Compares kind and name only: the API version may have changed.
    let is_current =
        |object: &ObjectRef| current.iter().any(|other| other.is_same_object(object, cluster.namespace()));
    for object in applied.into_iter().filter(|object| !is_current(object)) {
        obsolete.extend(cluster.find(release, &object).await?);
    }
    Ok(obsolete)
}

/// The values of a release: those that `up` stored, overridden by those in `plan`.
pub(crate) async fn values_for(
    cluster: &Cluster,
    release: &ReleaseName,
    chart: &Chart,
    plan: &ChartPlan,
) -> Result<ValueSources, Error> {
    let mut values = plan.load_values(chart)?;
    values.presets.extend(StoredRelease::load(cluster, release).await?.map(|stored| stored.values));
    Ok(values)
}
