//! Which nodes an image is not for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cluster::{Cluster, Target};
use crate::notice::{Observer, UnfitNodes, Warning};

/// How long listing the nodes may take. If it takes longer, a misfit of architectures is not
/// detected.
const NODES_TIMEOUT: Duration = Duration::from_secs(5);

/// The names of nodes by `OS/ARCHITECTURE`.
pub(super) type NodePlatforms = BTreeMap<String, Vec<String>>;

/// The nodes by their platforms; none if there is no cluster, or if the user may not list its nodes.
pub(super) async fn node_platforms(target: &Target) -> NodePlatforms {
    let asking = async { Cluster::connect(target).await?.node_platforms("").await };
    tokio::time::timeout(NODES_TIMEOUT, asking).await.ok().and_then(Result::ok).unwrap_or_default()
}

/// A platform as nodes have it, without a variant: `linux/arm64` for `linux/arm64/v8`.
pub(super) fn short(platform: &str) -> String {
    platform.splitn(3, '/').take(2).collect::<Vec<_>>().join("/")
}

/// Warns of nodes that an image for these platforms is not for.
pub(super) fn warn_of_misfit(image: &BTreeSet<String>, nodes: &NodePlatforms, observer: &dyn Observer) {
    let unfit = unfit(image, nodes);
    if !unfit.is_empty() {
        let fits_some = nodes.keys().any(|platform| image.contains(platform));
        observer.warn(Warning::ImageMisfit { image, nodes: &unfit, fits_some });
    }
}

/// The nodes that an image is not for. Nodes of other operating systems are left out if it fits some nodes: pods
/// are kept away from them anyway.
fn unfit<'a>(image: &BTreeSet<String>, nodes: &'a NodePlatforms) -> Vec<UnfitNodes<'a>> {
    let os = |platform: &str| platform.split('/').next().unwrap_or_default().to_owned();
    let fits_some = nodes.keys().any(|platform| image.contains(platform));
    let systems: BTreeSet<String> = image.iter().map(|platform| os(platform)).collect();
    let others = nodes.iter().filter(|(platform, _)| !image.contains(*platform));
    let others = others.filter(|(platform, _)| !fits_some || systems.contains(&os(platform)));
    others.map(|(platform, names)| UnfitNodes { platform, names }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfit_for(image: &[&str], nodes: &[&str]) -> String {
        let nodes = nodes.iter().map(|platform| ((*platform).to_owned(), vec!["n1".to_owned()])).collect();
        let unfit = unfit(&image.iter().map(|platform| short(platform)).collect(), &nodes);
        unfit.iter().map(|nodes| nodes.platform).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn nodes_that_an_image_does_not_fit_are_found() {
        let mixed = ["linux/amd64", "linux/arm64", "windows/amd64"];
        assert_eq!(unfit_for(&["linux/amd64"], &mixed), "linux/arm64");
        assert_eq!(unfit_for(&["linux/amd64", "linux/arm64/v8"], &mixed), "");
        assert_eq!(unfit_for(&["linux/s390x"], &mixed), mixed.join(" "), "it runs nowhere");
        assert_eq!(unfit_for(&["linux/arm64"], &[]), "", "nobody knows of nodes");
    }
}
