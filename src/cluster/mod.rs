//! Everything that asks an API server. Knows no AMQP (the broker is a pod here, with its own tool in it),
//! no charts and no terminals.

pub mod apply;
pub mod broker_pod;
mod container_log;
pub mod delete;
pub mod diagnose;
mod error;
pub mod job;
pub mod kubeconfig;
mod listing;
pub mod logs;
mod nodes;
pub mod pod_event;
pub mod pod_stream;
mod pod_tls;
pub mod rollout;
pub mod run_watch;
mod scaling;
pub mod secret;
pub mod tunnel;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher;
use kube::{Api, Client, Config};

pub use error::{Error, MissingRule};

/// The field manager of all that is applied: server-side apply tells owners apart by it.
pub const FIELD_MANAGER: &str = "kubectl-workqueue";

/// How long one answer of the API server may take. Watches, logs and tunnels are not limited.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the TCP and TLS connection to the API server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which cluster, as kubectl's flags of the same names say it.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The kubeconfig file, instead of `$KUBECONFIG` or `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The context, instead of the current one.
    pub context: Option<String>,
    /// The namespace, instead of the context's.
    pub namespace: Option<String>,
}

/// A cluster's API server and the namespace to work in.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
    url: String,
}

impl Cluster {
    /// Reads the configuration. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no usable configuration or no such context.
    pub async fn connect(target: &Target) -> Result<Self, Error> {
        let mut config = load_config(target).await.map_err(Error::Config)?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let url = config.cluster_url.to_string();
        let namespace = target.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| Error::Config(error.to_string()))?;
        Ok(Self { client, namespace, url })
    }

    /// The namespace that a target means, `default` without a configuration. Makes no client, which
    /// would load certificates for nothing.
    pub async fn namespace_of(target: &Target) -> String {
        match &target.namespace {
            Some(namespace) => namespace.clone(),
            None => {
                let config = load_config(target).await;
                config.map_or_else(|_| "default".to_owned(), |config| config.default_namespace)
            }
        }
    }

    /// The namespace to work in.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The API server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server's version, such as `v1.20.2`.
    ///
    /// # Errors
    /// As for every request: see [`Error`].
    pub async fn server_version(&self) -> Result<String, Error> {
        let info = self.call("asking for the server's version", self.client.apiserver_version()).await?;
        Ok(info.git_version)
    }

    /// The API of one kind in our namespace.
    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Runs one request under [`REQUEST_TIMEOUT`] and turns its error into ours.
    async fn call<T>(
        &self,
        what: impl Into<String>,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        let what = what.into();
        match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(answer) => answer.map_err(|error| self.error(what, error)),
            Err(_) => Err(Error::Unreachable {
                url: self.url.clone(),
                reason: format!("no answer within {} s while {what}", REQUEST_TIMEOUT.as_secs()),
            }),
        }
    }

    fn error(&self, what: impl Into<String>, error: kube::Error) -> Error {
        Error::from_kube(what.into(), &self.url, &self.namespace, error)
    }

    /// The error of a watch that will never open because the user may not open it; `None` for all
    /// that heals.
    fn watch_refused(&self, what: &str, error: watcher::Error) -> Option<Error> {
        self.watch_error(what, error).filter(Error::is_refusal)
    }

    /// Why a watch does not open; `None` if one that was open has ended, as they do. The watcher
    /// tries again with backoff, in vain where the user may not open it.
    fn watch_error(&self, what: &str, error: watcher::Error) -> Option<Error> {
        match error {
            watcher::Error::InitialListFailed(source) | watcher::Error::WatchStartFailed(source) => {
                Some(self.error(what, source))
            }
            _ => None,
        }
    }
}

/// Reads the kubeconfig as kubectl does; without one, a pod's service account.
async fn load_config(target: &Target) -> Result<Config, String> {
    let kubeconfig = match &target.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = match kubeconfig {
        Ok(kubeconfig) => kubeconfig,
        Err(error) if target.kubeconfig.is_none() && target.context.is_none() => {
            return Config::incluster().map_err(|_| error.to_string());
        }
        Err(error) => return Err(error.to_string()),
    };
    if let Some(wanted) = &target.context {
        let known: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
        if !known.contains(&wanted.as_str()) {
            return Err(format!("there is no context {wanted:?}; there are: {}", known.join(", ")));
        }
    }
    let options = KubeConfigOptions { context: target.context.clone(), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| error.to_string())
}
