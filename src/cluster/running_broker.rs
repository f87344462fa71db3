//! The broker that runs now: its pod, its image, and its version.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::ListParams;

use super::{Cluster, Error};
use workqueue_core::names::ReleaseName;

/// A broker's pod as it is, ready or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningBroker {
    pub pod: String,
    /// The container with the broker.
    pub container: String,
    pub image: String,
}

impl Cluster {
    /// The broker of a release whose data outlives its pod; `None` if there is no such pod.
    ///
    /// # Errors
    /// The pods cannot be listed.
    pub async fn broker_with_data(&self, release: &ReleaseName) -> Result<Option<RunningBroker>, Error> {
        let list = ListParams::default().labels(&release.component_selector("broker"));
        let pods = self.call("listing pods", self.api::<Pod>().list(&list)).await?;
        Ok(pods.items.iter().find_map(running_broker))
    }

    /// The version of the broker in a pod, by its own tool. Requires permission to `create`
    /// `pods/exec`.
    ///
    /// # Errors
    /// The permission is missing, or the tool fails.
    pub async fn broker_version(&self, pod: &str) -> Result<String, Error> {
        let version = self.exec(pod, ["rabbitmqctl", "--quiet", "version"]).await?;
        Ok(version.trim().to_owned())
    }
}

fn running_broker(pod: &Pod) -> Option<RunningBroker> {
    let spec = pod.spec.as_ref()?;
    let has_pvc = |volume: &k8s_openapi::api::core::v1::Volume| volume.persistent_volume_claim.is_some();
    spec.volumes.iter().flatten().find(|volume| has_pvc(volume))?;
    let container = spec.containers.first()?;
    let (pod, container, image) = (pod.name_any(), container.name.clone(), container.image.clone()?);
    Some(RunningBroker { pod, container, image })
}
