//! Reads the kubeconfig.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError, NamedCluster};

use super::{Error, Target};
use workqueue_core::causes::with_causes;

/// The names of a context and its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextNames {
    pub context: String,
    /// The name of the cluster's entry in the kubeconfig.
    pub cluster: String,
    /// The tool that created the cluster, if it recorded itself in the entry, as minikube does.
    pub provider: Option<String>,
}

impl ContextNames {
    /// The names for the target's context; `None` without a usable kubeconfig.
    pub fn of(target: &Target) -> Option<Self> {
        names(&read(target).ok()?, target.context.as_deref())
    }
}

/// The contexts in a target's kubeconfig; empty without a kubeconfig.
pub fn contexts(target: &Target) -> Vec<String> {
    let contexts = read(target).into_iter().flat_map(|kubeconfig| kubeconfig.contexts);
    contexts.map(|context| context.name).collect()
}

/// Loads the kubeconfig as kubectl does; without one, a pod's service account.
///
/// # Errors
/// [`Error::Config`]; [`Error::ConfigFile`] if a flag names a file that cannot be read.
pub(super) async fn load_config(target: &Target) -> Result<Config, Error> {
    let kubeconfig = match read(target) {
        Ok(kubeconfig) => kubeconfig,
        Err(error) if target.kubeconfig.is_none() && target.context.is_none() => {
            return Config::incluster().map_err(|_| Error::Config(error));
        }
        Err(error) if target.kubeconfig.is_some() => return Err(Error::ConfigFile(error)),
        Err(error) => return Err(Error::Config(error)),
    };
    let known: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    let wanted = target.context.as_ref().or(kubeconfig.current_context.as_ref());
    if wanted.is_none_or(|wanted| !known.contains(&wanted.as_str())) {
        return Err(Error::Config(no_context(wanted.map(String::as_str), &known)));
    }
    let options = KubeConfigOptions { context: target.context.clone(), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    config.map_err(|error| Error::Config(words(&error)))
}

/// What is wrong, and where. A parser's own words quote lines, and there are passwords in them.
fn words(error: &KubeconfigError) -> String {
    let KubeconfigError::Parse(reason) = error else { return with_causes(error) };
    let place = reason.location().map(|place| format!(", line {}, column {}", place.line(), place.column()));
    format!("the kubeconfig is not readable as YAML{}", place.unwrap_or_default())
}

fn no_context(wanted: Option<&str>, known: &[&str]) -> String {
    let missing = match wanted {
        Some(wanted) if !wanted.is_empty() => format!("there is no context {wanted:?}"),
        _ => "the kubeconfig has no current context".to_owned(),
    };
    match known {
        [] => format!("{missing}, and no other one"),
        known => format!("{missing}; there are: {}", known.join(", ")),
    }
}

fn read(target: &Target) -> Result<Kubeconfig, String> {
    match &target.kubeconfig {
        Some(path) => read_file(path),
        None => read_list(&std::env::var_os("KUBECONFIG").unwrap_or_default()),
    }
}

/// Reads one file. The error names it.
fn read_file(path: &Path) -> Result<Kubeconfig, String> {
    Kubeconfig::read_from(path).map_err(|error| match error {
        error @ KubeconfigError::ReadConfig(..) => words(&error),
        error => format!("{}: {}", path.display(), words(&error)),
    })
}

/// Reads and merges the files of a list as kubectl does: those that are missing are skipped. If all
/// are, the error names the first.
fn read_list(list: &OsStr) -> Result<Kubeconfig, String> {
    let paths: Vec<PathBuf> = std::env::split_paths(list).collect();
    let mut there = paths.iter().filter(|path| path.try_exists().unwrap_or(true)).peekable();
    if there.peek().is_none() {
        return Kubeconfig::read().map_err(|error| words(&error));
    }
    there.try_fold(Kubeconfig::default(), |merged, path| {
        merged.merge(read_file(path)?).map_err(|error| words(&error))
    })
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
    fn an_unreadable_kubeconfig_is_not_quoted() {
        for bad in [
            "users:\n- name: u\n  user: {token: s3cret, password: [s3cret",
            "users:\n- name: u\n  user: s3cret",
            "users: s3cret",
            "{users: [{name: u, user: {username: {s3cret: 1}}}]}",
        ] {
            let said = words(&Kubeconfig::from_yaml(bad).expect_err("it is broken"));
            assert!(said.starts_with("the kubeconfig is not readable as YAML"), "{said}");
            assert!(!said.contains("s3cret"), "{said}");
        }
    }

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
