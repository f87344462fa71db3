//! The engine's interface: loading, manifests, hooks, notes, lookup.

use super::support::{CHART_YAML, chart, render_chart, tests};
use helm_template::{Chart, ErrorKind, KubeVersion, Lookup, NoCluster, Release, ValueSources, render};
use serde_json::{Value, json};

fn shop() -> Chart {
    Chart::from_dir(&tests().join("charts/shop")).expect("the chart is valid")
}

#[test]
fn a_chart_tells_what_it_is() {
    let chart = shop();
    assert_eq!((chart.name(), chart.version()), ("shop", "1.2.3+build.4"));
    let templates: Vec<&str> = chart.templates().collect();
    assert!(templates.contains(&"templates/tests/connection.yaml"));
    // The rules of .helmignore, and the one that always holds.
    assert!(!templates.iter().any(|path| path.ends_with(".bak")));
    let files: Vec<&str> = chart.files().map(|(path, _)| path).collect();
    assert!(!files.iter().any(|path| path.starts_with("ignored")));
    assert!(files.contains(&"files/motd.txt"));
}

#[test]
fn manifests_come_parsed_and_in_order() {
    let rendered = render_chart(&shop(), &ValueSources::default()).unwrap();
    let kinds: Vec<&str> = rendered.manifests.iter().map(|manifest| manifest.kind()).collect();
    let want = [
        "PodDisruptionBudget",
        "Secret",
        "ConfigMap",
        "Service",
        "Deployment",
        "CronJob",
        "XWidget",
        "YWidget",
    ];
    assert_eq!(kinds, want);
    let deployment = &rendered.manifests[4];
    assert_eq!(deployment.source, "shop/templates/deployment.yaml");
    assert_eq!(deployment.object["apiVersion"], json!("apps/v1"));
    assert_eq!(deployment.object["metadata"]["name"], json!("rel-shop"));
    assert_eq!(deployment.object["spec"]["replicas"], json!(2));
    let events = rendered.hooks.iter().map(|hook| &hook.object["metadata"]["annotations"]["helm.sh/hook"]);
    assert_eq!(events.collect::<Vec<_>>(), ["test", "pre-install, pre-upgrade"]);
    assert_eq!(rendered.notes.as_deref(), Some("shop 1.2.3+build.4 runs as rel.\n"));
    assert_eq!(rendered.crds[0].source, "shop/crds/widget.yaml");
    assert!(!rendered.to_yaml().contains("NOTES.txt"));
}

/// A cluster with one Secret.
struct OneSecret;

impl Lookup for OneSecret {
    fn lookup(&self, _: &str, kind: &str, namespace: &str, name: &str) -> Result<Value, String> {
        match (kind, namespace, name) {
            ("Secret", "ns1", "rel-shop") => Ok(json!({"data": {"password": "c2VjcmV0", "n": 5}})),
            ("Secret", _, _) => Ok(json!({})),
            _ => Err("the cluster does not answer".into()),
        }
    }
}

#[test]
fn templates_can_look_objects_up() {
    let release = Release::new("rel", "ns1");
    let kube = KubeVersion::default();
    let rendered = render(&shop(), &ValueSources::default(), &release, &kube, &OneSecret).unwrap();
    let secret = rendered.manifests.iter().find(|manifest| manifest.kind() == "Secret");
    assert_eq!(secret.unwrap().object["data"]["password"], json!("c2VjcmV0"));
    let typed = chart(&[(
        "templates/a.yaml",
        "a: {{ (lookup \"v1\" \"Secret\" \"ns1\" \"rel-shop\").data.n | typeOf }}",
    )]);
    let rendered = render(&typed, &ValueSources::default(), &release, &kube, &OneSecret).unwrap();
    assert_eq!(rendered.manifests[0].object["a"], json!("int64"));
    let broken = chart(&[("templates/a.yaml", "{{ lookup \"v1\" \"Pod\" \"\" \"\" }}")]);
    let error = render(&broken, &ValueSources::default(), &release, &kube, &OneSecret);
    assert!(error.unwrap_err().message().contains("does not answer"));
}

#[test]
fn an_upgrade_is_told_to_templates() {
    let chart = chart(&[("templates/a.yaml", "a: {{ .Release.IsUpgrade }}-{{ .Release.Revision }}")]);
    let release = Release { is_upgrade: true, revision: 7, ..Release::new("r", "n") };
    let kube = KubeVersion::default();
    let rendered = render(&chart, &ValueSources::default(), &release, &kube, &NoCluster).unwrap();
    assert_eq!(rendered.manifests[0].object["a"], json!("true-7"));
}

#[test]
fn kubernetes_versions_are_read() {
    let version = KubeVersion::parse("v1.33.1-eks-595af52").unwrap();
    assert_eq!(version.version(), "v1.33.1-eks-595af52");
    assert_eq!(version.normalized(), "v1.33.1");
    assert_eq!((version.major(), version.minor()), (1, 33));
    assert_eq!(KubeVersion::parse("1.20").unwrap().version(), "v1.20");
    assert_eq!(KubeVersion::default().version(), "v1.35.0");
    for text in ["", "1", "x", "latest", "v", "1.x"] {
        assert!(KubeVersion::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_library_cannot_be_rendered() {
    let yaml = format!("{CHART_YAML}type: library\n");
    let files = [("Chart.yaml".to_owned(), yaml.into_bytes())];
    let chart = Chart::from_files(files).unwrap();
    let error = render_chart(&chart, &ValueSources::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Chart);
}

#[test]
fn strings_that_look_like_other_types_survive() {
    let words = [
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
        "~",
        "null",
        "1",
        "1.5",
        "1_000",
        "0x1F",
        "012",
        "12:30",
        "2024-01-02",
        "",
        " a",
        "a: b",
        "- a",
        "#a",
        "a\nb",
        "true",
    ];
    let values = ValueSources { overrides: vec![json!({"words": words})], ..ValueSources::default() };
    let chart = chart(&[("templates/a.yaml", "words:\n{{ toYaml .Values.words }}")]);
    let rendered = render_chart(&chart, &values).unwrap();
    assert_eq!(rendered.manifests[0].object["words"], json!(words));
}
