//! Applies manifests with server-side apply, and reports what changed.

use std::fmt;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::discovery::{ApiResource, Scope, pinned_kind};
use serde_json::Value;

use super::object_content::{content, helm_release, is_applied_by_us};
use super::object_ref::ObjectRef;
use super::{Cluster, Error, FIELD_MANAGER};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Created,
    Configured,
    Unchanged,
    /// The object was applied earlier and is no longer part of the release.
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

impl Cluster {
    /// Asks the server with a dry run what applying this manifest would change. The namespace is the
    /// one in the manifest, or our own.
    ///
    /// # Errors
    /// [`Error::Conflict`] if others manage a field, unless forced; [`Error::Immutable`] if a field
    /// cannot be changed; [`Error::NotOurs`] if Helm installed the object.
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

    /// Applies what was planned, unless nothing would change.
    pub async fn carry_out(&self, planned: &Planned) -> Result<Change, Error> {
        let change = planned.change();
        // An unchanged object that somebody else applied is applied too, so that the server knows
        // at the next change which fields are ours.
        if change != Change::Unchanged || !planned.before.as_ref().is_some_and(is_applied_by_us) {
            let Planned { object, api, params, patch, .. } = planned;
            self.call(format!("applying {object}"), api.patch(&object.name, params, patch)).await?;
        }
        Ok(change)
    }

    pub async fn apply(&self, manifest: &Value, force: bool) -> Result<Change, Error> {
        self.carry_out(&self.plan(manifest, force).await?).await
    }

    /// Creates our namespace if it is missing.
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

    /// Creates an object.
    ///
    /// # Errors
    /// If the object exists, [`Error::is_already_exists`] returns true.
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

    /// The API of a manifest's kind. Asks the server for the plural and scope of kinds that it may lack.
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
        let namespace = manifest.pointer("/metadata/namespace").and_then(Value::as_str);
        if let Some(resource) = known_resource(&object) {
            let api = self.scoped_api(&resource, &Scope::Namespaced, namespace);
            return Ok((object, api));
        }
        let what = format!("asking the server for kind {} ({})", object.kind, object.api_version);
        let (resource, capabilities) = self.call(what, pinned_kind(&self.client, &object.gvk())).await?;
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

/// The resource of kinds that every server has. Asking for it would take a round trip.
fn known_resource(object: &ObjectRef) -> Option<ApiResource> {
    let known = [
        ApiResource::erase::<Job>(&()),
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<Secret>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<StatefulSet>(&()),
    ];
    known.into_iter().find(|known| known.kind == object.kind && known.api_version == object.api_version)
}

/// What an apply would do to one object.
pub struct Planned {
    pub object: ObjectRef,
    api: Api<DynamicObject>,
    params: PatchParams,
    patch: Patch<Value>,
    before: Option<DynamicObject>,
    after: DynamicObject,
}

impl Planned {
    pub fn change(&self) -> Change {
        match &self.before {
            None => Change::Created,
            Some(before) if content(before) == content(&self.after) => Change::Unchanged,
            Some(_) => Change::Configured,
        }
    }

    /// The current object, without the server's bookkeeping.
    pub fn before(&self) -> Option<Value> {
        self.before.as_ref().map(content)
    }

    /// The object after the apply, without the server's bookkeeping.
    pub fn after(&self) -> Value {
        content(&self.after)
    }
}

/// Adds the protocol to all ports of a manifest. It is part of the merge key of these lists, and
/// servers up to 1.20 do not set the defaults of merge keys.
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ports_get_the_protocol_that_old_servers_require() {
        let service = json!({"spec": {"ports": [{"port": 1}, {"port": 2, "protocol": "UDP"}]}});
        let expected =
            json!({"spec": {"ports": [{"port": 1, "protocol": "TCP"}, {"port": 2, "protocol": "UDP"}]}});
        assert_eq!(with_protocols(&service), expected);
        let set = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 1}]}]}}}});
        let pointer = "/spec/template/spec/containers/0/ports/0/protocol";
        assert_eq!(with_protocols(&set).pointer(pointer), Some(&json!("TCP")));
    }
}
