//! What an API server's answer means for the user.

use std::fmt;

use kube::client::UpgradeConnectionError;

use super::diagnose::Diagnosis;
use workqueue_core::causes::with_causes;

/// What can go wrong between us and a cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable kubeconfig, or not the context asked for.
    #[error("no cluster to talk to: {0}")]
    Config(String),
    /// The API server cannot be reached.
    #[error("the cluster at {url} cannot be reached: {reason}")]
    Unreachable {
        /// The server's address.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The server does not know who we are.
    #[error("the cluster at {url} does not accept the credentials in the kubeconfig")]
    Unauthorized {
        /// The server's address.
        url: String,
    },
    /// The user may not do this.
    #[error("{what} is forbidden: {message}")]
    Forbidden {
        /// What was tried.
        what: String,
        /// The server's words.
        message: String,
        /// The RBAC rule that would allow it.
        rule: Option<MissingRule>,
    },
    /// The namespace does not exist.
    #[error("namespace {0:?} does not exist")]
    NamespaceMissing(String),
    /// No broker of this release is in the namespace.
    #[error("there is no broker of release {release:?} in namespace {namespace:?}")]
    NotInstalled {
        /// The release.
        release: String,
        /// The namespace.
        namespace: String,
    },
    /// The broker is there, but no pod of it is ready.
    #[error("the broker is not ready{}", after(*.seconds))]
    BrokerNotReady {
        /// How long it was waited for, in seconds; 0 when it was not.
        seconds: u64,
        /// The state of its pods.
        diagnosis: Diagnosis,
    },
    /// A Secret lacks what the broker or the workers need.
    #[error("secret {name:?} {problem}")]
    Secret {
        /// The Secret.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Somebody else manages a field that we want to set.
    #[error("{what} conflicts with changes that others made: {message}")]
    Conflict {
        /// What was tried.
        what: String,
        /// The server's words: fields and their managers.
        message: String,
    },
    /// A field cannot be changed once the object exists, or its value is not allowed.
    #[error("{what} is not possible: {message}")]
    Immutable {
        /// What was tried.
        what: String,
        /// The server's words: the fields.
        message: String,
    },
    /// The object is not ours to change.
    #[error("{0}")]
    NotOurs(String),
    /// The tunnel to a pod broke or never came about.
    #[error("the tunnel to pod {pod:?} failed: {reason}")]
    Tunnel {
        /// The pod.
        pod: String,
        /// What went wrong.
        reason: String,
    },
    /// Objects were still there at the deadline.
    #[error("{what} did not end within {seconds} s")]
    Deadline {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
    },
    /// Any other answer of the server.
    #[error("{what} failed: {message}")]
    Api {
        /// What was tried.
        what: String,
        /// The server's words.
        message: String,
        /// The HTTP status, where there was one.
        code: Option<u16>,
    },
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
                // The upgrade's answer carries no body.
                let message = "the user may not forward ports".to_owned();
                Self::Forbidden { what, message, rule: Some(MissingRule::portforward()) }
            }
            kube::Error::Auth(error) => {
                Self::Config(format!("the credentials cannot be obtained: {}", with_causes(&error)))
            }
            kube::Error::HyperError(_) | kube::Error::Service(_) => {
                Self::Unreachable { url: url.to_owned(), reason: innermost(&error) }
            }
            other => Self::Api { what, message: with_causes(&other), code: None },
        }
    }

    /// Whether it is the user whom the server refuses, now and at every further attempt.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Forbidden { .. } | Self::Unauthorized { .. })
    }

    /// Whether the server said that the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Api { code: Some(404), .. })
    }

    /// Whether the server said that the object exists already.
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Api { code: Some(409), .. })
    }
}

/// The last source of an error: under hyper's and tower's layers, the one that says something.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// A rule that a Role lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingRule {
    verbs: Vec<String>,
    group: String,
    resource: String,
}

impl MissingRule {
    fn new(verbs: &[&str], group: &str, resource: &str) -> Self {
        let verbs = verbs.iter().map(|&verb| verb.to_owned()).collect();
        Self { verbs, group: group.to_owned(), resource: resource.to_owned() }
    }

    /// WebSockets start with a GET, and servers from 1.30 on ask for `create` as well.
    fn portforward() -> Self {
        Self::new(&["get", "create"], "", "pods/portforward")
    }

    /// Reads the API server's sentence: `… cannot VERB resource "RESOURCE" in API group "GROUP" …`.
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
        Self::Config(_) => "`kubectl config get-contexts` lists the contexts; choose a file with --kubeconfig".to_owned(),
        Self::Unreachable { .. } => "`kubectl cluster-info` tells whether the cluster is up".to_owned(),
        Self::Unauthorized { .. } => "log in to the cluster again; `kubectl auth whoami` tells who you are".to_owned(),
        Self::Forbidden { rule, .. } => {
            let rule = rule.as_ref()?;
            format!("ask for a Role with this rule: {{{rule}}} (the chart brings one with all that is needed: see operatorRole in its values)")
        }
        Self::NamespaceMissing(name) => format!("`kubectl create namespace {name}`, or `up --create-namespace`"),
        Self::NotInstalled { .. } => {
            "`kubectl workqueue up` installs one; --namespace and --release name another".to_owned()
        }
        Self::BrokerNotReady { seconds: 0, .. } => "`kubectl workqueue up` waits until it is".to_owned(),
        Self::BrokerNotReady { .. } => {
            "when the cause is mended, `kubectl workqueue up` goes on from here (--timeout gives it more time)".to_owned()
        }
        Self::Secret { .. } => "see auth in `kubectl workqueue render --help` and the chart's values".to_owned(),
        Self::Conflict { .. } => "--force-conflicts takes the fields over".to_owned(),
        Self::Immutable { message, .. } if message.contains("updates to statefulset spec") => {
            "nothing was applied. The claims' size and class, among others, are fixed once the broker \
             exists: leave these values as they are; or let the claims grow with `kubectl edit pvc`, where \
             their class allows it; or start anew with `kubectl workqueue down`, which loses the messages"
                .to_owned()
        }
        Self::Immutable { .. } => "nothing was applied: change the values, see `kubectl workqueue diff`".to_owned(),
        Self::NotOurs(_) => "choose another --release, or change it with helm".to_owned(),
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
