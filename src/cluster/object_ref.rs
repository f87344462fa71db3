//! Names an object by its kind, name and namespace.

use std::fmt;

use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Prints like in kubectl: `statefulset.apps/workqueue-broker`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// API group and version, such as `apps/v1`.
    pub api_version: String,
    pub kind: String,
    pub name: String,
    /// The namespace in the manifest; `None` means the namespace of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl ObjectRef {
    /// An object in the release's namespace.
    pub fn new(api_version: &str, kind: &str, name: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: None,
        }
    }

    /// Reads kind and name from a manifest; `None` if one of them is missing.
    pub fn of(manifest: &Value) -> Option<Self> {
        let text = |pointer: &str| manifest.pointer(pointer)?.as_str().map(str::to_owned);
        Some(Self {
            api_version: text("/apiVersion")?,
            kind: text("/kind")?,
            name: text("/metadata/name")?,
            namespace: text("/metadata/namespace"),
        })
    }

    /// Whether both name the same object, even if in different versions of its API. `namespace` is
    /// that of the release.
    pub fn is_same_object(&self, other: &Self, namespace: &str) -> bool {
        let own_namespace = |object: &Self| object.namespace.clone().unwrap_or_else(|| namespace.to_owned());
        let group = |object: &Self| object.gvk().group;
        let same_kind = self.kind == other.kind && group(self) == group(other);
        same_kind && self.name == other.name && own_namespace(self) == own_namespace(other)
    }

    /// The API group and the plural of the kind, as rules of Roles and quotas have it. The plural is a
    /// guess by the rules of English, as all of Kubernetes' own kinds follow them.
    pub fn resource(&self) -> (String, String) {
        let resource = ApiResource::from_gvk(&self.gvk());
        (resource.group, resource.plural)
    }

    /// The minimal manifest that identifies the object.
    pub(super) fn manifest(&self) -> Value {
        let metadata = serde_json::json!({"name": self.name, "namespace": self.namespace});
        serde_json::json!({"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata})
    }

    pub(super) fn gvk(&self) -> GroupVersionKind {
        let (group, version) = self.api_version.split_once('/').unwrap_or(("", &self.api_version));
        GroupVersionKind::gvk(group, version, &self.kind)
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.to_lowercase();
        match self.api_version.split_once('/') {
            Some((group, _)) => write!(f, "{kind}.{group}/{}", self.name),
            None => write!(f, "{kind}/{}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_print_as_kubectl_prints_them() {
        let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "b"}});
        assert_eq!(ObjectRef::of(&set).expect("complete").to_string(), "statefulset.apps/b");
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b"}});
        assert_eq!(ObjectRef::of(&service).expect("complete").to_string(), "service/b");
        assert_eq!(ObjectRef::of(&json!({"kind": "Service"})), None);
    }

    #[test]
    fn objects_with_the_same_name_in_two_namespaces_differ() {
        let of = |metadata: Value, version: &str| {
            ObjectRef::of(&json!({"apiVersion": version, "kind": "Role", "metadata": metadata}))
                .expect("complete")
        };
        let plain = of(json!({"name": "r"}), "x/v1");
        let same = of(json!({"name": "r", "namespace": "work"}), "x/v1beta1");
        let other = of(json!({"name": "r", "namespace": "monitoring"}), "x/v1");
        assert!(plain.is_same_object(&same, "work") && !plain.is_same_object(&same, "elsewhere"));
        assert!(!plain.is_same_object(&other, "work"));
        assert_eq!(other.manifest()["metadata"]["namespace"], "monitoring");
        // Release storage of earlier versions has no namespaces.
        let kept: ObjectRef =
            serde_json::from_value(json!({"apiVersion": "x/v1", "kind": "Role", "name": "r"}))
                .expect("it reads");
        assert_eq!(kept, plain);
    }
}
