//! Lists and reads objects that are only looked at, and keeps a pod for a moment.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::object_ref::ObjectRef;
use super::{Cluster, Error};

impl Cluster {
    /// All objects of a kind in our namespace.
    ///
    /// # Errors
    /// Often [`Error::Forbidden`].
    pub async fn objects_here<K>(&self) -> Result<Vec<K>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        self.objects(self.api::<K>()).await
    }

    /// All objects of a kind that is in no namespace.
    ///
    /// # Errors
    /// Often [`Error::Forbidden`].
    pub async fn objects_everywhere<K>(&self) -> Result<Vec<K>, Error>
    where
        K: Resource<Scope = ClusterResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        self.objects(Api::<K>::all(self.client.clone())).await
    }

    async fn objects<K>(&self, api: Api<K>) -> Result<Vec<K>, Error>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let what = format!("listing {}", K::plural(&()));
        Ok(self.call(what, api.list(&ListParams::default())).await?.items)
    }

    /// Our namespace as an object; `None` if it does not exist.
    pub async fn namespace_object(&self) -> Result<Option<Namespace>, Error> {
        let (api, name): (Api<Namespace>, _) = (Api::all(self.client.clone()), self.namespace());
        self.call(format!("reading namespace/{name}"), api.get_opt(name)).await
    }

    /// Makes sure that our namespace exists, as far as the user may know.
    ///
    /// # Errors
    /// [`Error::NamespaceMissing`].
    pub async fn require_namespace(&self) -> Result<(), Error> {
        match self.namespace_object().await {
            Ok(None) => Err(Error::NamespaceMissing(self.namespace().to_owned())),
            // Many users may not read it. The request that follows, or came before, says more.
            Ok(Some(_)) | Err(_) => Ok(()),
        }
    }

    /// Whether an object exists.
    pub async fn exists(&self, object: &ObjectRef) -> Result<bool, Error> {
        let (_, api) = self.dynamic_api(&object.manifest()).await?;
        Ok(self.call(format!("reading {object}"), api.get_opt(&object.name)).await?.is_some())
    }

    /// A pod; `None` if it does not exist.
    pub async fn find_pod(&self, name: &str) -> Result<Option<Pod>, Error> {
        self.call(format!("reading pod {name}"), self.api::<Pod>().get_opt(name)).await
    }

    /// Deletes a pod that does nothing. It is not an error if it does not exist.
    pub async fn delete_pod(&self, name: &str) -> Result<(), Error> {
        let params = DeleteParams { grace_period_seconds: Some(1), ..DeleteParams::default() };
        match self.call(format!("deleting pod {name}"), self.api::<Pod>().delete(name, &params)).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}
