//! Templates and documents with what helm made of each, as `tests/record` wrote it down.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::support::{chart, render_chart, tests};
use helm_template::{Chart, ValueSources};

/// Templates that come out differently, and why. The test fails when one comes out right, too.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("snippet-112", "imaginary numbers are left out"),
    ("snippet-113", "complex numbers are left out"),
    ("snippet-420", "helm folds a next-line control character on the way through JSON"),
];

/// Documents that are read differently, and why.
const DOCUMENT_EXCEPTIONS: &[(&str, &str)] = &[];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    template: String,
    output: Option<String>,
    #[expect(dead_code, reason = "helm's words; ours name the template, too, but differ")]
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    document: String,
    value: Option<serde_json::Value>,
    error: Option<String>,
}

/// The cases of a folder by name; there have to be at least so many.
fn cases<T: for<'a> Deserialize<'a>>(folder: &str, least: usize) -> BTreeMap<String, T> {
    let read = |path: &Path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let case = serde_json::from_slice(&fs::read(path).unwrap());
        (name, case.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    };
    let files = fs::read_dir(tests().join("recorded").join(folder)).unwrap();
    let cases: BTreeMap<String, T> = files.map(|file| read(&file.unwrap().path())).collect();
    assert!(cases.len() >= least, "{folder} has only {} cases", cases.len());
    cases
}

/// Checks that just the cases with exceptions are wrong.
fn check(wrong: &BTreeMap<String, String>, exceptions: &[(&str, &str)]) {
    let is_known = |name: &str| exceptions.iter().any(|(known, _)| *known == name);
    let unexpected: Vec<String> = wrong
        .iter()
        .filter(|(name, _)| !is_known(name))
        .map(|(name, report)| format!("{name}: {report}"))
        .collect();
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    for (name, _) in exceptions {
        assert!(wrong.contains_key(*name), "{name} is right now: take it off the list");
    }
}

fn check_templates(folder: &str, least: usize, exceptions: &[(&str, &str)]) {
    let mut wrong = BTreeMap::new();
    for (name, case) in cases::<Template>(folder, least) {
        let got = output(&case.template);
        let is_right = match (&got, &case.output) {
            (Ok(got), Some(want)) => got == want,
            (got, want) => got.is_err() && want.is_none(),
        };
        if !is_right {
            wrong.insert(name, format!("{}\n  want {:?}\n  got {got:?}", case.template, case.output));
        }
    }
    check(&wrong, exceptions);
}

/// What a template prints as a part of the chart `probe`.
fn output(template: &str) -> Result<String, String> {
    let wrapper = "out: {{ include (print $.Template.BasePath \"/_t.tpl\") . | toJson }}\n";
    let mut files = Vec::new();
    let folder = tests().join("charts/probe");
    for path in ["Chart.yaml", "values.yaml", "templates/_h.tpl", "conf/app.conf", "conf/b.yaml"] {
        files.push((path.to_owned(), fs::read(folder.join(path)).unwrap()));
    }
    files.push(("templates/_t.tpl".into(), template.into()));
    files.push(("templates/out.yaml".into(), wrapper.into()));
    let chart = Chart::from_files(files).map_err(|error| error.to_string())?;
    let rendered = render_chart(&chart, &ValueSources::default()).map_err(|error| error.to_string())?;
    let out = rendered.manifests[0].object["out"].as_str().unwrap_or_default();
    Ok(out.replace("<no value>", ""))
}

#[test]
fn probes_come_out_as_in_helm() {
    check_templates("probes", 175, &[]);
}

#[test]
fn snippets_come_out_as_in_helm() {
    check_templates("snippets", 589, EXCEPTIONS);
}

#[test]
fn time_zones_come_out_as_in_helm() {
    assert!(Path::new("/usr/share/zoneinfo").exists(), "this test needs the package tzdata");
    check_templates("zones", 1, &[]);
}

#[test]
fn documents_are_read_as_in_helm() {
    let mut wrong = BTreeMap::new();
    for (name, case) in cases::<Document>("documents", 438) {
        let chart = chart(&[
            ("document", &case.document),
            ("templates/a.yaml", "a: {{ .Files.Get \"document\" | fromYaml | toJson | quote }}"),
        ]);
        let rendered = render_chart(&chart, &ValueSources::default()).unwrap();
        let json = rendered.manifests[0].object["a"].as_str().unwrap();
        let got: serde_json::Value = serde_json::from_str(json).unwrap();
        let is_right = match (&case.value, &case.error) {
            (Some(value), None) => *value == got,
            (None, Some(error)) => got["Error"].as_str().is_some_and(|got| is_same_error(error, got)),
            _ => panic!("{name} has neither a value nor an error, or both"),
        };
        if !is_right {
            let report =
                format!("{:?}\n  want {:?} {:?}\n  got {got}", case.document, case.value, case.error);
            wrong.insert(name, report);
        }
    }
    check(&wrong, DOCUMENT_EXCEPTIONS);
}

/// Errors of syntax have helm's words. Some of the others quote Go's form of a value.
fn is_same_error(helm: &str, ours: &str) -> bool {
    let quotes = ["invalid map key", "unsupported"].iter().any(|word| helm.contains(word));
    helm == ours || quotes && ours.starts_with("error converting YAML to JSON")
}
