//! Executes all templates of a chart and of its dependencies.

use std::rc::Rc;

use super::Release;
use crate::capabilities::Capabilities;
use crate::error::Result;
use crate::eval::Engine;
use crate::functions;
use crate::kube_version::KubeVersion;
use crate::load::Chart;
use crate::lookup::Lookup;
use crate::manifest;
use crate::template::{self, Scope};
use crate::value::{Entries, Map, MapKind, Value};
use crate::values::Node;

/// A template and what it is executed on.
struct Job<'a> {
    path: String,
    text: &'a str,
    data: Map,
    base_path: String,
}

/// What the templates print, and the chart's own notes.
pub(super) struct Printed {
    pub(super) documents: Vec<manifest::Printed>,
    pub(super) notes: Option<String>,
}

/// Executes all templates.
pub(super) fn execute(
    root: &Node<'_>,
    values: Map,
    release: &Release,
    kube: &KubeVersion,
    lookup: &dyn Lookup,
) -> Result<Printed> {
    let mut jobs = Vec::new();
    Shared::new(release, kube).collect(root, &root.name, values, true, &mut jobs);
    sort(&mut jobs);
    let scope = parse(&jobs)?;
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

/// Helm parses and executes the deepest paths first, and of those the last by name.
fn sort(jobs: &mut Vec<Job<'_>>) {
    let depth = |job: &Job<'_>| job.path.matches('/').count();
    // Of charts of the same name, the later one's templates replace the others'.
    jobs.reverse();
    jobs.sort_by(|a, b| depth(b).cmp(&depth(a)).then_with(|| b.path.cmp(&a.path)));
    jobs.dedup_by(|a, b| a.path == b.path);
}

fn parse<'a>(jobs: &[Job<'a>]) -> Result<Scope<'a>> {
    let mut scope = Scope::default();
    for job in jobs {
        let file = template::parse(job.path.clone(), job.text, functions::find)?;
        for (name, template) in file.defined {
            scope.add(name, template);
        }
        // Templates can include a file by its name.
        scope.add(job.path.clone().into(), file.own);
    }
    Ok(scope)
}

/// What every template sees.
struct Shared {
    release: Value,
    capabilities: Value,
}

impl Shared {
    fn new(release: &Release, kube: &KubeVersion) -> Self {
        let release = Value::object([
            ("Name", release.name.as_str().into()),
            ("Namespace", release.namespace.as_str().into()),
            ("IsUpgrade", release.is_upgrade.into()),
            ("IsInstall", (!release.is_upgrade).into()),
            ("Revision", Value::Int(release.revision.into())),
            ("Service", "Helm".into()),
        ]);
        Self { release, capabilities: Value::Capabilities(Rc::new(Capabilities { kube: kube.clone() })) }
    }

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
