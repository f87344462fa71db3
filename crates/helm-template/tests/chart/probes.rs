//! Templates and documents with what helm made of each, recorded once.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::support::{chart, folder, render_chart};
use helm_template::{Chart, ValueSources};

/// Probes that come out differently, and why. The tests fail when one comes out right, too.
const PROBE_EXCEPTIONS: &[(&str, &str)] = &[];

/// Snippets that come out differently, and why.
const SNIPPET_EXCEPTIONS: &[(&str, &str)] = &[
    ("snippet-039", "printf %x of a float: hexadecimal floats are left out"),
    ("snippet-112", "imaginary numbers are left out"),
    ("snippet-113", "complex numbers are left out"),
    ("snippet-420", "helm folds a next-line control character on the way through JSON"),
    ("snippet-422", "keys whose order is not transitive: helm sorts them at random"),
];

/// Snippets with names of time zones, which helm and we look up in the system's tzdata.
const NEEDS_ZONES: &[&str] = &["snippet-565"];

/// Documents that are read differently, and why.
const DOCUMENT_EXCEPTIONS: &[(&str, &str)] = &[];

#[derive(Deserialize)]
struct Probe {
    tpl: String,
    ok: bool,
    #[serde(default)]
    out: String,
}

/// The outcome of every probe that is not as recorded.
fn wrong(file: &str) -> BTreeMap<String, String> {
    let base = Chart::from_dir(&folder().join("probes/chart")).expect("the chart is valid");
    let probes = std::fs::read_to_string(folder().join("probes").join(file)).unwrap();
    let probes: BTreeMap<String, Probe> = serde_json::from_str(&probes).unwrap();
    let mut wrong = BTreeMap::new();
    let has_zones = std::path::Path::new("/usr/share/zoneinfo").exists();
    for (name, probe) in probes {
        if !has_zones && NEEDS_ZONES.contains(&name.as_str()) {
            continue;
        }
        let got = outcome(&base, &probe.tpl);
        let right = match &got {
            Ok(text) => probe.ok && *text == probe.out,
            Err(_) => !probe.ok,
        };
        if !right {
            wrong.insert(name, format!("{}\n  want {:?}\n  got {got:?}", probe.tpl, probe.out));
        }
    }
    wrong
}

fn outcome(base: &Chart, template: &str) -> Result<String, String> {
    let wrapper = "out: {{ include (print $.Template.BasePath \"/_t.tpl\") . | toJson }}\n";
    let directory = folder().join("probes/chart");
    let read = |path: &str| std::fs::read(directory.join(path)).unwrap();
    let mut files: Vec<(String, Vec<u8>)> =
        base.files().map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).collect();
    for path in ["Chart.yaml", "values.yaml", "templates/_h.tpl"] {
        files.push((path.into(), read(path)));
    }
    files.push(("templates/_t.tpl".into(), template.into()));
    files.push(("templates/out.yaml".into(), wrapper.into()));
    let chart = Chart::from_files(files).map_err(|error| error.to_string())?;
    let rendered = render_chart(&chart, &ValueSources::default()).map_err(|e| e.to_string())?;
    let out = rendered.manifests[0].object["out"].as_str().unwrap_or_default();
    Ok(out.replace("<no value>", ""))
}

/// Compares the names with the table, both ways.
fn check(wrong: &BTreeMap<String, String>, exceptions: &[(&str, &str)]) {
    let expected: Vec<&str> = exceptions.iter().map(|(name, _)| *name).collect();
    let unexpected: Vec<String> = wrong
        .iter()
        .filter(|(name, _)| !expected.contains(&name.as_str()))
        .map(|(name, report)| format!("{name}: {report}"))
        .collect();
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    for name in expected {
        assert!(wrong.contains_key(name), "{name} is right now: take it off the list");
    }
}

#[test]
fn probes_come_out_as_in_helm() {
    check(&wrong("probes.json"), PROBE_EXCEPTIONS);
}

#[test]
fn snippets_come_out_as_in_helm() {
    check(&wrong("snippets.json"), SNIPPET_EXCEPTIONS);
}

#[derive(Deserialize)]
struct Document {
    name: String,
    text: String,
    value: Option<serde_json::Value>,
}

#[test]
fn documents_are_read_as_in_helm() {
    let documents = std::fs::read_to_string(folder().join("probes/documents.json")).unwrap();
    let documents: Vec<Document> = serde_json::from_str(&documents).unwrap();
    let mut wrong = BTreeMap::new();
    for document in documents {
        let chart = chart(&[
            ("document", &document.text),
            ("templates/a.yaml", "a: {{ .Files.Get \"document\" | fromYaml | toJson | quote }}"),
        ]);
        let rendered = render_chart(&chart, &ValueSources::default()).unwrap();
        let json = rendered.manifests[0].object["a"].as_str().unwrap();
        let got: serde_json::Value = serde_json::from_str(json).unwrap();
        let failed = got.get("Error").is_some();
        let right = match &document.value {
            Some(value) => !failed && *value == got,
            None => failed,
        };
        if !right {
            let report = format!("{:?}\n  want {:?}\n  got {got}", document.text, document.value);
            wrong.insert(document.name, report);
        }
    }
    check(&wrong, DOCUMENT_EXCEPTIONS);
}
