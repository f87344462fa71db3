//! What an API server's answer means for the user.

use std::fmt;

use kube::client::{AuthError, UpgradeConnectionError};

use super::diagnosis::Diagnosis;
use super::exec_plugin::PluginError;
use workqueue_core::causes::with_causes;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no usable kubeconfig, or no such context.
    #[error("no cluster to talk to: {0}")]
    Config(String),
    /// The same, and a flag has named the kubeconfig.
    #[error("no cluster to talk to: {0}")]
    ConfigFile(String),
    #[error("the client certificate in the kubeconfig is of X.509 version 1, which is not supported")]
    OldCertificate,
    /// The credential plugin of the kubeconfig.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error("the cluster at {url} cannot be reached: {reason}")]
    Unreachable { url: String, reason: String },
    #[error("the cluster at {url} does not accept the credentials in the kubeconfig")]
    Unauthorized { url: String },
    /// `rule` is the RBAC rule that would allow the request, if it is known.
    #[error("{what} is forbidden: {message}")]
    Forbidden { what: String, message: String, rule: Option<MissingRule> },
    #[error("namespace {0:?} does not exist")]
    NamespaceMissing(String),
    #[error("there is no broker of release {release:?} in namespace {namespace:?}")]
    NotInstalled { release: String, namespace: String },
    /// The broker exists, but none of its pods is ready. `seconds` is how long we waited, or 0 if we
    /// did not wait; `is_late` is whether the deadline has passed, and not given up before it.
    #[error("the broker is not ready{}", after(*.seconds))]
    BrokerNotReady { seconds: u64, is_late: bool, diagnosis: Diagnosis },
    /// A Secret lacks something that the broker or the workers need.
    #[error("secret {name:?} {problem}")]
    Secret { name: String, problem: String },
    /// Somebody else manages a field that we want to set. `message` names the fields and their
    /// managers.
    #[error("{what} conflicts with changes that others made: {message}")]
    Conflict { what: String, message: String },
    /// A field cannot be changed once the object exists, or its value is not allowed. `message` names
    /// the fields.
    #[error("{what} is not possible: {message}")]
    Immutable { what: String, message: String },
    /// The object belongs to Helm.
    #[error("{0}")]
    NotOurs(String),
    /// The tunnel to a pod broke or could not be opened.
    #[error("the tunnel to pod {pod:?} failed: {reason}")]
    Tunnel { pod: String, reason: String },
    /// Objects still existed at the deadline.
    #[error("{what} did not end within {seconds} s")]
    Deadline { what: String, seconds: u64 },
    /// Any other answer of the server. `code` is the HTTP status, if there was one.
    #[error("{what} failed: {message}")]
    Api { what: String, message: String, code: Option<u16> },
}

fn after(seconds: u64) -> String {
    if seconds == 0 { String::new() } else { format!(" after {seconds} s") }
}

impl Error {
    pub(super) fn from_kube(what: String, url: &str, namespace: &str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                401 => Self::Unauthorized { url: url.to_owned() },
                403 => Self::Forbidden {
                    what,
                    rule: MissingRule::parse(&status.message),
                    message: status.message,
                },
                404 if status.message.starts_with("namespaces ") => {
                    Self::NamespaceMissing(namespace.to_owned())
                }
                409 if status.reason == "Conflict" => Self::Conflict { what, message: status.message },
                422 => Self::Immutable { what, message: status.message },
                code => Self::Api { what, message: status.message, code: Some(code) },
            },
            kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status))
                if status.as_u16() == 403 =>
            {
                // The response to the upgrade has no body.
                let message = "the user may not forward ports".to_owned();
                Self::Forbidden { what, message, rule: Some(MissingRule::portforward()) }
            }
            kube::Error::Auth(error) => {
                Self::Config(format!("the credentials cannot be obtained: {}", auth_problem(&error)))
            }
            kube::Error::Service(source) if plugin_error(&*source).is_some() => {
                Self::Plugin(plugin_error(&*source).unwrap_or(PluginError::NoCommand))
            }
            kube::Error::HyperError(_) | kube::Error::Service(_) => {
                Self::Unreachable { url: url.to_owned(), reason: innermost(&error) }
            }
            other => Self::Api { what, message: with_causes(&other), code: None },
        }
    }

    /// Whether the server refuses the user, so that retrying does not help.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Forbidden { .. } | Self::Unauthorized { .. })
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Api { code: Some(404), .. })
    }

    /// Whether the object already exists.
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Api { code: Some(409), .. })
    }
}

/// Why there are no credentials. The words of a program that was run for them, its arguments and its output
/// may be secret.
fn auth_problem(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecRun { out, .. } => {
            format!("the program of the kubeconfig's auth provider failed ({})", out.status)
        }
        AuthError::AuthExecStart(reason) => {
            format!("the program of the kubeconfig's auth provider cannot be started: {reason}")
        }
        AuthError::ReadTokenFile(..) | AuthError::AuthExec(_) => with_causes(error),
        _ => "what the kubeconfig says, or the program of its auth provider, is not usable".to_owned(),
    }
}

/// The error of a plugin that had to run again, below the layers of the client.
fn plugin_error(error: &(dyn std::error::Error + 'static)) -> Option<PluginError> {
    let plugin = error.downcast_ref::<PluginError>().cloned();
    plugin.or_else(|| plugin_error(error.source()?))
}

/// The last source of an error: below hyper's and tower's layers, it has the actual reason.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// An RBAC rule that the user's Roles lack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingRule {
    verbs: Vec<String>,
    group: String,
    resource: String,
}

impl MissingRule {
    pub(super) fn new(verbs: &[&str], group: &str, resource: &str) -> Self {
        let verbs = verbs.iter().map(|&verb| verb.to_owned()).collect();
        Self { verbs, group: group.to_owned(), resource: resource.to_owned() }
    }

    /// WebSockets start with a GET. Servers from 1.30 on also require `create`.
    fn portforward() -> Self {
        Self::new(&["get", "create"], "", "pods/portforward")
    }

    /// Parses the API server's message: `… cannot VERB resource "RESOURCE" in API group "GROUP" …`.
    fn parse(message: &str) -> Option<Self> {
        let (verb, rest) = message.split_once(" cannot ")?.1.split_once(" resource \"")?;
        let (resource, rest) = rest.split_once('"')?;
        let group = rest.strip_prefix(" in API group \"")?.split_once('"')?.0;
        Some(if resource == "pods/portforward" {
            Self::portforward()
        } else {
            Self::new(&[verb], group, resource)
        })
    }
}

impl fmt::Display for MissingRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "apiGroups: [{:?}], resources: [{:?}], verbs: {:?}", self.group, self.resource, self.verbs)
    }
}

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Config(_) | Self::ConfigFile(_) => {
                "`kubectl config get-contexts` lists the contexts; choose one with --context, or a file with --kubeconfig".to_owned()
            }
            Self::OldCertificate => {
                "have it signed again as version 3: `openssl x509 -req` makes one if it gets an \
                                     -extfile with a line such as extendedKeyUsage=clientAuth"
                    .to_owned()
            }
            Self::Plugin(PluginError::Failed { .. }) => {
                "the plugin gets no standard input: log in first, for instance with `kubectl get pods`"
                    .to_owned()
            }
            Self::Plugin(_) => "`kubectl config view --minify` shows the plugin, under users".to_owned(),
            Self::Unreachable { .. } => "`kubectl cluster-info` shows whether the cluster is up".to_owned(),
            Self::Unauthorized { .. } => {
                "log in to the cluster again; `kubectl auth whoami` shows who you are".to_owned()
            }
            Self::Forbidden { rule, .. } => {
                let rule = rule.as_ref()?;
                format!(
                    "ask for a Role with this rule: {{{rule}}} (the chart includes Roles with all required rules: see roles in its values)"
                )
            }
            Self::NamespaceMissing(name) => {
                format!("`kubectl create namespace {name}`, or `kubectl workqueue up --create-namespace`")
            }
            Self::NotInstalled { .. } => {
                "`kubectl workqueue up` installs one; --namespace and --release name another".to_owned()
            }
            Self::BrokerNotReady { seconds: 0, .. } => {
                "`kubectl workqueue up` waits until it is ready".to_owned()
            }
            Self::BrokerNotReady { is_late: true, .. } => {
                "fix the cause and run `kubectl workqueue up` again (--timeout gives it more time)".to_owned()
            }
            Self::BrokerNotReady { .. } => {
                "more time does not help: fix the cause and run `kubectl workqueue up` again".to_owned()
            }
            Self::Secret { .. } => {
                "see auth in `kubectl workqueue render --help` and the chart's values".to_owned()
            }
            Self::Conflict { .. } => "--force-conflicts takes the fields over".to_owned(),
            Self::Immutable { message, .. } if message.contains("updates to statefulset spec") => {
                "nothing was applied. Some values, such as the size and storage class of the PVCs, cannot be \
             changed once the broker exists. Keep these values; or expand the PVCs with `kubectl edit pvc` \
             if their storage class allows it; or reinstall after `kubectl workqueue down`, which loses \
             the messages"
                    .to_owned()
            }
            Self::Immutable { .. } => {
                "nothing was applied: change the values; `kubectl workqueue diff` shows the differences"
                    .to_owned()
            }
            Self::NotOurs(_) => "choose another --release, or change this one with helm".to_owned(),
            Self::Tunnel { .. } => "the pod may have been restarted: try again".to_owned(),
            Self::Deadline { .. } => "give it more time with --timeout".to_owned(),
            Self::Api { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn api(code: u16, reason: &str, message: &str) -> Error {
        let status = Status { code, ..Status::failure(message, reason) };
        Error::from_kube("listing pods".to_owned(), "https://c", "ns1", kube::Error::Api(status.boxed()))
    }

    #[test]
    fn forbidden_names_the_missing_rule() {
        let message = "pods is forbidden: User \"u\" cannot list resource \"pods\" in API group \"\" in the namespace \"ns1\"";
        let Error::Forbidden { rule: Some(rule), .. } = api(403, "Forbidden", message) else {
            panic!("403 is forbidden and the message names a rule")
        };
        assert_eq!(rule.to_string(), r#"apiGroups: [""], resources: ["pods"], verbs: ["list"]"#);
    }

    #[test]
    fn codes_become_kinds() {
        assert!(matches!(api(401, "Unauthorized", "x"), Error::Unauthorized { .. }));
        assert!(matches!(api(404, "NotFound", "namespaces \"ns1\" not found"), Error::NamespaceMissing(_)));
        assert!(api(404, "NotFound", "pods \"a\" not found").is_not_found());
        assert!(api(409, "AlreadyExists", "jobs \"a\" already exists").is_already_exists());
        assert!(matches!(api(409, "Conflict", "x"), Error::Conflict { .. }));
    }
}
