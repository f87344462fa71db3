//! Requests to the Kubernetes API server.
//!
//! Does not speak AMQP, render charts or print. It does know how the broker is deployed:
//! `broker_pod` knows the names and numbers of the AMQP ports and RabbitMQ's environment variables,
//! `secret` the URL of the broker, and `rabbitmqctl` RabbitMQ's tool in the broker's pod.

pub mod apply;
pub mod broker_pod;
mod client_certificate;
mod container_log;
pub mod delete;
pub mod diagnosis;
mod error;
mod exec_plugin;
pub mod job;
pub mod job_watch;
pub mod kubeconfig;
mod list_names;
mod log_lines;
pub mod logs;
mod nodes;
mod object_content;
pub mod object_ref;
pub mod pod_event;
pub mod pod_state;
pub mod pod_stream;
mod pod_tls;
pub mod rabbitmqctl;
pub mod rollout;
mod scaling;
pub mod secret;
pub mod stuck_pods;
pub mod tunnel;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::runtime::watcher;
use kube::{Api, Client};

pub use error::{Error, MissingRule};
pub use exec_plugin::PluginError;
use kubeconfig::load_config;

/// The field manager of all our changes. Server-side apply uses it to track who owns a field.
pub const FIELD_MANAGER: &str = "kubectl-workqueue";

/// Timeout of a request to the API server. Watches, logs and tunnels have none.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Timeout for the TCP and TLS handshakes with the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which cluster to use. The fields are kubectl's flags of the same names.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// `None` for `$KUBECONFIG` or `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// `None` for the current context.
    pub context: Option<String>,
    /// `None` for the context's namespace.
    pub namespace: Option<String>,
}

/// A client for a cluster's API server, and the namespace to work in.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
    url: String,
}

impl Cluster {
    /// Loads the configuration. Makes no request to the server yet.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no usable configuration, or no such context; [`Error::Plugin`].
    pub async fn connect(target: &Target) -> Result<Self, Error> {
        let mut config = load_config(target).await.map_err(Error::Config)?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let url = config.cluster_url.to_string();
        let namespace = target.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let plugin = exec_plugin::take(&mut config).await?;
        let auth = config.auth_info.clone();
        let client =
            Client::try_from(config).map_err(|error| match client_certificate::is_version_1(&auth) {
                true => Error::OldCertificate,
                false => Error::Config(error.to_string()),
            })?;
        let client = match plugin {
            Some(plugin) => exec_plugin::with_token(client, &namespace, plugin),
            None => client,
        };
        Ok(Self { client, namespace, url })
    }

    /// The namespace of a target; `default` without a configuration. Creates no client, to avoid
    /// loading certificates.
    pub async fn namespace_of(target: &Target) -> String {
        match &target.namespace {
            Some(namespace) => namespace.clone(),
            None => {
                let config = load_config(target).await;
                config.map_or_else(|_| "default".to_owned(), |config| config.default_namespace)
            }
        }
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The API server's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server's version, such as `v1.20.2`.
    pub async fn server_version(&self) -> Result<String, Error> {
        let info = self.call("asking for the server's version", self.client.apiserver_version()).await?;
        Ok(info.git_version)
    }

    /// The API of a kind in our namespace.
    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Runs a request with [`REQUEST_TIMEOUT`], and converts its error.
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

    /// The error of a watch that the user may not open; `None` for a temporary error.
    fn watch_refused(&self, what: &str, error: watcher::Error) -> Option<Error> {
        self.watch_error(what, error).filter(Error::is_refusal)
    }

    /// Why a watch could not be opened; `None` if an open watch has ended, which is normal. The
    /// watcher retries with backoff, even if the user may not open the watch.
    fn watch_error(&self, what: &str, error: watcher::Error) -> Option<Error> {
        match error {
            watcher::Error::InitialListFailed(source) | watcher::Error::WatchStartFailed(source) => {
                Some(self.error(what, source))
            }
            _ => None,
        }
    }
}
