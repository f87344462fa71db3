//! Credential plugins of the kubeconfig (`exec`): run by us rather than by the client library, which
//! lets them read our standard input and starts them again for every client.
//!
//! Standard input belongs to the items. A plugin finds an empty one, and is told so (`interactive:
//! false` in KUBERNETES_EXEC_INFO). What it says on stderr is passed on, as kubectl does: it may ask
//! the user to open a page. What it writes to stdout are credentials and is never shown.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{AUTHORIZATION, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use kube::client::Body;
use kube::config::{AuthInfo, ExecConfig};
use kube::{Client, Config};
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;
use tokio::sync::Mutex;
use tower::BoxError;

/// A token that expires within this time is replaced: the request takes time, and clocks differ.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// Why a plugin has given no credentials.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PluginError {
    #[error("the kubeconfig names no command for its credential plugin")]
    NoCommand,
    #[error("credential plugin {command:?} cannot be started: {reason}{}", hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default())]
    Start { command: String, reason: String, hint: Option<String> },
    #[error("credential plugin {command:?} failed ({status}); what it said is above")]
    Failed { command: String, status: ExitStatus },
    /// Not even a part of the answer is shown.
    #[error("credential plugin {command:?} gave no credentials: {reason}")]
    Answer { command: String, reason: &'static str },
}

/// A plugin of this process, and what it gave last.
#[derive(Debug)]
pub(super) struct Plugin {
    exec: ExecConfig,
    current: Mutex<Option<Credentials>>,
}

#[derive(Clone)]
struct Credentials {
    token: Option<HeaderValue>,
    /// Certificate and key in PEM.
    identity: Option<(String, String)>,
    expires: Option<Timestamp>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Takes the plugin out of a configuration and runs it, unless an earlier call for the same cluster
/// has. A client certificate it gave is put into the configuration; its tokens are
/// for [`with_token`].
///
/// # Errors
/// See [`PluginError`].
pub(super) async fn take(config: &mut Config) -> Result<Option<Arc<Plugin>>, PluginError> {
    let auth = &config.auth_info;
    // Those come first, as in kubectl.
    if auth.token.is_some() || auth.token_file.is_some() || auth.username.is_some() {
        return Ok(None);
    }
    let Some(exec) = config.auth_info.exec.take() else { return Ok(None) };
    let plugin = shared(&config.cluster_url.to_string(), exec);
    let credentials = plugin.credentials().await?;
    if let Some((certificate, key)) = &credentials.identity {
        set_identity(&mut config.auth_info, certificate, key);
    }
    Ok(credentials.token.is_some().then_some(plugin))
}

/// The plugin of this process for a cluster.
fn shared(url: &str, exec: ExecConfig) -> Arc<Plugin> {
    type Known = Vec<(String, Arc<Plugin>)>;
    static KNOWN: StdMutex<Known> = StdMutex::new(Vec::new());
    let name = format!("{url}\n{}", serde_json::to_string(&exec).unwrap_or_default());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, plugin)) = known.iter().find(|(other, _)| *other == name) {
        return plugin.clone();
    }
    let plugin = Arc::new(Plugin { exec, current: Mutex::new(None) });
    known.push((name, plugin.clone()));
    plugin
}

fn set_identity(auth: &mut AuthInfo, certificate: &str, key: &str) {
    let data = json!({
        "client-certificate-data": BASE64.encode(certificate),
        "client-key-data": BASE64.encode(key),
    });
    if let Ok(identity) = serde_json::from_value::<AuthInfo>(data) {
        auth.client_certificate_data = identity.client_certificate_data;
        auth.client_key_data = identity.client_key_data;
    }
}

impl Plugin {
    /// Credentials that are valid now; the plugin runs only if there are none.
    async fn credentials(&self) -> Result<Credentials, PluginError> {
        let mut current = self.current.lock().await;
        let valid = |credentials: &Credentials| {
            credentials.expires.is_none_or(|expires| Timestamp::now() + MARGIN < expires)
        };
        if let Some(credentials) = current.as_ref().filter(|credentials| valid(credentials)) {
            return Ok(credentials.clone());
        }
        let credentials = self.run().await?;
        *current = Some(credentials.clone());
        Ok(credentials)
    }

    async fn run(&self) -> Result<Credentials, PluginError> {
        let name = self.exec.command.clone().ok_or(PluginError::NoCommand)?;
        let mut command = Command::new(&name);
        command.args(self.exec.args.iter().flatten());
        let variables = self.exec.env.iter().flatten();
        command.envs(variables.filter_map(|variable| Some((variable.get("name")?, variable.get("value")?))));
        command.env("KUBERNETES_EXEC_INFO", self.request());
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).stdout(Stdio::piped()).kill_on_drop(true);
        let output = match command.spawn() {
            Ok(child) => child.wait_with_output().await,
            Err(error) => Err(error),
        };
        let output = output.map_err(|error| PluginError::Start {
            command: name.clone(),
            reason: error.to_string(),
            hint: self.exec.install_hint.clone(),
        })?;
        if !output.status.success() {
            return Err(PluginError::Failed { command: name, status: output.status });
        }
        read(&output.stdout).map_err(|reason| PluginError::Answer { command: name, reason })
    }

    /// What plugins are told: client.authentication.k8s.io, ExecCredential.
    fn request(&self) -> String {
        let mut spec = json!({"interactive": false});
        if let Some(cluster) = self.exec.cluster.as_ref().filter(|_| self.exec.provide_cluster_info) {
            spec["cluster"] = json!(cluster);
        }
        json!({"apiVersion": self.exec.api_version, "kind": "ExecCredential", "spec": spec}).to_string()
    }
}

#[derive(Deserialize)]
struct Answer {
    status: Option<AnswerStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerStatus {
    expiration_timestamp: Option<Timestamp>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Reads an answer, which is JSON, or YAML as kubectl takes it too.
fn read(answer: &[u8]) -> Result<Credentials, &'static str> {
    let answer: Answer =
        serde_yaml::from_slice(answer).map_err(|_| "what it wrote is not an ExecCredential")?;
    let status = answer.status.ok_or("its answer has no status")?;
    let identity = status.client_certificate_data.zip(status.client_key_data);
    let header = |token: String| -> Result<HeaderValue, &'static str> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(|_| "its token cannot be sent in a header")?;
        value.set_sensitive(true);
        Ok(value)
    };
    let token = status.token.filter(|token| !token.trim().is_empty()).map(header).transpose()?;
    if token.is_none() && identity.is_none() {
        return Err("its answer has neither a token nor a certificate with its key");
    }
    Ok(Credentials { token, identity, expires: status.expiration_timestamp })
}

/// A client that adds the plugin's token to each request.
pub(super) fn with_token(client: Client, namespace: &str, plugin: Arc<Plugin>) -> Client {
    let service = tower::service_fn(move |mut request: http::Request<Body>| {
        let (client, plugin) = (client.clone(), plugin.clone());
        async move {
            if let Some(token) = plugin.credentials().await?.token {
                request.headers_mut().insert(AUTHORIZATION, token);
            }
            Ok::<_, BoxError>(client.send(request).await?)
        }
    });
    Client::new(service, namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_never_shown() {
        let token = |answer: &str| read(answer.as_bytes()).map(|credentials| credentials.token.expect("one"));
        assert_eq!(token(r#"{"status": {"token": "t1\n"}}"#).expect("good"), "Bearer t1");
        assert_eq!(token("status:\n  token: t2").expect("YAML"), "Bearer t2");
        for bad in ["", "secret", "{}", r#"{"status": {}}"#, r#"{"status": {"token": ""}}"#] {
            assert!(!read(bad.as_bytes()).expect_err(bad).contains("secret"));
        }
        let credentials = read(br#"{"status": {"token": "secret"}}"#).expect("good");
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
