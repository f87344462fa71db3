//! The user's values: `--set` and similar arguments, files, nulls, and their order.

use super::support::{chart, render_chart};
use helm_template::{ValueSources, ValuesFile};
use serde_json::{Value, json};

const DEFAULTS: &str = "a: {b: 1, c: {d: x}}\nl: [1, {k: v}]\ns: text\n";

fn computed(values: &ValueSources) -> Result<Value, String> {
    let chart = chart(&[("values.yaml", DEFAULTS)]);
    let rendered = render_chart(&chart, values).map_err(|error| error.to_string())?;
    Ok(rendered.values)
}

fn set(argument: &str) -> Result<Value, String> {
    let values = ValueSources { set: vec![argument.into()], ..ValueSources::default() };
    computed(&values)
}

#[test]
fn set_types_its_values() {
    let got = set("x=true,y=null,z=12,w=012,v=1.5,u=,t=0").unwrap();
    let parts = ["x", "y", "z", "w", "v", "u", "t"].map(|key| got[key].clone());
    let want = [json!(true), json!(null), json!(12), json!("012"), json!("1.5"), json!(""), json!(0)];
    assert_eq!(parts, want);
}

#[test]
fn set_follows_paths() {
    assert_eq!(set("a.c.d=y").unwrap()["a"], json!({"b": 1, "c": {"d": "y"}}));
    // A list is replaced as a whole.
    let list = set("l[1].k=w,l[3]=z").unwrap()["l"].clone();
    assert_eq!(list, json!([null, {"k": "w"}, null, "z"]));
    assert_eq!(set("x={a,b\\,c}").unwrap()["x"], json!(["a", "b,c"]));
    assert_eq!(set("x\\.y=1").unwrap()["x.y"], json!(1));
    assert_eq!(set("x[0][1]=q").unwrap()["x"], json!([[null, "q"]]));
}

#[test]
fn set_refuses_what_helm_refuses() {
    for argument in ["x", "x=1,y", "x[-1]=a", "x[a]=b", "x={a", "x[70000]=1", "x=1,x.y=2", "x=1,x[0]=2"] {
        assert!(set(argument).is_err(), "{argument}");
    }
    for argument in ["", "x=", "x[0", "x.", "a.b.c=", "s.x=1", "=1"] {
        assert!(set(argument).is_ok(), "{argument}");
    }
    let deep = format!("{}x=1", "a.".repeat(31));
    assert!(set(&deep).is_err());
}

#[test]
fn null_deletes_a_default() {
    assert_eq!(set("a=null").unwrap().get("a"), None);
    assert_eq!(set("a.c=null").unwrap()["a"], json!({"b": 1}));
    let values = ValueSources {
        files: vec![ValuesFile { name: "f".into(), text: "a: {b: null}".into() }],
        ..ValueSources::default()
    };
    assert_eq!(computed(&values).unwrap()["a"], json!({"c": {"d": "x"}}));
}

#[test]
fn later_sources_win() {
    let file = |text: &str| ValuesFile { name: "f".into(), text: text.into() };
    let mut values =
        ValueSources { presets: vec![json!({"s": "preset", "p": 1})], ..ValueSources::default() };
    let s = |values: &ValueSources| computed(values).unwrap()["s"].clone();
    assert_eq!(s(&values), "preset");
    values.files = vec![file("s: first"), file("s: second")];
    assert_eq!(s(&values), "second");
    values.set_json = vec!["s=\"json\"".into()];
    assert_eq!(s(&values), "json");
    values.set = vec!["s=set".into()];
    assert_eq!(s(&values), "set");
    values.set_string = vec!["s=5".into()];
    assert_eq!(s(&values), "5");
    values.overrides = vec![json!({"s": "override"})];
    assert_eq!(s(&values), "override");
    assert_eq!(computed(&values).unwrap()["p"], 1);
}

#[test]
fn values_files_are_yaml_1_1() {
    let text = "a: yes\nb: 0644\nc: 1_000\nd: 12:30\ne: on\nf: 0x1F\n";
    let values = ValueSources {
        files: vec![ValuesFile { name: "f".into(), text: text.into() }],
        ..ValueSources::default()
    };
    let got = computed(&values).unwrap();
    let parts = ["a", "b", "c", "d", "e", "f"].map(|key| got[key].clone());
    let want = [json!(true), json!(420), json!(1000), json!("12:30"), json!(true), json!(31)];
    assert_eq!(parts, want);
}
