//! The bundled chart: `render` prints what `helm template` prints, and `helm lint` accepts it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;

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
    Path::new(env!("CARGO_MANIFEST_DIR")).join("chart-templates")
}

fn helm() -> &'static Path {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    HELM.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/helm-template/tests/tools/helm");
        let output = Command::new(script).output().expect("the script runs");
        assert!(output.status.success(), "{script} finds no helm");
        String::from_utf8(output.stdout).expect("the path is text").trim().into()
    })
}

/// What a command prints, or why it fails.
fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// The flags that both commands have.
fn flags(set: &Set, scratch: &Path) -> Vec<String> {
    let mut flags = vec!["--namespace".to_owned(), set.namespace.clone()];
    if let Some(version) = &set.kube {
        flags.extend(["--kube-version".to_owned(), version.clone()]);
    }
    for (index, text) in set.values.iter().enumerate() {
        let file = scratch.join(format!("values-{index}.yaml"));
        std::fs::write(&file, text).expect("writable");
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
fn compare(set: &Set, scratch: &Path) -> Result<(), String> {
    let flags = flags(set, scratch);
    let mut with_helm = Command::new(helm());
    with_helm.args(["template", &set.release]).arg(chart());
    let mut with_plugin = Command::new(env!("CARGO_BIN_EXE_kubectl-workqueue"));
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
    let scratch = std::env::temp_dir().join(format!("workqueue-chart-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).expect("writable");
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
    std::fs::remove_dir_all(&scratch).expect("it is ours");
    assert!(failures.is_empty(), "{} sets:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn helm_lint_accepts_the_chart() {
    for kube in ["1.20.0", "1.35.0"] {
        for preset in ["ephemeral", "hardened", "production", "tutorial"] {
            let values = chart().join("presets").join(format!("{preset}.yaml"));
            let mut lint = Command::new(helm());
            lint.args(["lint", "--strict", "--kube-version", kube]).arg(chart()).arg("-f").arg(values);
            if let Err(text) = output(&mut lint) {
                panic!("{preset} on {kube}:\n{text}");
            }
        }
    }
}
