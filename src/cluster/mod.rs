//! Requests to the Kubernetes API server.
//!
//! Does not speak AMQP, render charts or print. It does know how the broker is deployed:
//! `broker_pod` knows the names and numbers of the AMQP ports and RabbitMQ's environment variables,
//! `secret` the URL of the broker, and `rabbitmqctl` RabbitMQ's tool in the broker's pod.

pub mod access;
pub mod api_server;
pub mod apply;
pub mod broker_pod;
pub mod broker_users;
mod client_certificate;
pub mod config_maps;
mod container_log;
pub mod delete;
pub mod diagnosis;
mod error;
mod exec_plugin;
pub mod existing;
pub mod image_pull;
pub mod job;
pub mod job_watch;
pub mod kubeconfig;
mod list_names;
mod log_lines;
pub mod log_selection;
pub mod logs;
mod look;
mod nodes;
mod object_content;
pub mod object_ref;
pub mod pod_event;
pub mod pod_start;
pub mod pod_state;
pub mod pod_stream;
mod pod_tls;
pub mod rabbitmqctl;
pub mod rollout;
pub mod running_broker;
mod scaling;
pub mod secret;
pub mod start_wait;
pub mod stuck_pods;
pub mod tunnel;
pub mod warning_events;

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

/// How long a connection to the API server may be silent while something is expected from it. A peer
/// that is gone without a word, behind a load balancer or a VPN, is noticed by this. Silent logs are
/// opened again; watches end earlier. Tunnels notice it by AMQP's heartbeats.
const SILENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 45 });

/// After how many seconds the server ends a watch, so that a silent one is an error.
const WATCH_SECONDS: u32 = 30;

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
    /// For watches and logs: a connection that is silent for [`SILENCE`] breaks. Requests have a time
    /// limit of their own, and their idle connections are used again.
    streams: Client,
    namespace: String,
    url: String,
}

impl Cluster {
    /// Loads the configuration. Makes no request to the server yet.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no usable configuration, or no such context; [`Error::Plugin`].
    pub async fn connect(target: &Target) -> Result<Self, Error> {
        let mut config = load_config(target).await?;
        if let Some(namespace) = &target.namespace {
            namespace.clone_into(&mut config.default_namespace);
        }
        Self::with_config(config).await
    }

    /// A client with this configuration, in its default namespace.
    async fn with_config(mut config: kube::Config) -> Result<Self, Error> {
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let (url, namespace) = (config.cluster_url.to_string(), config.default_namespace.clone());
        let plugin = exec_plugin::take(&mut config).await?;
        let make = |config: kube::Config| {
            let auth = config.auth_info.clone();
            let client =
                Client::try_from(config).map_err(|error| match client_certificate::is_version_1(&auth) {
                    true => Error::OldCertificate,
                    false => Error::Config(error.to_string()),
                })?;
            Ok::<_, Error>(match &plugin {
                Some(plugin) => exec_plugin::with_token(client, &namespace, plugin.clone()),
                None => client,
            })
        };
        let client = make(config.clone())?;
        config.read_timeout = Some(SILENCE);
        // Otherwise the time that a connection was idle counts.
        config.reset_reader_on_write = true;
        let streams = make(config)?;
        Ok(Self { client, streams, namespace, url })
    }

    /// The same over connections that notice a silent server: for watches and logs.
    fn for_streams(&self) -> Self {
        Self { client: self.streams.clone(), ..self.clone() }
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
        self.call_within(REQUEST_TIMEOUT, what, request).await
    }

    /// The same with another time limit.
    async fn call_within<T>(
        &self,
        limit: Duration,
        what: impl Into<String>,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        let what = what.into();
        match tokio::time::timeout(limit, request).await {
            Ok(answer) => answer.map_err(|error| self.error(what, error)),
            Err(_) => Err(Error::Unreachable {
                url: self.url.clone(),
                reason: format!("no answer within {} s while {what}", limit.as_secs()),
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

    /// Whether the user may not open a watch.
    fn is_refused(error: &watcher::Error) -> bool {
        match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => matches!(status.code, 401 | 403),
            _ => false,
        }
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

/// The settings of every watch.
fn watch_config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::job::JobState;
    use super::job_watch::RunEvent;
    use super::*;

    /// Answers a list; then nothing more comes, and no connection is closed.
    async fn answer_lists(mut stream: TcpStream) {
        let mut request = Vec::new();
        loop {
            match stream.read_u8().await {
                Ok(byte) => request.push(byte),
                Err(_) => return,
            }
            if !request.ends_with(b"\r\n\r\n") {
                continue;
            }
            if memchr::memmem::find(&request, b"watch=").is_none() {
                let list = r#"{"apiVersion":"batch/v1","kind":"JobList","metadata":{"resourceVersion":"1"},"items":[]}"#;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    list.len()
                );
                stream.write_all((head + list).as_bytes()).await.expect("it listens");
            } else {
                let head =
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes()).await.expect("it listens");
            }
            request.clear();
        }
    }

    #[tokio::test]
    async fn a_server_that_is_gone_without_a_word_is_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move {
            // The first connections work. Behind later ones, nobody reads.
            let mut open = Vec::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.expect("it connects");
                if number < 1 { _ = tokio::spawn(answer_lists(stream)) } else { open.push(stream) }
            }
        });
        let config = kube::Config::new(url.parse().expect("a URL"));
        let cluster = Cluster::with_config(config).await.expect("a client");
        let mut events = std::pin::pin!(cluster.watch_run(&JobState::default()));
        let watching = async {
            let mut seen = Vec::new();
            while let Some(event) = events.next().await {
                match event.expect("no refusal") {
                    RunEvent::State(_) => seen.push("state"),
                    RunEvent::Unreachable(_) => return seen,
                }
            }
            seen
        };
        let seen = tokio::time::timeout(Duration::from_secs(60), watching).await;
        assert_eq!(seen.expect("it was noticed"), ["state"]);
    }
}
