//! Turns a chart and its values into manifests, for `render`, `up`, `diff` and `run`.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;

use crate::chart;
use crate::cluster::existing::{NAMESPACE_ANNOTATION, RELEASE_LABEL};
use crate::cluster::object_ref::ObjectRef;
use crate::cluster::rollout::Workload;
use crate::cluster::secret::CredentialsSpec;
use crate::error::Error;
use crate::release::credentials;
use helm_template::{Chart, KubeVersion, NoCluster, Release, Rendered, ValueSources, ValuesFile};
use workqueue_core::names::{CHART, ReleaseName};

/// The Kubernetes version to render for without a cluster: the default of `helm template` in the Helm
/// release that our renderer is compared with.
pub const DEFAULT_KUBE_VERSION: &str = "1.35.0";

/// The chart and values given on the command line.
#[derive(Debug, Clone, Default)]
pub struct ChartPlan {
    /// The directory of a chart; `None` for the bundled chart.
    pub chart: Option<PathBuf>,
    /// A preset of the chart, applied before all other values.
    pub preset: Option<String>,
    /// Values files, of which later ones take precedence; `-` is standard input.
    pub values: Vec<PathBuf>,
    /// `key=value` settings in Helm's syntax.
    pub set: Vec<String>,
    /// The same, but every value is a string.
    pub set_string: Vec<String>,
    /// `key=path` settings: the value is the content of the file.
    pub set_file: Vec<String>,
    /// Settings in JSON: an object, or `key=json`.
    pub set_json: Vec<String>,
}

impl ChartPlan {
    /// Whether any value is given.
    pub fn has_values(&self) -> bool {
        self.preset.is_some()
            || !self.values.is_empty()
            || [&self.set, &self.set_string, &self.set_file, &self.set_json].iter().any(|set| !set.is_empty())
    }

    pub fn load_chart(&self) -> Result<Chart, Error> {
        Ok(match &self.chart {
            Some(dir) => Chart::from_dir(dir)?,
            None => chart::bundled()?,
        })
    }

    /// Reads the preset and the values files.
    ///
    /// # Errors
    /// [`Error::NoPreset`], [`Error::Read`].
    pub fn load_values(&self, chart: &Chart) -> Result<ValueSources, Error> {
        let mut files = Vec::new();
        if let Some(preset) = &self.preset {
            files.push(
                chart::preset(chart, preset)
                    .map_err(|known| Error::NoPreset { name: preset.clone(), known })?,
            );
        }
        for path in &self.values {
            let name = path.display().to_string();
            let text = if path.as_os_str() == "-" { standard_input() } else { std::fs::read_to_string(path) };
            let text = text.map_err(|source| Error::Read { path: name.clone(), source })?;
            files.push(ValuesFile { name, text });
        }
        Ok(ValueSources {
            files,
            set: self.set.clone(),
            set_string: self.set_string.clone(),
            set_file: self.set_file.clone(),
            set_json: self.set_json.clone(),
            ..ValueSources::default()
        })
    }
}

/// The text of standard input, cached: it can be read only once, but values are loaded repeatedly.
fn standard_input() -> std::io::Result<String> {
    static TEXT: OnceLock<String> = OnceLock::new();
    if let Some(text) = TEXT.get() {
        return Ok(text.clone());
    }
    let text = std::io::read_to_string(std::io::stdin())?;
    Ok(TEXT.get_or_init(|| text).clone())
}

/// Renders a chart for a release.
pub fn render(
    chart: &Chart,
    values: &ValueSources,
    release: &ReleaseName,
    namespace: &str,
    kube_version: &str,
) -> Result<Rendered, Error> {
    let release = Release::new(release.as_str(), namespace);
    let version = KubeVersion::parse(kube_version)?;
    Ok(helm_template::render(chart, values, &release, &version, &NoCluster)?)
}

/// The labels by which the objects of a release are found.
const NAME_LABEL: &str = "app.kubernetes.io/name";
const COMPONENT_LABEL: &str = "app.kubernetes.io/component";

/// Labels an object as a part of the release unless the chart did so, so that all commands find it.
/// The tutorial's objects have labels of their own, and extra objects may have none.
pub fn adopt(object: &mut Value, release: &ReleaseName) {
    let is_job = object["kind"] == "Job";
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let labels = metadata.entry("labels").or_insert_with(|| serde_json::json!({}));
    if labels.is_null() {
        *labels = serde_json::json!({});
    }
    let Some(labels) = labels.as_object_mut().filter(|labels| !labels.contains_key(RELEASE_LABEL)) else {
        return;
    };
    let component = if is_job { "worker" } else { "broker" };
    for (label, value) in
        [(NAME_LABEL, CHART), (RELEASE_LABEL, release.as_str()), (COMPONENT_LABEL, component)]
    {
        labels.insert(label.to_owned(), value.into());
    }
}

/// Notes the release's namespace on an object that may be in another one, or in none. Two releases may
/// have the same name in different namespaces, and each prunes only its own objects.
fn note_namespace(object: &mut Value, namespace: &str) {
    if object.pointer("/metadata/namespace").and_then(Value::as_str) == Some(namespace) {
        return;
    }
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| serde_json::json!({}));
    if annotations.is_null() {
        *annotations = serde_json::json!({});
    }
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(NAMESPACE_ANNOTATION.to_owned(), namespace.into());
    }
}

/// What `up` installs.
pub struct Installation {
    /// All objects except Jobs, in the order in which to apply them.
    pub objects: Vec<Value>,
    /// The Jobs, which `run` creates when there is work for them.
    pub left_out: Vec<ObjectRef>,
    /// The workloads to wait for.
    pub workloads: Vec<Workload>,
    /// The Secrets that the workloads refer to, as far as they are not among the objects.
    pub credentials: Vec<CredentialsSpec>,
}

impl Installation {
    pub fn of(rendered: Rendered, release: &ReleaseName, namespace: &str) -> Self {
        let values = rendered.values;
        let objects = rendered.manifests.into_iter().map(|manifest| manifest.object);
        let (jobs, mut objects): (Vec<Value>, Vec<Value>) =
            objects.partition(|object| object["kind"] == "Job");
        for object in &mut objects {
            adopt(object, release);
            note_namespace(object, namespace);
        }
        let workloads: Vec<Workload> = of_kind(&objects, &["StatefulSet", "ReplicationController"])
            .map(|manifest| Workload { manifest: manifest.clone() })
            .collect();
        let credentials = credentials::specs(&objects, &workloads, &values);
        let left_out = jobs.iter().filter_map(ObjectRef::of).collect();
        Self { objects, left_out, workloads, credentials }
    }
}

pub(crate) fn of_kind<'a>(objects: &'a [Value], kinds: &'a [&str]) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(|object| object["kind"].as_str().is_some_and(|kind| kinds.contains(&kind)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_objects_without_a_release_label_are_adopted() {
        let release: ReleaseName = "r1".parse().expect("legal");
        let mut service =
            json!({"kind": "Service", "metadata": {"name": "s", "labels": {"component": "rabbitmq"}}});
        adopt(&mut service, &release);
        assert_eq!(
            service["metadata"]["labels"],
            json!({"component": "rabbitmq", NAME_LABEL: CHART, RELEASE_LABEL: "r1", COMPONENT_LABEL: "broker"})
        );
        let mut job = json!({"kind": "Job", "metadata": {"name": "j", "labels": null}});
        adopt(&mut job, &release);
        assert_eq!(job["metadata"]["labels"][COMPONENT_LABEL], "worker");
        let marked = json!({"kind": "Secret", "metadata": {"name": "s", "labels": {RELEASE_LABEL: "other"}}});
        let mut same = marked.clone();
        adopt(&mut same, &release);
        assert_eq!(same, marked);
    }

    #[test]
    fn objects_elsewhere_carry_the_namespace_of_their_release() {
        let annotations = |metadata: Value| {
            let mut object = json!({"kind": "Role", "metadata": metadata});
            note_namespace(&mut object, "work");
            object["metadata"]["annotations"].clone()
        };
        assert_eq!(annotations(json!({"name": "r", "namespace": "work"})), Value::Null);
        let noted = json!({NAMESPACE_ANNOTATION: "work"});
        assert_eq!(annotations(json!({"name": "r", "namespace": "other", "annotations": null})), noted);
        assert_eq!(annotations(json!({"name": "r"})), noted);
    }
}
