//! Clusters on the developer's machine. Their nodes do not see the engine's images until these are
//! loaded.

use std::fmt;

use super::subprocess::{Interrupt, OutputMode, Subprocess};
use super::{Error, Reference, Tool};

/// How minikube marks its entries in a kubeconfig.
const MINIKUBE_PROVIDER: &str = "minikube.sigs.k8s.io";

/// A cluster that has its own tool for loading images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalCluster {
    /// The cluster's name.
    Kind(String),
    /// The profile.
    Minikube(String),
    /// The cluster's name.
    K3d(String),
}

impl LocalCluster {
    /// Recognizes a local cluster by the names in a kubeconfig, and by the provider that minikube
    /// records there. If the context was renamed, the cluster's entry still has the tool's name.
    pub fn detect(context: &str, cluster: &str, provider: Option<&str>) -> Option<Self> {
        let after = |prefix: &str| {
            let named = [cluster, context].into_iter().find_map(|name| name.strip_prefix(prefix));
            named.filter(|name| !name.is_empty()).map(str::to_owned)
        };
        if provider == Some(MINIKUBE_PROVIDER) || cluster == "minikube" || context == "minikube" {
            return Some(Self::Minikube(cluster.to_owned()));
        }
        after("kind-").map(Self::Kind).or_else(|| after("k3d-").map(Self::K3d))
    }

    /// The command line that loads an image, program first.
    pub fn command(&self, image: &Reference) -> Vec<String> {
        let image = image.to_string();
        let words = match self {
            Self::Kind(name) => ["kind", "load", "docker-image", &image, "--name", name],
            Self::Minikube(profile) => ["minikube", "image", "load", &image, "-p", profile],
            Self::K3d(name) => ["k3d", "image", "import", &image, "-c", name],
        };
        words.map(str::to_owned).to_vec()
    }

    /// Loads an image.
    ///
    /// # Errors
    /// The tool is missing or fails, or the user interrupts it.
    pub async fn load(
        &self,
        image: &Reference,
        output: OutputMode,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<(), Error> {
        let command = self.command(image);
        let process = Subprocess { program: &command[0], tool: Tool::Loader, output };
        let args: Vec<_> = command[1..].iter().map(Into::into).collect();
        process.run(&args, 2, interrupt).await?.into_result()
    }
}

impl fmt::Display for LocalCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(name) => write!(f, "kind's cluster {name}"),
            Self::Minikube(profile) => write!(f, "minikube's cluster {profile}"),
            Self::K3d(name) => write!(f, "k3d's cluster {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_clusters_are_known_by_their_names() {
        let detect = LocalCluster::detect;
        assert_eq!(detect("kind-dev", "kind-dev", None), Some(LocalCluster::Kind("dev".to_owned())));
        assert_eq!(detect("mine", "k3d-dev", None), Some(LocalCluster::K3d("dev".to_owned())));
        assert_eq!(detect("minikube", "minikube", None), Some(LocalCluster::Minikube("minikube".to_owned())));
        assert_eq!(
            detect("p2", "p2", Some(MINIKUBE_PROVIDER)),
            Some(LocalCluster::Minikube("p2".to_owned()))
        );
        assert_eq!(detect("prod", "prod.example", None), None);
        assert_eq!(detect("kind-", "kind-", None), None);
    }

    #[test]
    fn command_lines_are_the_tools_own() {
        let image: Reference = "worker:1".parse().expect("legal");
        let line = |cluster: LocalCluster| cluster.command(&image).join(" ");
        assert_eq!(line(LocalCluster::Kind("a".to_owned())), "kind load docker-image worker:1 --name a");
        assert_eq!(line(LocalCluster::Minikube("a".to_owned())), "minikube image load worker:1 -p a");
        assert_eq!(line(LocalCluster::K3d("a".to_owned())), "k3d image import worker:1 -c a");
    }
}
