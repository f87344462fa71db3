//! The platforms of the nodes, which images and workers have to match.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;

use super::{Cluster, Error};

impl Cluster {
    /// The names of the nodes with these labels, in the syntax of label selectors, or of all nodes, by their
    /// `OS/ARCHITECTURE`, in the same notation as for images.
    ///
    /// # Errors
    /// Often [`Error::Forbidden`]: many users may not list nodes.
    pub async fn node_platforms(&self, selector: &str) -> Result<BTreeMap<String, Vec<String>>, Error> {
        let api: Api<Node> = Api::all(self.client.clone());
        let list = ListParams {
            label_selector: (!selector.is_empty()).then(|| selector.to_owned()),
            ..ListParams::default()
        };
        let mut platforms: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for node in self.call("listing nodes", api.list(&list)).await?.items {
            let Some(info) = node.status.and_then(|status| status.node_info) else { continue };
            let platform = format!("{}/{}", info.operating_system, info.architecture);
            platforms.entry(platform).or_default().extend(node.metadata.name);
        }
        Ok(platforms)
    }

    /// Whether there is a node with these labels, in the syntax of label selectors. Reads the metadata
    /// of one node at most: a cluster may have thousands.
    ///
    /// # Errors
    /// As for [`node_platforms`](Self::node_platforms).
    pub async fn has_node(&self, selector: &str) -> Result<bool, Error> {
        let api: Api<Node> = Api::all(self.client.clone());
        let first = ListParams::default().labels(selector).limit(1);
        let nodes = self.call("listing nodes", api.list_metadata(&first)).await?;
        Ok(!nodes.items.is_empty())
    }
}
