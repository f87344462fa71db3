//! The bundled chart: `render` prints what `helm template` prints, and `helm lint` accepts it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;
use workqueue_test_support::{Sandbox, plugin, root, run};

/// One way to render the chart; `sets.json` lists them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    #[serde(default = "release")]
    release: String,
    #[serde(default = "namespace")]
    namespace: String,
    kube: Option<String>,
    /// One of the chart's own presets, below all other values.
    preset: Option<String>,
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

fn chart() -> PathBuf {
    root().join("chart-templates")
}

fn helm() -> Command {
    static HELM: OnceLock<String> = OnceLock::new();
    let script = "crates/helm-template/tests/tools/helm";
    Command::new(HELM.get_or_init(|| run(&mut Command::new(root().join(script))).ok().stdout.trim().into()))
}

/// What a command prints, or why it fails.
fn output(command: &mut Command) -> Result<String, String> {
    let outcome = run(command);
    if outcome.code == Some(0) { Ok(outcome.stdout) } else { Err(outcome.stderr) }
}

/// The flags that both commands have.
fn flags(set: &Set, scratch: &Sandbox) -> Vec<String> {
    let mut flags = vec!["--namespace".to_owned(), set.namespace.clone()];
    if let Some(version) = &set.kube {
        flags.extend(["--kube-version".to_owned(), version.clone()]);
    }
    for (index, text) in set.values.iter().enumerate() {
        let file = scratch.file(&format!("values-{index}.yaml"), text);
        flags.extend(["--values".to_owned(), file.display().to_string()]);
    }
    for (flag, arguments) in [
        ("--set", &set.set),
        ("--set-string", &set.set_string),
        ("--set-json", &set.set_json),
        ("--set-file", &set.set_file),
    ] {
        flags.extend(arguments.iter().flat_map(|argument| [flag.to_owned(), argument.clone()]));
    }
    flags
}

/// Renders one set with both; the error says what differs.
fn compare(set: &Set, scratch: &Sandbox) -> Result<(), String> {
    let flags = flags(set, scratch);
    let mut with_helm = helm();
    with_helm.args(["template", &set.release]).arg(chart());
    let mut with_plugin = Command::new(plugin());
    with_plugin.args(["render", "--release", &set.release]);
    if let Some(preset) = &set.preset {
        with_helm.arg("--values").arg(chart().join("presets").join(format!("{preset}.yaml")));
        with_plugin.args(["--preset", preset]);
    }
    match (output(with_helm.args(&flags)), output(with_plugin.args(&flags)), set.refused) {
        (Ok(helm), Ok(ours), false) if helm == ours => Ok(()),
        (Ok(helm), Ok(ours), false) => {
            let differs = helm.lines().zip(ours.lines()).find(|(helm, ours)| helm != ours);
            Err(format!("helm and ours: {differs:?}, {} and {} bytes", helm.len(), ours.len()))
        }
        (Err(_), Err(_), true) => Ok(()),
        (helm, ours, _) => Err(format!("helm: {helm:?}\n  ours: {ours:?}")),
    }
}

#[test]
fn sets_render_as_with_helm() {
    let scratch = Sandbox::new();
    let sets: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("sets.json")).expect("a list of sets");
    assert!(sets.len() >= 48, "{} sets", sets.len());
    let failures: Vec<String> = sets
        .into_iter()
        .filter_map(|value| {
            let set: Set = serde_json::from_value(value.clone()).expect("a set");
            compare(&set, &scratch).err().map(|difference| format!("{value}\n  {difference}"))
        })
        .collect();
    assert!(failures.is_empty(), "{} sets:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn helm_lint_accepts_the_chart() {
    for kube in ["1.20.0", "1.35.0"] {
        for preset in ["ephemeral", "production", "tutorial"] {
            let values = chart().join("presets").join(format!("{preset}.yaml"));
            let mut lint = helm();
            lint.args(["lint", "--strict", "--kube-version", kube]).arg(chart()).arg("-f").arg(values);
            if let Err(text) = output(&mut lint) {
                panic!("{preset} on {kube}:\n{text}");
            }
        }
    }
}
