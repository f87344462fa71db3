//! Lists the names of namespaces and releases, for shell completion.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use super::{Cluster, Error};
use workqueue_core::names::CHART;

impl Cluster {
    pub async fn namespaces(&self) -> Result<BTreeSet<String>, Error> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let namespaces = self.call("listing namespaces", api.list(&ListParams::default())).await?;
        Ok(namespaces.iter().map(|namespace| namespace.name_any()).collect())
    }

    /// The releases in our namespace, found by the Services of their brokers.
    pub async fn releases(&self) -> Result<BTreeSet<String>, Error> {
        let ours = ListParams::default().labels(&format!("app.kubernetes.io/name={CHART}"));
        let services = self.call("listing services", self.api::<Service>().list(&ours)).await?;
        let release = |service: &Service| service.labels().get("app.kubernetes.io/instance").cloned();
        Ok(services.iter().filter_map(release).collect())
    }
}
