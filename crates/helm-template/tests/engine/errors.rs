//! Errors name the template, the line and what is wrong.

use super::support::{chart, render_chart, render_text};
use helm_template::{Chart, Error, ErrorKind, ValueSources};

fn failure(template: &str) -> Error {
    render_text(template, "a: {b: 1}").expect_err("the template is refused")
}

#[track_caller]
fn assert_failure(template: &str, kind: ErrorKind, line: usize, message: &str) {
    let error = failure(template);
    assert_eq!(error.kind(), kind, "{error}");
    let location = error.location().expect("the error has a place");
    assert_eq!(location.template, "test/templates/_t.tpl", "{error}");
    assert_eq!(location.line, line, "{error}");
    assert!(error.message().contains(message), "{error}");
}

#[test]
fn syntax_errors_name_the_line() {
    let parse = ErrorKind::Parse;
    assert_failure("a\n{{ if true }}\nb", parse, 3, "unexpected EOF");
    assert_failure("a\n\n{{ .Values.x", parse, 3, "unclosed action");
    assert_failure("\n{{ \"abc }}", parse, 2, "unterminated quoted string");
    assert_failure("\n{{ `abc }}", parse, 2, "unterminated raw quoted string");
    assert_failure("\n\n{{ nope 1 }}", parse, 3, "function \"nope\" not defined");
    assert_failure("{{ $x }}", parse, 1, "undefined variable \"$x\"");
    assert_failure("{{ end }}", parse, 1, "unexpected {{end}}");
    assert_failure("{{ if true }}\n{{ else }}\n{{ else }}{{ end }}", parse, 3, "expected end");
    assert_failure("{{ (1 }}", parse, 1, "unclosed left paren");
    assert_failure("{{ 1) }}", parse, 1, "unexpected right paren");
    assert_failure("{{/* c }}", parse, 1, "unclosed comment");
    assert_failure("{{ break }}", parse, 1, "outside {{range}}");
    assert_failure("{{ \"a\" | \"b\" }}", parse, 1, "non executable command");
    assert_failure("{{ 1_ }}", parse, 1, "bad number syntax");
    assert_failure("{{ }}", parse, 1, "missing value for command");
    assert_failure("{{ range $a, $b, $c := list }}{{ end }}", parse, 1, "too many declarations");
}

#[test]
fn failures_name_the_line_and_the_expression() {
    let execute = ErrorKind::Execute;
    assert_failure("\n{{ .Values.a.b.c }}", execute, 2, "can't evaluate field c in type float64");
    assert_failure("\n\n{{ .Values.x.y }}", execute, 3, "nil pointer");
    assert_failure("{{ range $x := (list nil) }}\n{{ $x.y }}{{ end }}", execute, 2, "nil pointer");
    assert_failure("{{ range $k, $x := dict \"k\" nil }}{{ $x.y }}{{ end }}", execute, 1, "nil pointer");
    assert_eq!(render_text("{{ $x := .Values.none }}{{ $x.y }}", "a: 1").expect("Go finds nothing"), "");
    assert_failure("{{ index .Values.a \"b\" \"c\" }}", execute, 1, "error calling index");
    assert_failure("{{ eq .Values.a.b 1 }}", execute, 1, "incompatible types");
    assert_failure("{{ include \"nope\" . }}", execute, 1, "no template \"nope\"");
    assert_failure("{{ trunc 3 }}", execute, 1, "want 2 got 1");
    assert_failure("{{ upper 5 }}", execute, 1, "expected string; found 5");
    assert_failure("{{ fail \"no way\" }}", ErrorKind::Refused, 1, "no way");
    assert_failure("{{ required \"need x\" .Values.x }}", ErrorKind::Refused, 1, "need x");
    assert_failure("{{ genPrivateKey \"dsa\" }}", execute, 1, "take rsa or ed25519");
    let error = failure("\n{{ .Values.x.y }}");
    let expression = error.location().and_then(|place| place.expression.clone());
    assert_eq!(expression.as_deref(), Some(".Values.x.y"));
    let text = error.to_string();
    assert!(text.starts_with("test/templates/_t.tpl:2:4 at <.Values.x.y>: "), "{text}");
    assert!(text.contains("called from test/templates/out.yaml:1:"), "{text}");
}

#[test]
fn values_errors_name_the_source() {
    let chart = chart(&[("templates/a.yaml", "a: 1")]);
    let mut values = ValueSources::default();
    values.set.push("a[".into());
    values.set.push("a[x]=1".into());
    let error = render_chart(&chart, &values).expect_err("the argument is refused");
    assert_eq!((error.kind(), error.path()), (ErrorKind::Values, Some("--set")));
    assert!(error.message().contains("a[x]=1"), "{error}");
}

#[test]
fn schema_errors_name_the_file_and_the_value() {
    let schema = r#"{"properties": {"a": {"properties": {"b": {"type": "string"}}}}}"#;
    let chart = chart(&[("values.schema.json", schema), ("values.yaml", "a: {b: 5}")]);
    let error = render_chart(&chart, &ValueSources::default()).expect_err("5 is no string");
    assert_eq!(error.kind(), ErrorKind::Schema);
    assert_eq!(error.path(), Some("test/values.schema.json"));
    assert!(error.message().contains("/a/b"), "{error}");
}

#[test]
fn manifest_errors_name_the_template() {
    for text in ["a: [", "- a", "text", "kind: [a]", "metadata: 5", "metadata: {annotations: {a: {}}}"] {
        let chart = chart(&[("templates/bad.yaml", text)]);
        let error = render_chart(&chart, &ValueSources::default()).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Manifest, "{text}");
        assert_eq!(error.path(), Some("test/templates/bad.yaml"), "{text}");
    }
}

#[test]
fn broken_charts_are_refused() {
    for (yaml, message) in [
        ("name: a\nversion: 1.0.0\napiVersion: v9", "apiVersion"),
        ("version: 1.0.0\napiVersion: v2", "name is required"),
        ("name: a\napiVersion: v2", "version is required"),
        ("name: a\napiVersion: v2\nversion: x", "version \"x\" is invalid"),
        ("name: a/b\napiVersion: v2\nversion: 1.0.0", "is invalid"),
        ("name: a\napiVersion: v2\nversion: 1.0.0\ntype: other", "type must be"),
        ("name: [a", "Chart.yaml"),
    ] {
        let files = [("Chart.yaml".to_owned(), yaml.as_bytes().to_vec())];
        let error = Chart::from_files(files).expect_err(yaml);
        assert_eq!(error.kind(), ErrorKind::Chart, "{yaml}");
        assert!(error.to_string().contains(message), "{error}");
    }
    assert!(Chart::from_files([]).is_err());
    assert!(Chart::from_archive(b"not an archive").is_err());
}

#[test]
fn verbs_that_do_not_fit_are_told_in_gos_words() {
    for (call, expected) in [
        ("\"%05d\" 1.0", "%!d(float64=00001)"),
        ("\"%.2f\" \"abc\"", "%!f(string=ab)"),
        ("\"%5.1f\" \"abc\"", "%!f(string=    a)"),
        ("\"%05s\" 5", "%!s(int=00005)"),
        ("\"%+d\" 1.5", "%!d(float64=+1.5)"),
        ("\"%05d\" true", "%!d(bool=0true)"),
        ("\"%05d\" (list 1.5 \"a\")", "[%!d(float64=001.5) %!d(string=0000a)]"),
        ("\"%d\" .Capabilities", "%!d(*common.Capabilities="),
    ] {
        let text = render_text(&format!("{{{{ printf {call} }}}}"), "a: 1").expect("it is no failure");
        assert!(text.starts_with(expected), "{call}: {text}");
    }
    let times = "{{ $t := toDate \"2006-01-02\" \"2020-03-04\" }}{{ $t.UnixMilli }} {{ $t.Nanosecond }}";
    assert_eq!(render_text(times, "a: 1").expect("they are numbers"), "1583280000000 0");
}
