//! Server-side apply of manifests, and what it changed.

use std::fmt;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiResource, Scope, pinned_kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Cluster, Error, FIELD_MANAGER};

/// What an apply did to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It did not exist.
    Created,
    /// It existed and is different now.
    Configured,
    /// It existed and is the same.
    Unchanged,
    /// It existed, was applied once, and is no longer wanted.
    Pruned,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Pruned => "pruned",
        })
    }
}

/// An object's kind and name, printed as kubectl does: `statefulset.apps/workqueue-broker`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// API group and version, such as `apps/v1`.
    pub api_version: String,
    /// The kind, such as `StatefulSet`.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The namespace that its manifest names; the release's own if it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl ObjectRef {
    /// Names an object in the release's namespace.
    pub fn new(api_version: &str, kind: &str, name: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: None,
        }
    }

    /// Reads it from a manifest; `None` if the manifest is no object with a name.
    pub fn of(manifest: &Value) -> Option<Self> {
        let text = |pointer: &str| manifest.pointer(pointer)?.as_str().map(str::to_owned);
        Some(Self {
            api_version: text("/apiVersion")?,
            kind: text("/kind")?,
            name: text("/metadata/name")?,
            namespace: text("/metadata/namespace"),
        })
    }

    /// Whether both name one object, by whatever version of its API, for a release in a namespace.
    pub fn is_same_object(&self, other: &Self, namespace: &str) -> bool {
        let place = |object: &Self| object.namespace.clone().unwrap_or_else(|| namespace.to_owned());
        let group = |object: &Self| object.gvk().group;
        let same_kind = self.kind == other.kind && group(self) == group(other);
        same_kind && self.name == other.name && place(self) == place(other)
    }

    /// The least that names the object to an API.
    pub(super) fn manifest(&self) -> Value {
        let metadata = serde_json::json!({"name": self.name, "namespace": self.namespace});
        serde_json::json!({"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata})
    }

    fn gvk(&self) -> GroupVersionKind {
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

impl Cluster {
    /// Lets the server say what an apply of this manifest would do, in our namespace or in the one
    /// that the manifest names. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] when others manage a field, unless forced; [`Error::Immutable`] when a
    /// field cannot be changed; [`Error::NotOurs`] when Helm installed the object; and as for every
    /// request.
    pub async fn plan(&self, manifest: &Value, force: bool) -> Result<Planned, Error> {
        let (object, api) = self.dynamic_api(manifest).await?;
        let before = self.call(format!("reading {object}"), api.get_opt(&object.name)).await?;
        if let Some(release) = before.as_ref().and_then(helm_release) {
            return Err(Error::NotOurs(format!("{object} belongs to the Helm release {release:?}")));
        }
        let patch = Patch::Apply(with_protocols(manifest));
        let params = PatchParams { force, ..PatchParams::apply(FIELD_MANAGER) };
        let trying = params.clone().dry_run();
        let trying = api.patch(&object.name, &trying, &patch);
        let after = self.call(format!("applying {object}"), trying).await?;
        Ok(Planned { object, api, params, patch, before, after })
    }

    /// Does what was planned; an object that is as it should be is left alone.
    ///
    /// # Errors
    /// As for every request.
    pub async fn carry_out(&self, planned: &Planned) -> Result<Change, Error> {
        let change = planned.change();
        // One that somebody else applied is applied all the same, so that the next change of it
        // finds which fields are ours.
        if change != Change::Unchanged || !planned.before.as_ref().is_some_and(is_applied_by_us) {
            let Planned { object, api, params, patch, .. } = planned;
            self.call(format!("applying {object}"), api.patch(&object.name, params, patch)).await?;
        }
        Ok(change)
    }

    /// Plans and carries out.
    ///
    /// # Errors
    /// As for both.
    pub async fn apply(&self, manifest: &Value, force: bool) -> Result<Change, Error> {
        self.carry_out(&self.plan(manifest, force).await?).await
    }

    /// Makes our namespace if it is missing.
    ///
    /// # Errors
    /// As for every request.
    pub async fn ensure_namespace(&self, dry_run: bool) -> Result<Change, Error> {
        let name = self.namespace();
        let api: Api<Namespace> = Api::all(self.client.clone());
        if self.call(format!("reading namespace/{name}"), api.get_opt(name)).await?.is_some() {
            return Ok(Change::Unchanged);
        }
        let manifest =
            serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        match self.create(&manifest, dry_run).await {
            Err(error) if !error.is_already_exists() => Err(error),
            _ => Ok(Change::Created),
        }
    }

    /// Creates an object that must not exist yet.
    ///
    /// # Errors
    /// As for every request; [`Error::is_already_exists`] tells that one apart.
    pub async fn create(&self, manifest: &Value, dry_run: bool) -> Result<DynamicObject, Error> {
        let (object, api) = self.dynamic_api(manifest).await?;
        let data: DynamicObject = serde_json::from_value(manifest.clone()).map_err(|error| Error::Api {
            what: format!("reading the manifest of {object}"),
            message: error.to_string(),
            code: None,
        })?;
        let params = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) };
        self.call(format!("creating {object}"), api.create(&params, &data)).await
    }

    /// The API of a manifest's kind, whatever the kind: the server is asked for its plural and scope.
    pub(super) async fn dynamic_api(
        &self,
        manifest: &Value,
    ) -> Result<(ObjectRef, Api<DynamicObject>), Error> {
        let Some(object) = ObjectRef::of(manifest) else {
            return Err(Error::Api {
                what: "reading a manifest".to_owned(),
                message: "it lacks apiVersion, kind or metadata.name".to_owned(),
                code: None,
            });
        };
        let what = format!("asking the server for kind {} ({})", object.kind, object.api_version);
        let (resource, capabilities) = self.call(what, pinned_kind(&self.client, &object.gvk())).await?;
        let namespace = manifest.pointer("/metadata/namespace").and_then(Value::as_str);
        let api = self.scoped_api(&resource, &capabilities.scope, namespace);
        Ok((object, api))
    }

    fn scoped_api(
        &self,
        resource: &ApiResource,
        scope: &Scope,
        namespace: Option<&str>,
    ) -> Api<DynamicObject> {
        match scope {
            Scope::Cluster => Api::all_with(self.client.clone(), resource),
            Scope::Namespaced => {
                Api::namespaced_with(self.client.clone(), namespace.unwrap_or(&self.namespace), resource)
            }
        }
    }
}

/// What an apply would do to one object.
pub struct Planned {
    /// The object.
    pub object: ObjectRef,
    api: Api<DynamicObject>,
    params: PatchParams,
    patch: Patch<Value>,
    before: Option<DynamicObject>,
    after: DynamicObject,
}

impl Planned {
    /// In a word.
    pub fn change(&self) -> Change {
        match &self.before {
            None => Change::Created,
            Some(before) if content(before) == content(&self.after) => Change::Unchanged,
            Some(_) => Change::Configured,
        }
    }

    /// The object as it is, without the server's bookkeeping.
    pub fn before(&self) -> Option<Value> {
        self.before.as_ref().map(content)
    }

    /// The object as it would be, without the server's bookkeeping.
    pub fn after(&self) -> Value {
        content(&self.after)
    }
}

/// Whether an apply of ours has made something of an object what it is.
pub(super) fn is_applied_by_us(object: &DynamicObject) -> bool {
    let mut managers = object.metadata.managed_fields.iter().flatten();
    managers.any(|fields| {
        fields.manager.as_deref() == Some(FIELD_MANAGER) && fields.operation.as_deref() == Some("Apply")
    })
}

/// A manifest with the protocol of every port. It is a key of those lists, and servers up to 1.20
/// do not fill in the default of a key.
fn with_protocols(manifest: &Value) -> Value {
    let mut manifest = manifest.clone();
    add_protocols(manifest.pointer_mut("/spec/ports"));
    for list in ["containers", "initContainers"] {
        for pod in ["/spec", "/spec/template/spec"] {
            let containers = manifest.pointer_mut(&format!("{pod}/{list}")).and_then(Value::as_array_mut);
            containers.into_iter().flatten().for_each(|container| add_protocols(container.get_mut("ports")));
        }
    }
    manifest
}

fn add_protocols(ports: Option<&mut Value>) {
    let ports = ports.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut);
    ports.for_each(|port| _ = port.entry("protocol").or_insert_with(|| "TCP".into()));
}

/// The Helm release that owns an object: Helm 3 and later annotate all that they install.
pub(super) fn helm_release(object: &DynamicObject) -> Option<String> {
    object.metadata.annotations.as_ref()?.get("meta.helm.sh/release-name").cloned()
}

/// What an object says, without the server's bookkeeping.
///
/// The resource version does not tell whether something changed: a repeated server-side apply of
/// a StatefulSet with claim templates bumps it (kubernetes#119304).
pub(super) fn content(object: &DynamicObject) -> Value {
    let mut value = object.data.clone();
    if !value.is_object() {
        value = serde_json::json!({});
    }
    let types = object.types.clone().unwrap_or_default();
    let metadata = serde_json::json!({
        "name": object.metadata.name,
        "namespace": object.metadata.namespace,
        "labels": object.metadata.labels,
        "annotations": object.metadata.annotations,
        "ownerReferences": object.metadata.owner_references,
        "finalizers": object.metadata.finalizers,
    });
    let metadata: serde_json::Map<String, Value> = metadata
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
        fields.insert("apiVersion".to_owned(), types.api_version.into());
        fields.insert("kind".to_owned(), types.kind.into());
        fields.insert("metadata".to_owned(), metadata.into());
    }
    value
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
    fn objects_of_one_name_in_two_namespaces_are_two() {
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
        // What earlier releases kept has no namespace.
        let kept: ObjectRef =
            serde_json::from_value(json!({"apiVersion": "x/v1", "kind": "Role", "name": "r"}))
                .expect("it reads");
        assert_eq!(kept, plain);
    }

    #[test]
    fn ports_get_the_protocol_that_old_servers_want() {
        let service = json!({"spec": {"ports": [{"port": 1}, {"port": 2, "protocol": "UDP"}]}});
        let expected =
            json!({"spec": {"ports": [{"port": 1, "protocol": "TCP"}, {"port": 2, "protocol": "UDP"}]}});
        assert_eq!(with_protocols(&service), expected);
        let set = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 1}]}]}}}});
        let pointer = "/spec/template/spec/containers/0/ports/0/protocol";
        assert_eq!(with_protocols(&set).pointer(pointer), Some(&json!("TCP")));
    }

    #[test]
    fn bookkeeping_is_no_change() {
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
