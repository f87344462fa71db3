//! Renders a chart: values in, manifests out.

use std::rc::Rc;
use std::thread;

use super::capabilities::Capabilities;
use super::error::{Error, ErrorKind, Result};
use super::eval::Engine;
use super::functions;
use super::json;
use super::kube_version::KubeVersion;
use super::limits::STACK_SIZE;
use super::load::Chart;
use super::lookup::Lookup;
use super::manifest::{self, Manifest, Sorted};
use super::schema;
use super::semver::{Constraints, Version};
use super::template::{self, Scope};
use super::value::{Entries, Map, MapKind, Value};
use super::values::{Node, ValueSources, coalesce_values, resolve};

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

/// A template and what it is executed on.
struct Job<'a> {
    path: String,
    text: &'a str,
    data: Map,
    base_path: String,
}

/// What the templates print, and the chart's own notes.
struct Printed {
    documents: Vec<manifest::Printed>,
    notes: Option<String>,
}

/// Executes all templates.
fn execute(
    root: &Node<'_>,
    values: Map,
    release: &Release,
    kube: &KubeVersion,
    lookup: &dyn Lookup,
) -> Result<Printed> {
    let shared = Shared {
        release: Value::object([
            ("Name", release.name.as_str().into()),
            ("Namespace", release.namespace.as_str().into()),
            ("IsUpgrade", release.is_upgrade.into()),
            ("IsInstall", (!release.is_upgrade).into()),
            ("Revision", Value::Int(release.revision.into())),
            ("Service", "Helm".into()),
        ]),
        capabilities: Value::Capabilities(Rc::new(Capabilities { kube: kube.clone() })),
    };
    let mut jobs = Vec::new();
    shared.collect(root, &root.name, values, true, &mut jobs);
    // Helm parses and executes the deepest paths first, and of those the last by name.
    let depth = |job: &Job<'_>| job.path.matches('/').count();
    // Of charts of the same name, the later one's templates replace the others'.
    jobs.reverse();
    jobs.sort_by(|a, b| depth(b).cmp(&depth(a)).then_with(|| b.path.cmp(&a.path)));
    jobs.dedup_by(|a, b| a.path == b.path);
    let mut scope = Scope::default();
    for job in &jobs {
        let file = template::parse(job.path.clone(), job.text, functions::find)?;
        for (name, template) in file.defined {
            scope.add(name, template);
        }
        // Templates can include a file by its name.
        scope.add(job.path.clone().into(), file.own);
    }
    let engine = Engine::new(lookup);
    let own_notes = format!("{}/templates/NOTES.txt", root.name);
    let mut printed = Printed { documents: Vec::new(), notes: None };
    for job in jobs {
        let name = job.path.rsplit('/').next().unwrap_or("");
        let Some(template) = scope.get(&job.path).filter(|_| !name.starts_with('_')) else { continue };
        let own =
            Value::object([("Name", job.path.as_str().into()), ("BasePath", job.base_path.as_str().into())]);
        job.data.insert("Template", own);
        let text = engine.execute(&scope, template, Value::Map(job.data))?;
        let text = text.replace("<no value>", "");
        if job.path == own_notes {
            printed.notes = Some(text);
        } else if !job.path.ends_with("NOTES.txt") {
            printed.documents.push(manifest::Printed { path: job.path, text });
        }
    }
    Ok(printed)
}

/// What every template sees.
struct Shared {
    release: Value,
    capabilities: Value,
}

impl Shared {
    /// Collects the templates of a chart and of its dependencies; returns what they are
    /// executed on.
    fn collect<'a>(
        &self,
        node: &Node<'a>,
        path: &str,
        values: Map,
        is_root: bool,
        jobs: &mut Vec<Job<'a>>,
    ) -> Map {
        let metadata = &node.chart.metadata;
        let mut subcharts = Entries::new();
        for dependency in &node.dependencies {
            let inner = match values.get(&dependency.name) {
                Some(Value::Map(map)) => map,
                _ => Map::default(),
            };
            let path = format!("{path}/charts/{}", dependency.name);
            let data = self.collect(dependency, &path, inner, false, jobs);
            let name = dependency.name.as_str().into();
            subcharts.insert(name, Value::Map(data.with_kind(MapKind::Any)));
        }
        let entries = [
            ("Chart", metadata.to_value(&node.name, is_root, &node.declared)),
            ("Files", files(node.chart)),
            ("Release", self.release.clone()),
            ("Capabilities", self.capabilities.clone()),
            ("Values", Value::Map(values.with_kind(MapKind::Values))),
            ("Subcharts", Value::map(subcharts)),
        ];
        let entries: Entries = entries.map(|(key, value)| (key.into(), value)).into();
        let data = Map::new(MapKind::Values, entries);
        for (template, text) in &node.chart.templates {
            let name = template.rsplit('/').next().unwrap_or("");
            // A library only has definitions.
            if metadata.is_library() && !name.starts_with('_') {
                continue;
            }
            jobs.push(Job {
                path: format!("{path}/{template}"),
                text,
                data: data.clone(),
                base_path: format!("{path}/templates"),
            });
        }
        data
    }
}

fn files(chart: &Chart) -> Value {
    let files = chart.files.iter();
    let entries = files.map(|(path, bytes)| (path.as_str().into(), Value::Bytes(bytes.as_slice().into())));
    Value::Map(Map::new(MapKind::Files, entries.collect()))
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
