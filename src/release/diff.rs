//! What `up` would change, object by object, according to a dry run on the server.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::cluster::apply::Change;
use crate::cluster::existing::Existing;
use crate::cluster::object_ref::ObjectRef;
use crate::error::Error;
use crate::notice::Observer;
use crate::release::manifests::{self, ChartPlan, Installation};
use crate::release::remembered::{Remember, chart_and_values};
use crate::release::storage;
use workqueue_core::names::ReleaseName;

/// One object that would change.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectDiff {
    pub object: ObjectRef,
    /// `None` if the object does not exist.
    pub before: Option<Value>,
    /// `None` if the object would be deleted.
    pub after: Option<Value>,
}

/// Compares what `up` would apply with what exists. Changes nothing, and masks the values of Secrets.
pub async fn diff(
    cluster: &Cluster,
    release: &ReleaseName,
    chart: &ChartPlan,
    remember: Remember,
    force_conflicts: bool,
    observer: &dyn Observer,
) -> Result<Vec<ObjectDiff>, Error> {
    let (loaded, values) = chart_and_values(cluster, release, chart, remember, observer).await?;
    let version = cluster.server_version().await?;
    let rendered = manifests::render(&loaded, &values, release, cluster.namespace(), &version)?;
    let mut diffs = Vec::new();
    let mut kept = Vec::new();
    let installation = Installation::of(rendered, release, cluster.namespace());
    for spec in &installation.credentials {
        if let Some((before, after)) = cluster.plan_credentials(spec).await? {
            let (before, after) = mask(before, Some(after));
            diffs.push(ObjectDiff { object: ObjectRef::new("v1", "Secret", &spec.name), before, after });
        }
    }
    for manifest in &installation.objects {
        let planned = cluster.plan(manifest, force_conflicts).await?;
        kept.push(planned.object.clone());
        if planned.change() != Change::Unchanged {
            let (before, after) = mask(planned.before(), Some(planned.after()));
            diffs.push(ObjectDiff { object: planned.object, before, after });
        }
    }
    for Existing { object, .. } in storage::obsolete(cluster, release, &kept).await? {
        let (before, after) = mask(cluster.find_content(release, &object).await?, None);
        diffs.push(ObjectDiff { object, before, after });
    }
    Ok(diffs)
}

/// The fields of a Secret that hold its values.
const SECRET_FIELDS: [&str; 2] = ["data", "stringData"];

/// The annotation in which `kubectl apply` keeps the whole manifest, including the values of a Secret.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Replaces the values of a Secret with stars. Values that differ get stars that differ.
fn mask(mut before: Option<Value>, mut after: Option<Value>) -> (Option<Value>, Option<Value>) {
    let (was, is) = (before.clone(), after.clone());
    for (object, other, changed) in [(&mut before, &is, "*** (before)"), (&mut after, &was, "*** (after)")] {
        let Some(object) = object.as_mut().filter(|object| object["kind"] == "Secret") else { continue };
        for field in SECRET_FIELDS {
            let values = object.get_mut(field).and_then(Value::as_object_mut);
            for (key, value) in values.into_iter().flatten() {
                let same = other.as_ref().is_none_or(|other| other[field][key] == *value);
                *value = json!(if same { "***" } else { changed });
            }
        }
        let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
        if let Some(annotations) = annotations {
            annotations.remove(LAST_APPLIED);
        }
    }
    (before, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_their_changes_still_show() {
        let secret =
            |password: &str| Some(json!({"kind": "Secret", "data": {"user": "dQ==", "password": password}}));
        let (before, after) = mask(secret("b2xk"), secret("bmV3"));
        assert_eq!(before.expect("still there")["data"], json!({"user": "***", "password": "*** (before)"}));
        assert_eq!(after.expect("still there")["data"], json!({"user": "***", "password": "*** (after)"}));
        let (none, created) = mask(None, secret("bmV3"));
        assert_eq!((none, created.expect("still there")["data"]["password"].clone()), (None, json!("***")));
        let map = Some(json!({"kind": "ConfigMap", "data": {"a": "b"}}));
        assert_eq!(mask(map.clone(), None), (map, None));
    }

    #[test]
    fn annotations_do_not_reveal_a_secret() {
        let secret = |password: &str| {
            let applied = json!({"data": {"password": password}}).to_string();
            Some(json!({
                "kind": "Secret", "stringData": {"password": password},
                "metadata": {"name": "s", "annotations": {LAST_APPLIED: applied, "a": "b"}},
            }))
        };
        let (before, after) = mask(secret("b2xk"), secret("bmV3"));
        let expected = |stars: &str| {
            json!({"kind": "Secret", "stringData": {"password": stars},
                "metadata": {"name": "s", "annotations": {"a": "b"}}})
        };
        assert_eq!(before, Some(expected("*** (before)")));
        assert_eq!(after, Some(expected("*** (after)")));
    }
}
