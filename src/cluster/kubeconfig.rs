//! What a kubeconfig says without asking a server.

use kube::config::{Kubeconfig, NamedCluster};

use super::Target;

/// The context in use, and the cluster that it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextNames {
    /// The context's name.
    pub context: String,
    /// The name of the cluster's entry.
    pub cluster: String,
    /// The tool that made the cluster, where it notes itself in the entry, as minikube does.
    pub provider: Option<String>,
}

impl ContextNames {
    /// Reads the names of the target's context; `None` without a usable kubeconfig.
    pub fn of(target: &Target) -> Option<Self> {
        names(&read(target)?, target.context.as_deref())
    }
}

/// The contexts of a target's kubeconfig; none without one.
pub fn contexts(target: &Target) -> Vec<String> {
    let contexts = read(target).into_iter().flat_map(|kubeconfig| kubeconfig.contexts);
    contexts.map(|context| context.name).collect()
}

fn read(target: &Target) -> Option<Kubeconfig> {
    match &target.kubeconfig {
        Some(path) => Kubeconfig::read_from(path).ok(),
        None => Kubeconfig::read().ok(),
    }
}

fn names(kubeconfig: &Kubeconfig, wanted: Option<&str>) -> Option<ContextNames> {
    let wanted = wanted.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|context| context.name == wanted)?;
    let cluster = &context.context.as_ref()?.cluster;
    let entry = kubeconfig.clusters.iter().find(|entry| &entry.name == cluster);
    Some(ContextNames {
        context: wanted.to_owned(),
        cluster: cluster.clone(),
        provider: entry.and_then(provider),
    })
}

fn provider(entry: &NamedCluster) -> Option<String> {
    let extensions = entry.cluster.as_ref()?.extensions.as_ref()?;
    let mut providers =
        extensions.iter().filter_map(|extension| extension.extension.get("provider")?.as_str());
    providers.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minikubes_profile_is_known_by_its_extension() {
        let kubeconfig = Kubeconfig::from_yaml(
            "{current-context: c1, contexts: [{name: c1, context: {cluster: p1, user: u}}, \
             {name: c2, context: {cluster: gone, user: u}}], clusters: [{name: p1, cluster: {server: 'https://s', \
             extensions: [{name: cluster_info, extension: {provider: minikube.sigs.k8s.io}}]}}]}",
        )
        .expect("a kubeconfig");
        let found = names(&kubeconfig, None).expect("the current context");
        let provider = Some("minikube.sigs.k8s.io".to_owned());
        assert_eq!(found, ContextNames { context: "c1".to_owned(), cluster: "p1".to_owned(), provider });
        assert_eq!(names(&kubeconfig, Some("c2")).and_then(|names| names.provider), None);
        assert_eq!(names(&kubeconfig, Some("c3")), None);
    }
}
