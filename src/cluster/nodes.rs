//! The platforms of the nodes, which images have to match.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;

use super::{Cluster, Error};

impl Cluster {
    /// `OS/ARCHITECTURE` of all nodes, in the same notation as for images.
    ///
    /// # Errors
    /// Often [`Error::Forbidden`]: many users may not list nodes.
    pub async fn node_platforms(&self) -> Result<BTreeSet<String>, Error> {
        let api: Api<Node> = Api::all(self.client.clone());
        let nodes = self.call("listing nodes", api.list(&ListParams::default())).await?;
        let platform = |node: Node| {
            let info = node.status?.node_info?;
            Some(format!("{}/{}", info.operating_system, info.architecture))
        };
        Ok(nodes.items.into_iter().filter_map(platform).collect())
    }
}
