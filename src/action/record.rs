//! The values that `up` was given, kept in the cluster, so that `run` renders with the same ones.
//!
//! In a Secret, since values may hold passwords.

use serde_json::json;

use super::Error;
use super::manifests::ChartPlan;
use crate::chart::{Chart, ValueSources};
use crate::cluster::Cluster;
use crate::cluster::apply::ApplyOptions;
use crate::names::{CHART, ReleaseName};

/// Tells people who look around in a cluster what the Secret is.
const SECRET_TYPE: &str = "kubectl-workqueue/release.v1";

/// The key in the Secret.
const KEY: &str = "values";

fn name(release: &ReleaseName) -> String {
    format!("kubectl-workqueue.{release}")
}

/// Keeps the values of a release.
///
/// # Errors
/// As for every request.
pub(super) async fn save(
    cluster: &Cluster,
    release: &ReleaseName,
    values: &ValueSources,
) -> Result<(), Error> {
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
        "stringData": {KEY: values.merged()?.to_string()},
    });
    // Ours alone: whatever it holds is replaced.
    cluster.apply(&manifest, ApplyOptions { force: true, ..ApplyOptions::default() }).await?;
    Ok(())
}

/// The values of a release: those that `up` kept, then those that this command was given.
///
/// # Errors
/// As for every request; a release without a record (made by Helm or by hand) is no error.
pub(super) async fn values_for(
    cluster: &Cluster,
    release: &ReleaseName,
    chart: &Chart,
    plan: &ChartPlan,
) -> Result<ValueSources, Error> {
    let mut values = plan.load_values(chart)?;
    let kept = cluster.find_secret_value(&name(release), KEY).await?;
    // A record of another version of ours that no longer reads is as good as none.
    values.presets.extend(kept.and_then(|text| serde_json::from_str(&text).ok()));
    Ok(values)
}
