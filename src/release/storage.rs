//! What `up` was told and did, kept in the cluster: the values, so that `run` renders with the same
//! ones, and the objects, so that a later `up` finds those that it no longer wants.
//!
//! In a Secret, since values may hold passwords.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::cluster::object_ref::ObjectRef;
use crate::error::Error;
use crate::release::manifests::ChartPlan;
use helm_template::{Chart, ValueSources};
use workqueue_core::names::{CHART, ReleaseName};

/// Tells people who look around in a cluster what the Secret is.
const SECRET_TYPE: &str = "kubectl-workqueue/release.v1";

/// The key in the Secret.
const KEY: &str = "release";

/// What is kept of a release.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct StoredRelease {
    /// The values that the user gave.
    pub values: Value,
    /// The objects that were applied.
    pub objects: Vec<ObjectRef>,
}

impl StoredRelease {
    /// Reads the record of a release; one that was made by Helm or by hand has none, and one of
    /// another version of ours that no longer reads is as good as none.
    pub(crate) async fn load(cluster: &Cluster, release: &ReleaseName) -> Result<Option<Self>, Error> {
        let kept = cluster.find_secret_value(&name(release), KEY).await?;
        Ok(kept.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Keeps the record.
    pub(crate) async fn save(&self, cluster: &Cluster, release: &ReleaseName) -> Result<(), Error> {
        let text = serde_json::to_string(self).expect("values and names are JSON");
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name(release),
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
        // Ours alone: whatever it holds is replaced.
        cluster.apply(&manifest, true).await?;
        Ok(())
    }
}

fn name(release: &ReleaseName) -> String {
    format!("kubectl-workqueue.{release}")
}

/// Whether an object is the Secret that a release's record is kept in.
pub(crate) fn is_record(object: &ObjectRef, release: &ReleaseName) -> bool {
    object.kind == "Secret" && object.name == name(release)
}

/// What an earlier `up` applied, is still there, and is not among `wanted`.
pub(crate) async fn unwanted(
    cluster: &Cluster,
    release: &ReleaseName,
    wanted: &[ObjectRef],
) -> Result<Vec<ObjectRef>, Error> {
    let applied = StoredRelease::load(cluster, release).await?.unwrap_or_default().objects;
    let mut unwanted = Vec::new();
    // The API version may be another one now: kind and name tell.
    let is_wanted =
        |object: &ObjectRef| wanted.iter().any(|other| other.is_same_object(object, cluster.namespace()));
    for object in applied.into_iter().filter(|object| !is_wanted(object)) {
        if cluster.find(&object).await?.is_some() {
            unwanted.push(object);
        }
    }
    Ok(unwanted)
}

/// The values of a release: those that `up` kept, then those that this command was given.
///
/// # Errors
/// As for every request.
pub(crate) async fn values_for(
    cluster: &Cluster,
    release: &ReleaseName,
    chart: &Chart,
    plan: &ChartPlan,
) -> Result<ValueSources, Error> {
    let mut values = plan.load_values(chart)?;
    values.presets.extend(StoredRelease::load(cluster, release).await?.map(|record| record.values));
    Ok(values)
}
