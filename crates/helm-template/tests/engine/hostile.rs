//! Input that was made to exhaust memory, stack or time is refused, and quickly.

use std::time::{Duration, Instant};

use super::support::{chart, render_chart, render_text};
use helm_template::{ErrorKind, ValueSources, ValuesFile};

#[track_caller]
fn refuse(template: &str) {
    let start = Instant::now();
    let result = render_text(template, "");
    assert!(start.elapsed() < Duration::from_secs(60), "{template} took too long");
    assert!(result.is_err(), "{} was accepted", &template[..template.len().min(80)]);
}

#[test]
fn endless_growth_is_refused() {
    refuse("{{ $x := \"0123456789\" }}{{ range until 64 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}");
    refuse("{{ $l := list 1 }}{{ range until 64 }}{{ $l = concat $l $l }}{{ end }}");
    refuse(
        "{{ $d := dict }}{{ range until 64 }}{{ $d = dict \"a\" $d \"b\" $d }}{{ end }}{{ toYaml $d | len }}{{ $d | toString | len }}",
    );
    refuse("{{ repeat 1000000000 \"x\" }}");
    refuse("{{ repeat 9223372036854775807 \"x\" }}");
    refuse("{{ until 9223372036854775807 }}");
    refuse("{{ indent 1000000000 \"x\" }}");
    refuse("{{ printf \"%999999999999d\" 1 | repeat 100000000 }}");
    refuse("{{ randAlphaNum 1000000000 }}");
    refuse("{{ $x := repeat 1000000 \"a\" }}{{ replace \"a\" $x $x }}");
    refuse("{{ $x := repeat 1000000 \"a\" }}{{ regexReplaceAll \"a\" $x $x }}");
    refuse("{{ range until 1000 }}{{ range until 1000 }}{{ range until 1000 }}x{{ end }}{{ end }}{{ end }}");
}

#[test]
fn endless_recursion_is_refused() {
    refuse("{{ define \"r\" }}{{ include \"r\" . }}{{ end }}{{ include \"r\" . }}");
    refuse("{{ define \"r\" }}{{ template \"r\" . }}{{ end }}{{ template \"r\" . }}");
    refuse(
        "{{ define \"a\" }}{{ include \"b\" . }}{{ end }}{{ define \"b\" }}{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}",
    );
    refuse("{{ $t := \"{{ tpl . . }}\" }}{{ tpl $t $t }}");
}

#[test]
fn depth_of_calls_and_blocks_together_is_refused() {
    for (open, close) in [("{{ if true }}", "{{ end }}"), ("{{ with (and (and (and 1))) }}", "{{ end }}")] {
        let body = format!("{}{{{{ include \"r\" . }}}}{}", open.repeat(900), close.repeat(900));
        refuse(&format!("{{{{ define \"r\" }}}}{body}{{{{ end }}}}{{{{ include \"r\" . }}}}"));
    }
    let parens = format!("{}include \"r\" .{}", "(and 1 ".repeat(450), ")".repeat(450));
    refuse(&format!("{{{{ define \"r\" }}}}{{{{ {parens} }}}}{{{{ end }}}}{{{{ include \"r\" . }}}}"));
}

#[test]
fn extreme_numbers_do_not_crash() {
    for template in [
        "{{ printf \"%.99999f|%99999d|%.99999d|%099999f|%.99999e|%.99999g\" 1.5 1 1 1.5 1.5 1.5 | len }}",
        "{{ date \"2006-01-02 Mon\" (int64 \"9223372036854775807\") }}{{ date \"2006\" (int64 \"-9223372036854775808\") }}",
        "{{ ago (int64 \"-9223372036854775808\") }}{{ duration (int64 \"9223372036854775807\") }}",
        "{{ (semver \"18446744073709551615.18446744073709551615.18446744073709551615\").IncMajor }}",
        "{{ mul 9223372036854775807 2 }}{{ add 9223372036854775807 1 }}{{ div (int64 \"-9223372036854775808\") -1 }}",
        "{{ round 1e308 308 }}{{ round 1.5 -400 }}{{ divf 1e308 1e-308 }}{{ mulf 1e308 1e308 }}",
        "{{ wrap -5 \"a b\" }}{{ abbrev 9223372036854775807 \"a\" }}{{ abbrevboth -5 7 \"abcdefghijkl\" }}{{ substr 9223372036854775807 -1 \"a\" | len }}",
        "{{ indent 9223372036854775807 \"a\\nb\" }}",
        "{{ untilStep -9223372036854775807 9223372036854775807 9223372036854775807 }}",
        "{{ seq 9223372036854775806 9223372036854775807 }}",
        "{{ chunk 9223372036854775807 (list 1 2) }}{{ slice (list 1 2) -1 }}{{ trunc -9223372036854775807 \"a\" }}",
    ] {
        drop(render_text(template, ""));
        // A panic would come out as this message.
        let failed = render_text(template, "").is_err_and(|e| e.message() == "the renderer failed");
        assert!(!failed, "{template}");
    }
}

#[test]
fn deep_syntax_is_refused() {
    refuse(&format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000)));
    refuse(&"{{ if true }}".repeat(100_000));
    refuse(&format!("{{{{ if true }}}}{}", "{{ else if true }}".repeat(100_000)));
    let fields = format!("{{{{ .a{} }}}}", ".b".repeat(100_000));
    refuse(&fields);
}

#[test]
fn reasonable_depth_is_accepted() {
    let parens = format!("{{{{ {}1{} }}}}", "(".repeat(200), ")".repeat(200));
    assert_eq!(render_text(&parens, "").unwrap(), "1");
    let ladder = format!("{{{{ if false }}}}{}{{{{ end }}}}", "{{ else if false }}".repeat(300));
    assert_eq!(render_text(&ladder, "").unwrap(), "");
    let recursive = "{{ define \"r\" }}{{ if gt . 0 }}{{ include \"r\" (sub . 1 | int) }}{{ end }}{{ end }}{{ include \"r\" 900 }}";
    assert_eq!(render_text(recursive, "").unwrap(), "");
}

#[test]
fn deep_and_cyclic_values_do_not_crash() {
    let deep = "{{ $d := dict }}{{ range until 100000 }}{{ $d = dict \"a\" $d }}{{ end }}";
    assert!(render_text(deep, "").is_ok());
    for function in ["toYaml", "toJson", "toString", "deepCopy", "toToml"] {
        let template = format!("{deep}{{{{ {function} $d }}}}");
        // Some of these swallow the error, as in helm; none may crash.
        drop(render_text(&template, ""));
        let cyclic = format!("{{{{ $d := dict }}}}{{{{ $_ := set $d \"d\" $d }}}}{{{{ {function} $d }}}}");
        drop(render_text(&cyclic, ""));
    }
    let merged = "{{ $d := dict }}{{ $_ := set $d \"d\" $d }}{{ $e := dict }}{{ $_ := set $e \"d\" $e }}{{ $_ := merge $d $e }}{{ deepEqual $d $e }}";
    drop(render_text(merged, ""));
}

#[test]
fn hostile_yaml_is_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        let aliases = vec![alias; 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    for text in [bomb, "[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
        let values = ValueSources {
            files: vec![ValuesFile { name: "hostile.yaml".into(), text }],
            ..ValueSources::default()
        };
        let error = render_chart(&chart(&[]), &values).expect_err("the file is refused");
        assert_eq!(error.kind(), ErrorKind::Values);
    }
}

#[test]
fn odd_bytes_do_not_crash() {
    for template in [
        "\u{0}",
        "{{ \"\\xff\" }}",
        "{{ b64dec \"/w==\" | upper }}",
        "{{ trunc 1 \"é\" | quote }}",
        "{{ \"\u{feff}\" }}",
        "{{\u{a0}1 }}",
        "{{ .\u{301} }}",
    ] {
        drop(render_text(template, ""));
    }
}
