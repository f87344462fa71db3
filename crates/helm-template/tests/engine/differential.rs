//! Renders charts with helm and with this engine, and compares the bytes.
//!
//! `tests/sets.json` lists what is rendered. A chart is a folder of `tests/charts/`, or `created` for one that
//! `helm create` makes.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::support::{helm, tests};
use helm_template::{Chart, KubeVersion, NoCluster, Release, ValueSources, ValuesFile, render};

/// Sets that come out differently, by their JSON, and why. Checked both ways.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// One way to render a chart.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    chart: String,
    #[serde(default = "release")]
    release: String,
    #[serde(default = "namespace")]
    namespace: String,
    kube: Option<String>,
    /// The texts of values files.
    #[serde(default)]
    values: Vec<String>,
    #[serde(default)]
    set: Vec<String>,
    #[serde(default)]
    set_string: Vec<String>,
    #[serde(default)]
    set_json: Vec<String>,
    #[serde(default)]
    set_file: Vec<String>,
    /// Both renderers have to refuse it.
    #[serde(default)]
    refused: bool,
}

fn release() -> String {
    "rel".into()
}

fn namespace() -> String {
    "ns1".into()
}

/// A folder that goes away with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("chart-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind in the temporary folder harms nobody.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn with_helm(set: &Set, chart: &Path, scratch: &Path) -> Result<String, String> {
    let mut command = Command::new(helm());
    command.args(["template", &set.release]).arg(chart);
    command.args(["--namespace", &set.namespace]);
    if let Some(version) = &set.kube {
        command.args(["--kube-version", version]);
    }
    for (index, text) in set.values.iter().enumerate() {
        let file = scratch.join(format!("values-{index}.yaml"));
        std::fs::write(&file, text).unwrap();
        command.arg("--values").arg(file);
    }
    for (flag, arguments) in [
        ("--set", &set.set),
        ("--set-string", &set.set_string),
        ("--set-json", &set.set_json),
        ("--set-file", &set.set_file),
    ] {
        for argument in arguments {
            command.args([flag, argument]);
        }
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().expect("helm runs");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn with_engine(set: &Set, chart: &Path) -> Result<String, String> {
    let files = set.values.iter().map(|text| ValuesFile { name: "values".into(), text: text.clone() });
    let absolute =
        |argument: &String| argument.replace("=tests/", concat!("=", env!("CARGO_MANIFEST_DIR"), "/tests/"));
    let values = ValueSources {
        files: files.collect(),
        set: set.set.clone(),
        set_string: set.set_string.clone(),
        set_json: set.set_json.clone(),
        set_file: set.set_file.iter().map(absolute).collect(),
        ..ValueSources::default()
    };
    let chart = Chart::from_dir(chart).map_err(|error| error.to_string())?;
    let kube = match &set.kube {
        Some(version) => KubeVersion::parse(version).map_err(|error| error.to_string())?,
        None => KubeVersion::default(),
    };
    let release = Release::new(&set.release, &set.namespace);
    let rendered = render(&chart, &values, &release, &kube, &NoCluster);
    Ok(rendered.map_err(|error| error.to_string())?.to_yaml())
}

/// The first lines that differ.
fn difference(helm: &str, ours: &str) -> String {
    let mut lines = helm.lines().zip(ours.lines()).enumerate();
    match lines.find(|(_, (a, b))| a != b) {
        Some((index, (a, b))) => format!("line {}\n  helm: {a}\n  ours: {b}", index + 1),
        None => format!("lengths {} and {}", helm.len(), ours.len()),
    }
}

/// Checks one set; the error says what differs.
fn compare(set: &Set, chart: &Path, scratch: &Path) -> Result<(), String> {
    match (with_helm(set, chart, scratch), with_engine(set, chart), set.refused) {
        (Ok(helm), Ok(ours), false) if helm == ours => Ok(()),
        (Ok(helm), Ok(ours), false) => Err(difference(&helm, &ours)),
        (Err(_), Err(_), true) => Ok(()),
        (Err(error), _, false) => Err(format!("helm refuses: {error}")),
        (Ok(_), _, true) => Err("helm does not refuse".into()),
        (_, Err(error), false) => Err(format!("we refuse: {error}")),
        (_, Ok(_), true) => Err("we do not refuse".into()),
    }
}

fn run(file: &str) {
    let scratch = Scratch::new(file);
    let created = scratch.0.join("created");
    let status = Command::new(helm()).arg("create").arg(&created).output().expect("helm runs");
    assert!(status.status.success(), "helm create works");
    let text = std::fs::read_to_string(tests().join(file)).unwrap();
    let sets: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut failures = Vec::new();
    for value in sets {
        let set: Set = serde_json::from_value(value.clone()).unwrap();
        let chart = match set.chart.as_str() {
            "created" => created.clone(),
            name => tests().join("charts").join(name),
        };
        let text = value.to_string();
        let exception = EXCEPTIONS.iter().any(|(known, _)| *known == text);
        match (compare(&set, &chart, &scratch.0), exception) {
            (Err(difference), false) => failures.push(format!("{text}\n  {difference}")),
            (Ok(()), true) => failures.push(format!("{text}\n  equal now: take it off the list")),
            _ => {}
        }
    }
    assert!(failures.is_empty(), "{} sets:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn sets_render_as_with_helm() {
    run("sets.json");
}
