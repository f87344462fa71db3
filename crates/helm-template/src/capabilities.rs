//! What `.Capabilities` tells templates of the cluster: the Kubernetes version and the API versions.

use std::fmt;
use std::rc::Rc;

use super::error::{Error, ErrorKind};
use super::value::{List, ListKind, Value};

/// The version of helm that this engine is equal to.
pub(crate) const HELM_VERSION: &str = "v4.1.4";
/// The commit of that version.
pub(crate) const HELM_COMMIT: &str = "05fa37973dc9e42b76e1d2883494c87174b6074f";
/// The Go version that it was built with.
pub(crate) const HELM_GO_VERSION: &str = "go1.25.9";
/// The version of the Kubernetes client that it was built with.
pub(crate) const HELM_CLIENT_VERSION: &str = "v1.35";

/// The API versions that `helm template` knows, whatever the Kubernetes version is.
const API_VERSIONS: &str = "v1 admissionregistration.k8s.io/v1 admissionregistration.k8s.io/v1alpha1 \
    admissionregistration.k8s.io/v1beta1 internal.apiserver.k8s.io/v1alpha1 apps/v1 apps/v1beta1 \
    apps/v1beta2 authentication.k8s.io/v1 authentication.k8s.io/v1alpha1 \
    authentication.k8s.io/v1beta1 authorization.k8s.io/v1 authorization.k8s.io/v1beta1 \
    autoscaling/v1 autoscaling/v2 autoscaling/v2beta1 autoscaling/v2beta2 batch/v1 batch/v1beta1 \
    certificates.k8s.io/v1 certificates.k8s.io/v1beta1 certificates.k8s.io/v1alpha1 \
    coordination.k8s.io/v1alpha2 coordination.k8s.io/v1beta1 coordination.k8s.io/v1 \
    discovery.k8s.io/v1 discovery.k8s.io/v1beta1 events.k8s.io/v1 events.k8s.io/v1beta1 \
    extensions/v1beta1 flowcontrol.apiserver.k8s.io/v1 flowcontrol.apiserver.k8s.io/v1beta1 \
    flowcontrol.apiserver.k8s.io/v1beta2 flowcontrol.apiserver.k8s.io/v1beta3 \
    networking.k8s.io/v1 networking.k8s.io/v1beta1 node.k8s.io/v1 node.k8s.io/v1alpha1 \
    node.k8s.io/v1beta1 policy/v1 policy/v1beta1 rbac.authorization.k8s.io/v1 \
    rbac.authorization.k8s.io/v1beta1 rbac.authorization.k8s.io/v1alpha1 resource.k8s.io/v1 \
    resource.k8s.io/v1beta2 resource.k8s.io/v1beta1 resource.k8s.io/v1alpha3 \
    scheduling.k8s.io/v1alpha1 scheduling.k8s.io/v1beta1 scheduling.k8s.io/v1 \
    storage.k8s.io/v1beta1 storage.k8s.io/v1 storage.k8s.io/v1alpha1 \
    storagemigration.k8s.io/v1beta1 apiextensions.k8s.io/v1beta1 apiextensions.k8s.io/v1";

/// A Kubernetes version, read from `1.20.2` or `v1.33.1-eks-595af52`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    version: String,
    normalized: String,
    major: u64,
    minor: u64,
}

impl KubeVersion {
    /// Reads a version of at least two numbers; what follows the numbers is kept but not compared.
    ///
    /// # Errors
    /// If the text is no such version.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = || Error::new(ErrorKind::KubeVersion, format!("invalid Kubernetes version {text:?}"));
        let trimmed = text.trim_start();
        let numbers = trimmed.strip_prefix('v').unwrap_or(trimmed);
        let end = end_of_numbers(numbers);
        let components = numbers[..end]
            .split('.')
            .map(str::parse::<u64>)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| invalid())?;
        let zero_prefixed = numbers.starts_with('0') && !numbers[..end].starts_with("0.");
        let [major, minor, ..] = components[..] else {
            return Err(invalid());
        };
        if zero_prefixed {
            return Err(invalid());
        }
        let normalized: Vec<String> = components.iter().map(u64::to_string).collect();
        let prefix = if text.starts_with('v') { "" } else { "v" };
        Ok(Self {
            version: format!("{prefix}{text}"),
            normalized: format!("v{}", normalized.join(".")),
            major,
            minor,
        })
    }

    /// The version as it was given, with a `v` in front.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The numbers alone, which constraints are checked against.
    #[must_use]
    pub fn normalized(&self) -> &str {
        &self.normalized
    }

    /// The major version.
    #[must_use]
    pub fn major(&self) -> u64 {
        self.major
    }

    /// The minor version.
    #[must_use]
    pub fn minor(&self) -> u64 {
        self.minor
    }

    /// The fields as Go prints a structure.
    pub(crate) fn fields(&self) -> String {
        format!("{{{} {} {} {}}}", self.version, self.normalized, self.major, self.minor)
    }
}

impl Default for KubeVersion {
    /// The version that `helm template` takes unless told otherwise.
    fn default() -> Self {
        Self { version: "v1.35.0".into(), normalized: "v1.35.0".into(), major: 1, minor: 35 }
    }
}

impl fmt::Display for KubeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)
    }
}

/// Where the leading run of dotted numbers ends.
fn end_of_numbers(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut end = 0;
    while end < bytes.len() {
        let digit = bytes[end].is_ascii_digit();
        let dot = bytes[end] == b'.' && end > 0 && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        if !digit && !dot {
            break;
        }
        end += 1;
    }
    end
}

/// `.Capabilities`.
#[derive(Debug)]
pub(crate) struct Capabilities {
    pub(crate) kube: KubeVersion,
    pub(crate) api_versions: List,
}

impl Capabilities {
    pub(crate) fn new(kube: &KubeVersion) -> Self {
        let versions = API_VERSIONS.split(' ').filter(|version| !version.is_empty());
        Self {
            kube: kube.clone(),
            api_versions: List::new(ListKind::ApiVersions, versions.map(Value::from).collect()),
        }
    }
}

/// The fields of one of these structures by their names in JSON, in the order in which Go writes them.
pub(crate) fn json_fields(value: &Value) -> Option<Vec<(&'static str, Value)>> {
    Some(match value {
        Value::Capabilities(capabilities) => vec![
            ("KubeVersion", Value::KubeVersion(Rc::new(capabilities.kube.clone()))),
            ("APIVersions", Value::List(capabilities.api_versions.clone())),
            ("HelmVersion", Value::HelmVersion),
        ],
        Value::KubeVersion(version) => vec![
            ("Version", version.version().into()),
            ("Major", version.major().to_string().into()),
            ("Minor", version.minor().to_string().into()),
        ],
        Value::HelmVersion => vec![
            ("version", HELM_VERSION.into()),
            ("git_commit", HELM_COMMIT.into()),
            ("git_tree_state", "clean".into()),
            ("go_version", HELM_GO_VERSION.into()),
            ("kube_client_version", HELM_CLIENT_VERSION.into()),
        ],
        _ => return None,
    })
}
