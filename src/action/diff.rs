//! What `up` would change, object by object, in the server's own words.

use serde_json::{Value, json};

use super::manifests::{self, ChartPlan, Installation};
use super::{Error, record};
use crate::cluster::Cluster;
use crate::cluster::apply::{Change, ObjectRef};
use crate::names::ReleaseName;

/// One object that would change.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectDiff {
    /// The object.
    pub object: ObjectRef,
    /// As it is; `None` if it does not exist.
    pub before: Option<Value>,
    /// As it would be; `None` if it would be deleted.
    pub after: Option<Value>,
}

/// Compares what `up` would apply with what is there. Changes nothing; what Secrets hold is masked.
///
/// # Errors
/// What the chart, its values and the server refuse.
pub async fn diff(
    cluster: &Cluster,
    release: &ReleaseName,
    chart: &ChartPlan,
    force_conflicts: bool,
) -> Result<Vec<ObjectDiff>, Error> {
    let loaded = chart.load_chart()?;
    let values = chart.load_values(&loaded)?;
    let version = cluster.server_version().await?;
    let rendered = manifests::render(&loaded, &values, release, cluster.namespace(), &version)?;
    let mut diffs = Vec::new();
    let mut wanted = Vec::new();
    for manifest in &Installation::of(rendered, release).objects {
        let planned = cluster.plan(manifest, force_conflicts).await?;
        wanted.push(planned.object.clone());
        if planned.change() != Change::Unchanged {
            let (before, after) = mask(planned.before(), Some(planned.after()));
            diffs.push(ObjectDiff { object: planned.object, before, after });
        }
    }
    for object in record::unwanted(cluster, release, &wanted).await? {
        let (before, after) = mask(cluster.find(&object).await?, None);
        diffs.push(ObjectDiff { object, before, after });
    }
    Ok(diffs)
}

/// Replaces the values of a Secret by stars, which differ where the values do.
fn mask(mut before: Option<Value>, mut after: Option<Value>) -> (Option<Value>, Option<Value>) {
    let data = |object: &Option<Value>| object.as_ref().map(|object| object["data"].clone());
    let (was, is) = (data(&before), data(&after));
    for (object, other, changed) in [(&mut before, &is, "*** (before)"), (&mut after, &was, "*** (after)")] {
        let Some(object) = object.as_mut().filter(|object| object["kind"] == "Secret") else { continue };
        for (key, value) in object["data"].as_object_mut().into_iter().flatten() {
            let same = other.as_ref().is_none_or(|other| other[key] == *value);
            *value = json!(if same { "***" } else { changed });
        }
    }
    (before, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_changes_in_them_still_show() {
        let secret =
            |password: &str| Some(json!({"kind": "Secret", "data": {"user": "dQ==", "password": password}}));
        let (before, after) = mask(secret("b2xk"), secret("bmV3"));
        assert_eq!(before.expect("kept")["data"], json!({"user": "***", "password": "*** (before)"}));
        assert_eq!(after.expect("kept")["data"], json!({"user": "***", "password": "*** (after)"}));
        let (none, created) = mask(None, secret("bmV3"));
        assert_eq!((none, created.expect("kept")["data"]["password"].clone()), (None, json!("***")));
        let map = Some(json!({"kind": "ConfigMap", "data": {"a": "b"}}));
        assert_eq!(mask(map.clone(), None), (map, None));
    }
}
