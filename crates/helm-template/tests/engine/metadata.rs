//! `Chart.yaml` as helm reads it, and what it makes of dependencies. All outcomes are helm's.

use super::support::{CHART_YAML, chart, render_chart};
use helm_template::{Chart, ValueSources};
use serde_json::{Value, json};

/// Renders `a: EXPRESSION` in a chart with the given `Chart.yaml` and subcharts, each of which has a
/// template; gives the object and the sources of all.
fn rendered(
    chart_yaml: &str,
    subcharts: &[&str],
    expression: &str,
    set: &[&str],
) -> Result<(Value, Vec<String>), String> {
    let mut files = vec![
        ("Chart.yaml".to_owned(), chart_yaml.to_owned()),
        ("templates/a.yaml".to_owned(), format!("a: {{{{ {expression} }}}}")),
    ];
    for name in subcharts {
        let folder = format!("charts/{name}");
        files.push((format!("{folder}/Chart.yaml"), CHART_YAML.replace("test", name)));
        files.push((format!("{folder}/values.yaml"), "exports: {e: {q: 1}}\nd: {k: 2}\n".into()));
        files.push((format!("{folder}/templates/s.yaml"), "x: 1\n".into()));
    }
    let files = files.into_iter().map(|(path, text)| (path, text.into_bytes()));
    let chart = Chart::from_files(files).map_err(|error| error.to_string())?;
    let set = set.iter().map(|argument| (*argument).to_owned()).collect();
    let values = ValueSources { set, ..ValueSources::default() };
    let rendered = render_chart(&chart, &values).map_err(|error| error.to_string())?;
    let own = rendered.manifests.iter().find(|manifest| manifest.source.ends_with("/templates/a.yaml"));
    let sources = rendered.manifests.iter().map(|manifest| manifest.source.clone()).collect();
    Ok((own.expect("the chart has a template").object["a"].clone(), sources))
}

/// A member of `.Chart` in a chart whose `Chart.yaml` has some more lines.
fn member(lines: &str, name: &str) -> Result<Value, String> {
    let expression = format!(".Chart.{name} | toJson");
    Ok(rendered(&format!("{CHART_YAML}{lines}\n"), &[], &expression, &[])?.0)
}

#[test]
fn scalars_of_chart_yaml_become_text() {
    for (scalar, want) in [
        ("on", "true"),
        ("010", "8"),
        ("1_000", "1000"),
        ("1.10", "1.1"),
        ("1.0", "1"),
        ("1e3", "1000"),
        ("0x1F", "31"),
        ("100000000000000000000", "1e+20"),
        ("16777217", "16777217"),
        ("16777217.0", "1.6777216e+07"),
        ("1.5e300", "+Inf"),
        ("2024-01-01", "2024-01-01"),
        ("\"010\"", "010"),
        ("!!binary aGk=", "hi"),
        ("~", ""),
    ] {
        assert_eq!(member(&format!("appVersion: {scalar}"), "AppVersion"), Ok(json!(want)), "{scalar}");
    }
    assert_eq!(member("keywords: [a, 1, ~, yes]", "Keywords"), Ok(json!(["a", "1", "", "true"])));
    let annotations = member("annotations: {1: yes, no: ~}", "Annotations");
    assert_eq!(annotations, Ok(json!({"1": "true", "false": ""})));
    assert_eq!(member("deprecated: yes", "Deprecated"), Ok(json!(true)));
}

#[test]
fn names_of_fields_match_whatever_their_case_is() {
    for (lines, want) in [
        ("Description: up", "up"),
        ("DESCRIPTION: up\ndescription: low", "low"),
        ("description: low\nDESCRIPTION: up", "low"),
        ("description: low\ndescripTion: ~", "low"),
        ("description: a\ndescription: b", "b"),
        ("de\u{17f}cription: s", "s"),
        ("<<: {description: merged}", "merged"),
        ("description: a\n---\ndescription: [b", "a"),
        ("description: a\n...\nb", "a"),
    ] {
        assert_eq!(member(lines, "Description"), Ok(json!(want)), "{lines}");
    }
}

#[test]
fn what_is_no_chart_yaml_is_refused() {
    for lines in [
        "appVersion: [1]",
        "appVersion: {a: 1}",
        "appVersion: .inf",
        "deprecated: 1",
        "deprecated: \"true\"",
        "keywords: a",
        "annotations: [a]",
        "annotations: {a: [b]}",
        "maintainers: [a]",
        "maintainers: [~]",
        "dependencies: [~]",
        "dependencies: [{name: a, enabled: 1}]",
        "dependencies: [{name: a, import-values: e}]",
        "~: b",
        "a: [",
    ] {
        assert!(member(lines, "Name").is_err(), "{lines}");
    }
    for text in ["", "~", "[]", "a", "5", "---\n---\nname: a\nversion: 1.0.0\napiVersion: v2"] {
        assert!(rendered(text, &[], "1", &[]).is_err(), "{text}");
    }
    let directive = format!("%YAML 1.2\n---\n{CHART_YAML}");
    assert!(rendered(&directive, &[], "1", &[]).is_err());
}

/// `Chart.yaml` with a dependency on `sa` that has some more lines.
fn depending(lines: &str) -> String {
    format!("{CHART_YAML}dependencies:\n- name: sa\n  version: 1.0.0\n{lines}")
}

#[test]
fn templates_see_the_dependencies_that_take_part() {
    let yaml = depending("  condition: sa.on\n- name: sb\n  version: 1.0.0\n  tags: [t]\n  alias: q\n");
    let names = "range .Chart.Dependencies }}{{ .Name }} {{ .Alias }},{{ end";
    let seen = |set: &[&str]| rendered(&yaml, &["sa", "sb"], names, set).map(|(names, _)| names);
    assert_eq!(seen(&[]), Ok(json!("sa ,q q,")));
    assert_eq!(seen(&["sa.on=false"]), Ok(json!("q q,")));
    assert_eq!(seen(&["tags.t=false"]), Ok(json!("sa ,")));
    assert_eq!(seen(&["tags.t=false", "sa.on=false"]), Ok(json!(null)));
}

#[test]
fn aliases_have_letters_digits_and_little_else() {
    for alias in ["a_b", "a-b", "_", "A1", "5", "true"] {
        let (_, sources) = rendered(&depending(&format!("  alias: {alias}\n")), &["sa"], "1", &[]).unwrap();
        assert_eq!(sources[0], format!("test/charts/{alias}/templates/s.yaml"));
    }
    for alias in ["a.b", "a b", "a/b", "é", "a:b", "\" a\"", "\"a\\n\"", "\"a\\x01\""] {
        let yaml = depending(&format!("  alias: {alias}\n"));
        assert!(rendered(&yaml, &["sa"], "1", &[]).is_err(), "{alias}");
    }
}

#[test]
fn imports_are_names_or_paths_or_nothing() {
    let own = "omit .Values \"sa\" | toJson";
    let imports = "(first .Chart.Dependencies).ImportValues | toJson";
    for (import, values, shown) in [
        ("e", json!({"q": 1}), json!([{"child": "exports.e", "parent": "."}])),
        ("nope", json!({}), json!([{"child": "exports.nope", "parent": "."}])),
        ("{child: d, parent: p}", json!({"p": {"k": 2}}), json!([{"child": "d", "parent": "p"}])),
        ("{child: d, parent: 5}", json!({"5": {"k": 2}}), json!([{"child": "d", "parent": "5"}])),
        ("{child: d}", json!({"<nil>": {"k": 2}}), json!([{"child": "d", "parent": "<nil>"}])),
        ("{parent: p}", json!({}), json!([{"child": "<nil>", "parent": "p"}])),
        ("5", json!({}), json!([])),
        ("~", json!({}), json!([])),
        ("[a]", json!({}), json!([])),
    ] {
        let yaml = depending(&format!("  import-values:\n  - {import}\n"));
        assert_eq!(rendered(&yaml, &["sa"], own, &[]).map(|(a, _)| a), Ok(values), "{import}");
        assert_eq!(rendered(&yaml, &["sa"], imports, &[]).map(|(a, _)| a), Ok(shown), "{import}");
    }
}

#[test]
fn charts_of_one_name_are_rendered_once() {
    let copies = [("sa", "1"), ("sa-copy", "2")];
    let mut files = vec![("Chart.yaml".to_owned(), CHART_YAML.as_bytes().to_vec())];
    for (folder, text) in copies {
        let path = format!("charts/{folder}/");
        let template = format!("from: {text}\nx: {{{{ .Values.x }}}}\n");
        files.push((format!("{path}Chart.yaml"), CHART_YAML.replace("test", "sa").into_bytes()));
        files.push((format!("{path}values.yaml"), format!("x: {text}\n").into_bytes()));
        files.push((format!("{path}templates/s.yaml"), template.into_bytes()));
    }
    let chart = Chart::from_files(files).unwrap();
    let rendered = render_chart(&chart, &ValueSources::default()).unwrap();
    let objects: Vec<_> = rendered.manifests.iter().map(|manifest| &manifest.object).collect();
    // The first one's values count, and the last one's templates.
    assert_eq!(objects, [&json!({"from": 2, "x": 1})]);
}

#[test]
fn only_charts_of_the_first_version_show_their_lock_to_templates() {
    for (version, name, expected) in
        [("v1", "requirements.lock", "l"), ("v2", "requirements.lock", ""), ("v1", "Chart.lock", "")]
    {
        let files = [
            ("Chart.yaml", CHART_YAML.replace("v2", version)),
            (name, "l".to_owned()),
            ("templates/a.yaml", format!("a: {{{{ .Files.Get {name:?} | quote }}}}")),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.into_bytes()));
        let chart = Chart::from_files(files).expect("it is one");
        let rendered = render_chart(&chart, &ValueSources::default()).expect("it renders");
        assert_eq!(rendered.manifests[0].object["a"], expected, "{version} {name}");
    }
}

#[test]
fn requirements_are_yaml_1_1() {
    let requirements = "dependencies:\n- name: sub\n  version: 1.0\n  tags: [no, 0x1f, 1_000]\n";
    let chart = chart(&[
        ("requirements.yaml", requirements),
        ("charts/sub/Chart.yaml", "name: sub\nversion: 1.0.0\n"),
        ("templates/a.yaml", "a: {{ .Chart.Dependencies | toJson }}"),
    ]);
    let rendered = render_chart(&chart, &ValueSources::default()).expect("it renders");
    let dependency = &rendered.manifests[0].object["a"][0];
    assert_eq!(dependency["Version"], json!("1"));
    assert_eq!(dependency["Tags"], json!(["false", "31", "1000"]));
}
