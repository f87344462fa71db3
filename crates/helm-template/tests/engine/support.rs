//! What the tests share: charts in memory, and the helm binary.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use helm_template::{Chart, Error, KubeVersion, NoCluster, Release, Rendered, ValueSources, render};

/// Chart.yaml of the charts that tests make up.
pub const CHART_YAML: &str = "apiVersion: v2\nname: test\nversion: 1.0.0\n";

/// The folder of all tests, with the charts and the recorded cases.
pub fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// A chart of the given files and a `Chart.yaml`.
pub fn chart(files: &[(&str, &str)]) -> Chart {
    let all = [("Chart.yaml", CHART_YAML)];
    let all = all.iter().chain(files);
    let files = all.map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    Chart::from_files(files).expect("the chart is valid")
}

/// Renders a chart with the given values for a release `rel` in `ns1`.
pub fn render_chart(chart: &Chart, values: &ValueSources) -> Result<Rendered, Error> {
    let release = Release::new("rel", "ns1");
    render(chart, values, &release, &KubeVersion::default(), &NoCluster)
}

/// What one template prints, as a string.
pub fn render_text(template: &str, values: &str) -> Result<String, Error> {
    let wrapper = "out: {{ include \"test/templates/_t.tpl\" . | toJson }}\n";
    let chart =
        chart(&[("values.yaml", values), ("templates/_t.tpl", template), ("templates/out.yaml", wrapper)]);
    let rendered = render_chart(&chart, &ValueSources::default())?;
    let out = rendered.manifests[0].object["out"].as_str();
    Ok(out.expect("toJson prints a string").replace("<no value>", ""))
}

/// The helm binary to compare with.
pub fn helm() -> &'static Path {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    HELM.get_or_init(|| {
        if let Some(path) = std::env::var_os("HELM") {
            return path.into();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/helm");
        let output = Command::new(script).output().expect("tests/tools/helm runs");
        assert!(output.status.success(), "tests/tools/helm finds no helm");
        let path = String::from_utf8(output.stdout).expect("the path is text");
        path.trim().into()
    })
}
