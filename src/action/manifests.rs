//! From the chart and its values to manifests: the path that `render`, `up` and `run` share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::Error;
use crate::chart::{self, Chart, KubeVersion, NoCluster, Release, Rendered, ValueSources, ValuesFile};
use crate::cluster::rollout::Workload;
use crate::cluster::secret::CredentialsSpec;
use crate::names::ReleaseName;

/// The Kubernetes version to render for when no cluster is asked: what `helm template` of the
/// Helm release that our renderer is compared with assumes.
pub const DEFAULT_KUBE_VERSION: &str = "1.35.0";

/// The chart and values that a user names on the command line.
#[derive(Debug, Clone, Default)]
pub struct ChartPlan {
    /// A chart's directory instead of the bundled chart.
    pub chart: Option<PathBuf>,
    /// A preset of the chart, applied before all other values.
    pub preset: Option<String>,
    /// Values files, the last one wins.
    pub values: Vec<PathBuf>,
    /// `key=value` settings in Helm's syntax.
    pub set: Vec<String>,
    /// The same, with every value a string.
    pub set_string: Vec<String>,
}

impl ChartPlan {
    /// Whether the user gave any value of their own.
    pub fn has_values(&self) -> bool {
        self.preset.is_some()
            || !(self.values.is_empty() && self.set.is_empty() && self.set_string.is_empty())
    }

    /// Loads the chart.
    ///
    /// # Errors
    /// A directory that is no chart.
    pub fn load_chart(&self) -> Result<Chart, Error> {
        Ok(match &self.chart {
            Some(dir) => Chart::from_dir(dir)?,
            None => Chart::bundled()?,
        })
    }

    /// Reads the values' files.
    ///
    /// # Errors
    /// Files that cannot be read, and a preset that the chart does not have.
    pub fn load_values(&self, chart: &Chart) -> Result<ValueSources, Error> {
        let mut files = Vec::new();
        if let Some(preset) = &self.preset {
            files.push(chart.preset(preset)?);
        }
        for path in &self.values {
            let name = path.display().to_string();
            let text = match std::fs::read_to_string(path) {
                Ok(text) => text,
                Err(source) => return Err(Error::Read { path: name, source }),
            };
            files.push(ValuesFile { name, text });
        }
        Ok(ValueSources {
            files,
            set: self.set.clone(),
            set_string: self.set_string.clone(),
            ..ValueSources::default()
        })
    }
}

/// Renders a chart for a release.
///
/// # Errors
/// What the chart, its schema or its templates refuse.
pub fn render(
    chart: &Chart,
    values: &ValueSources,
    release: &ReleaseName,
    namespace: &str,
    kube_version: &str,
) -> Result<Rendered, Error> {
    let release = Release::new(release.as_str(), namespace);
    let version = KubeVersion::parse(kube_version)?;
    Ok(chart::render(chart, values, &release, &version, &NoCluster)?)
}

/// What `up` has to know of the manifests that it applies.
pub struct Broker {
    /// The workloads to wait for.
    pub workloads: Vec<Workload>,
    /// The Secret that they refer to, unless the manifests bring it along.
    pub credentials: Option<CredentialsSpec>,
}

impl Broker {
    /// Reads it from the rendered manifests.
    pub fn of(rendered: &Rendered) -> Self {
        let manifests: Vec<&Value> = rendered.manifests.iter().map(|manifest| &manifest.object).collect();
        let of_kind = |kinds: &'static [&str]| {
            manifests
                .iter()
                .copied()
                .filter(move |manifest| manifest["kind"].as_str().is_some_and(|kind| kinds.contains(&kind)))
        };
        let workloads: Vec<Workload> = of_kind(&["StatefulSet", "ReplicationController"])
            .map(|manifest| Workload { manifest: manifest.clone() })
            .collect();
        let brought =
            |name: &str| of_kind(&["Secret"]).any(|secret| secret["metadata"]["name"].as_str() == Some(name));
        let service = of_kind(&["Service"]).find(|service| service["spec"]["clusterIP"] != "None");
        let credentials = workloads
            .iter()
            .find_map(|workload| secret_of(&workload.manifest))
            .filter(|name| !brought(name))
            .zip(service)
            .map(|(name, service)| CredentialsSpec {
                labels: text_map(&service["metadata"]["labels"]),
                authority: authority(service),
                // A name that the user chose is theirs to make.
                generate: rendered.values.pointer("/auth/existingSecret").is_none_or(|name| name == ""),
                name,
            });
        Self { workloads, credentials }
    }
}

/// The Secret that a broker's pods take their password from.
fn secret_of(workload: &Value) -> Option<String> {
    let containers = workload.pointer("/spec/template/spec/containers")?.as_array()?;
    let variables = containers.iter().filter_map(|container| container["env"].as_array()).flatten();
    let mut passwords = variables.filter(|variable| variable["name"] == "RABBITMQ_DEFAULT_PASS");
    passwords
        .find_map(|variable| variable.pointer("/valueFrom/secretKeyRef/name")?.as_str().map(str::to_owned))
}

fn authority(service: &Value) -> String {
    let name = service["metadata"]["name"].as_str().unwrap_or_default();
    let port = service.pointer("/spec/ports/0/port").and_then(Value::as_u64).unwrap_or(5672);
    format!("{name}:{port}")
}

fn text_map(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}
