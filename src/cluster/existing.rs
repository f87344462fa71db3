//! Objects that exist, and whether they belong to a release: nothing else is deleted.

use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, Preconditions};
use serde_json::Value;

use super::object_content::{content, helm_release, is_applied_by_us};
use super::object_ref::ObjectRef;
use super::{Cluster, Error};
use workqueue_core::names::ReleaseName;

/// The label of an object that names its release.
pub const RELEASE_LABEL: &str = "app.kubernetes.io/instance";

/// The annotation of an object outside of its release's namespace that names that namespace.
pub const NAMESPACE_ANNOTATION: &str = "kubectl-workqueue/release-namespace";

/// How often deleting an object is repeated that changes meanwhile.
const ATTEMPTS: u32 = 5;

/// An object that exists. Its UID tells it from a later one of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    pub object: ObjectRef,
    pub uid: String,
}

impl Cluster {
    /// An object of a release that we applied; `None` if it does not exist, if it is not the release's,
    /// or if the server no longer knows its kind.
    pub async fn find(&self, release: &ReleaseName, object: &ObjectRef) -> Result<Option<Existing>, Error> {
        let found = self.find_ours(release, object).await?;
        Ok(found.map(|found| Existing { object: object.clone(), uid: found.uid().unwrap_or_default() }))
    }

    /// The content of an object that [`find`](Self::find) finds, without the server's bookkeeping.
    pub async fn find_content(
        &self,
        release: &ReleaseName,
        object: &ObjectRef,
    ) -> Result<Option<Value>, Error> {
        Ok(self.find_ours(release, object).await?.map(|found| content(&found)))
    }

    async fn find_ours(
        &self,
        release: &ReleaseName,
        object: &ObjectRef,
    ) -> Result<Option<DynamicObject>, Error> {
        let (_, api) = match self.dynamic_api(&object.manifest()).await {
            Err(error) if error.is_not_found() => return Ok(None),
            found => found?,
        };
        let found = self.call(format!("reading {object}"), api.get_opt(&object.name)).await?;
        Ok(found.filter(|found| belongs_to(found, release, self.namespace())))
    }

    /// Deletes an object. It is not an error if it no longer exists, or if another one has its name now.
    pub async fn delete(&self, existing: &Existing, dry_run: bool) -> Result<(), Error> {
        self.delete_if(existing, None, dry_run).await.or_else(|error| match error {
            Error::Conflict { .. } => Ok(()),
            error => Err(error),
        })
    }

    /// Deletes an object if it still belongs to the release at that moment: somebody may have taken it
    /// over. Returns whether it did.
    pub async fn delete_ours(
        &self,
        release: &ReleaseName,
        existing: &Existing,
        dry_run: bool,
    ) -> Result<bool, Error> {
        let mut attempts = ATTEMPTS;
        loop {
            let found = self.find_ours(release, &existing.object).await?;
            let Some(found) = found.filter(|found| found.uid().as_deref() == Some(&existing.uid)) else {
                return Ok(false);
            };
            attempts -= 1;
            match self.delete_if(existing, found.resource_version(), dry_run).await {
                // It has changed since: a status changes often.
                Err(Error::Conflict { .. }) if attempts > 0 => {}
                deleted => return deleted.map(|()| true),
            }
        }
    }

    /// Deletes the object with this UID and, if it is given, this version.
    async fn delete_if(
        &self,
        Existing { object, uid }: &Existing,
        resource_version: Option<String>,
        dry_run: bool,
    ) -> Result<(), Error> {
        let expected = Preconditions { uid: Some(uid.clone()), resource_version };
        let params = DeleteParams { dry_run, ..DeleteParams::background() }.preconditions(expected);
        let (_, api) = self.dynamic_api(&object.manifest()).await?;
        match self.call(format!("deleting {object}"), api.delete(&object.name, &params)).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}

/// Whether we applied an object as a part of this release.
fn belongs_to(object: &DynamicObject, release: &ReleaseName, namespace: &str) -> bool {
    let noted = object.annotations().get(NAMESPACE_ANNOTATION).map(String::as_str);
    let its_namespace = noted.or(object.metadata.namespace.as_deref());
    helm_release(object).is_none()
        && is_applied_by_us(object)
        && object.labels().get(RELEASE_LABEL).is_some_and(|label| label == release.as_str())
        && its_namespace == Some(namespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_belongs_to_the_release_that_applied_it() {
        let release: ReleaseName = "r1".parse().expect("legal");
        let belongs = |change: Value| {
            let mut metadata = json!({"name": "c", "namespace": "work", "labels": {RELEASE_LABEL: "r1"},
                "annotations": {}, "managedFields": [{"manager": "kubectl-workqueue", "operation": "Apply"}]});
            for (field, value) in change.as_object().expect("fields") {
                metadata[field] = value.clone();
            }
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
            belongs_to(&serde_json::from_value(object).expect("an object"), &release, "work")
        };
        assert!(belongs(json!({})));
        assert!(!belongs(json!({"labels": {RELEASE_LABEL: "r2"}})), "another release applied it since");
        assert!(!belongs(json!({"labels": {}})));
        assert!(!belongs(json!({"managedFields": []})), "somebody else made it");
        assert!(!belongs(json!({"annotations": {"meta.helm.sh/release-name": "r1"}})));
        assert!(!belongs(json!({"namespace": "other"})), "a release there has the same name");
        let noted = |namespace: &str| json!({NAMESPACE_ANNOTATION: namespace});
        assert!(belongs(json!({"namespace": "other", "annotations": noted("work")})));
        assert!(belongs(json!({"namespace": null, "annotations": noted("work")})));
        assert!(!belongs(json!({"annotations": noted("other")})), "it was applied from there");
    }
}
