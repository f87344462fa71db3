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

/// The keys in the Secrets.
const KEY: &str = "release";
const VALUES_KEY: &str = "values";

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
        let text = |value: &Value| serde_json::to_string(value).expect("values and names are JSON");
        let whole = serde_json::to_value(self).expect("values and names are JSON");
        // Secrets are only ours, so conflicting fields are overwritten.
        let for_runs =
            manifest(release, &values_name(release), VALUES_KEY, text(&values_for_runs(&self.values)));
        cluster.apply(&for_runs, true).await?;
        cluster.apply(&manifest(release, &secret_name(release), KEY, text(&whole)), true).await?;
        Ok(())
    }
}

fn manifest(release: &ReleaseName, name: &str, key: &str, text: String) -> Value {
    json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "labels": {
                    "app.kubernetes.io/name": CHART,
                    "app.kubernetes.io/instance": release.as_str(),
                    "app.kubernetes.io/component": "release",
                    "app.kubernetes.io/managed-by": "kubectl-workqueue",
                },
            },
            "type": SECRET_TYPE,
            "stringData": {key: text},
    })
}

/// The values that a run's Job is rendered with: without those that only the broker needs, among which are
/// passwords. Who may run may read these, and not the others.
fn values_for_runs(values: &Value) -> Value {
    let mut values = values.clone();
    let mut remove = |object: &str, key: &str| {
        values.pointer_mut(object).and_then(Value::as_object_mut).and_then(|object| object.remove(key))
    };
    for (object, key) in [
        ("", "extraObjects"),
        ("/auth", "password"),
        ("/auth", "erlangCookie"),
        ("/broker", "extraConfig"),
        ("/broker", "extraEnv"),
    ] {
        remove(object, key);
    }
    // That there is such a broker matters, and not where.
    if remove("/externalBroker", "url").is_some_and(|url| url != "") {
        values["externalBroker"]["url"] = json!("amqp://see-the-secret");
    }
    values
}

fn secret_name(release: &ReleaseName) -> String {
    format!("kubectl-workqueue.{release}")
}

fn values_name(release: &ReleaseName) -> String {
    format!("kubectl-workqueue.{release}.values")
}

/// The Secrets of the release storage.
pub(crate) fn secret_names(release: &ReleaseName) -> [String; 2] {
    [secret_name(release), values_name(release)]
}

/// The values for runs that `up` stored; `None` if the release was installed by Helm or by hand.
async fn stored_values(cluster: &Cluster, release: &ReleaseName) -> Result<Option<Value>, Error> {
    if let Some(text) = cluster.find_secret_value(&values_name(release), VALUES_KEY).await? {
        return Ok(serde_json::from_str(&text).ok());
    }
    match StoredRelease::load(cluster, release).await {
        // Earlier versions stored only all of them. Who may not read that may read the others, if there are any.
        Err(Error::Cluster(error)) if error.is_refusal() => Ok(None),
        stored => Ok(stored?.map(|stored| values_for_runs(&stored.values))),
    }
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
    values.presets.extend(stored_values(cluster, release).await?);
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_reads_no_password_in_the_values() {
        let values = json!({
            "auth": {"password": "s3cret", "erlangCookie": "s3cret", "existingSecret": "mine"},
            "externalBroker": {"url": "amqp://u:s3cret@mq"},
            "broker": {"extraEnv": [{"name": "A", "value": "s3cret"}], "replicas": 3},
            "extraObjects": ["s3cret"],
            "worker": {"nodeSelector": {"a": "b"}},
        });
        let stored = values_for_runs(&values);
        assert!(!stored.to_string().contains("s3cret"), "{stored}");
        assert_eq!(stored["auth"], json!({"existingSecret": "mine"}));
        assert_eq!((&stored["broker"], &stored["worker"]), (&json!({"replicas": 3}), &values["worker"]));
        assert!(stored["externalBroker"]["url"].as_str().is_some_and(|url| url.starts_with("amqp://")));
        assert_eq!(values_for_runs(&json!({})), json!({}));
    }
}
