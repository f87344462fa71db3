//! The content of an object without the server's bookkeeping, and who applied it.

use kube::api::DynamicObject;
use serde_json::Value;

use super::FIELD_MANAGER;

/// The content of an object, without the server's bookkeeping.
///
/// The resource version does not show whether something changed: repeating a server-side apply of a
/// StatefulSet with volumeClaimTemplates increments it (kubernetes#119304).
pub(super) fn content(object: &DynamicObject) -> Value {
    let mut value = object.data.clone();
    if !value.is_object() {
        value = serde_json::json!({});
    }
    if let Some(fields) = value.as_object_mut() {
        let types = object.types.clone().unwrap_or_default();
        fields.remove("status");
        fields.insert("apiVersion".to_owned(), types.api_version.into());
        fields.insert("kind".to_owned(), types.kind.into());
        fields.insert("metadata".to_owned(), metadata(object));
    }
    value
}

fn metadata(object: &DynamicObject) -> Value {
    let mut metadata = serde_json::json!({
        "name": object.metadata.name,
        "namespace": object.metadata.namespace,
        "labels": object.metadata.labels,
        "annotations": object.metadata.annotations,
        "ownerReferences": object.metadata.owner_references,
        "finalizers": object.metadata.finalizers,
    });
    if let Some(fields) = metadata.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    metadata
}

/// The Helm release that an object belongs to. Helm 3 and later annotate all objects they install.
pub(super) fn helm_release(object: &DynamicObject) -> Option<String> {
    object.metadata.annotations.as_ref()?.get("meta.helm.sh/release-name").cloned()
}

/// Whether we manage some field of an object through server-side apply.
pub(super) fn is_applied_by_us(object: &DynamicObject) -> bool {
    let mut managers = object.metadata.managed_fields.iter().flatten();
    managers.any(|fields| {
        fields.manager.as_deref() == Some(FIELD_MANAGER) && fields.operation.as_deref() == Some("Apply")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bookkeeping_does_not_count_as_a_change() {
        let object = |version: &str, generation: i64, replicas: i64| -> DynamicObject {
            serde_json::from_value(json!({
                "apiVersion": "apps/v1", "kind": "StatefulSet",
                "metadata": {"name": "b", "resourceVersion": version, "generation": generation},
                "spec": {"replicas": replicas}, "status": {"readyReplicas": generation},
            }))
            .expect("an object")
        };
        assert_eq!(content(&object("1", 1, 1)), content(&object("2", 2, 1)));
        assert_ne!(content(&object("1", 1, 1)), content(&object("1", 1, 3)));
    }
}
