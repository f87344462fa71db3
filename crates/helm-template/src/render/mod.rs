//! Renders a chart: values in, manifests out.

mod execute;

use std::thread;

use super::error::{Error, ErrorKind, Result};
use super::json;
use super::kube_version::KubeVersion;
use super::limits::STACK_SIZE;
use super::load::Chart;
use super::lookup::Lookup;
use super::manifest::{self, Manifest, Sorted};
use super::schema;
use super::semver::{Constraints, Version};
use super::value::Value;
use super::values::{Node, ValueSources, coalesce_values, resolve};
use execute::{Printed, execute};

/// What is being installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The release's name.
    pub name: String,
    /// The namespace that it is installed into.
    pub namespace: String,
    /// Whether it is an upgrade rather than an installation.
    pub is_upgrade: bool,
    /// The number of the revision, starting at 1.
    pub revision: u32,
}

impl Release {
    /// A first revision.
    #[must_use]
    pub fn new(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self { name: name.into(), namespace: namespace.into(), is_upgrade: false, revision: 1 }
    }
}

/// A file in `crds/`: custom resource definitions outside the templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrdFile {
    /// The path of the file, with the chart's name in front.
    pub source: String,
    /// The text of the file, which may hold several documents.
    pub text: String,
}

/// A rendered chart.
#[derive(Debug, Clone, Default)]
pub struct Rendered {
    /// The manifests in the order of installation.
    pub manifests: Vec<Manifest>,
    /// The hooks, which helm runs at certain points and does not install with the rest.
    pub hooks: Vec<Manifest>,
    /// The definitions in `crds/`, which `helm template` prints only on request.
    pub crds: Vec<CrdFile>,
    /// The text of `NOTES.txt`, if the chart has one.
    pub notes: Option<String>,
    /// The values that the templates saw.
    pub values: serde_json::Value,
}

impl Rendered {
    /// The text that `helm template` prints.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut manifests = String::new();
        for manifest in &self.manifests {
            manifest.write(&mut manifests);
        }
        let mut out = manifests.trim().to_owned();
        out.push('\n');
        for hook in &self.hooks {
            hook.write(&mut out);
        }
        out
    }
}

/// Renders a chart. This starts a thread whose stack is large enough for the deepest values and
/// templates that are accepted, and waits for it.
///
/// # Errors
/// If helm refuses the chart as well: values cannot be read or do not meet the schema, the chart does
/// not support the Kubernetes version, a template does not parse or fails, or its output is not a
/// manifest. Also if the chart exceeds a limit on memory or work.
pub fn render(
    chart: &Chart,
    values: &ValueSources,
    release: &Release,
    kube: &KubeVersion,
    lookup: &dyn Lookup,
) -> Result<Rendered> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("render".into()).stack_size(STACK_SIZE);
        let rendering = builder
            .spawn_scoped(scope, || render_here(chart, values, release, kube, lookup))
            .map_err(|error| Error::new(ErrorKind::Limit, format!("cannot start the renderer: {error}")))?;
        rendering.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Limit, "the renderer failed")))
    })
}

fn render_here(
    chart: &Chart,
    values: &ValueSources,
    release: &Release,
    kube: &KubeVersion,
    lookup: &dyn Lookup,
) -> Result<Rendered> {
    if chart.metadata.is_library() {
        let message = "library charts are not installable";
        return Err(Error::new(ErrorKind::Chart, message).on("Chart.yaml"));
    }
    check_name(&release.name)?;
    let user = values.merge()?;
    let root = resolve(chart, &user)?;
    let values = coalesce_values(&root, &user)?;
    let plain_values = json::to_serde(&Value::Map(values.clone()));
    schema::validate(&root, &plain_values)?;
    check_kube_version(chart, kube)?;
    let Printed { documents, notes } = execute(&root, values, release, kube, lookup)?;
    let Sorted { manifests, hooks } = manifest::sort(documents)?;
    let mut crds = Vec::new();
    collect_crds(&root, &root.name, &mut crds);
    Ok(Rendered { manifests, hooks, crds, notes, values: plain_values })
}

/// A release's name becomes part of names in the cluster.
fn check_name(name: &str) -> Result<()> {
    let is_label = |label: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    if name.len() <= 53 && name.split('.').all(is_label) {
        return Ok(());
    }
    let message = "invalid release name: it must consist of lower case letters, digits, '-' and \
                   '.', and have at most 53 characters";
    Err(Error::new(ErrorKind::Values, message).on(name))
}

fn check_kube_version(chart: &Chart, kube: &KubeVersion) -> Result<()> {
    let wanted = &chart.metadata.kube_version;
    if wanted.is_empty() {
        return Ok(());
    }
    let version = Version::parse(kube.normalized());
    let constraints = Constraints::parse(wanted);
    if constraints.is_ok_and(|wanted| version.is_ok_and(|version| wanted.check(&version))) {
        return Ok(());
    }
    let message = format!("chart requires kubeVersion {wanted}, but Kubernetes is {kube}");
    Err(Error::new(ErrorKind::KubeVersion, message).on("Chart.yaml"))
}

fn collect_crds(node: &Node<'_>, path: &str, crds: &mut Vec<CrdFile>) {
    for (file, bytes) in &node.chart.files {
        let is_manifest = [".yaml", ".yml", ".json"].iter().any(|ext| file.ends_with(ext));
        if file.starts_with("crds/") && is_manifest {
            crds.push(CrdFile {
                source: format!("{path}/{file}"),
                text: String::from_utf8_lossy(bytes).into_owned(),
            });
        }
    }
    for dependency in &node.dependencies {
        let path = format!("{path}/charts/{}", dependency.name);
        collect_crds(dependency, &path, crds);
    }
}
