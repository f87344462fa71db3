//! Values of the chart, as `render` takes them.

use serde::Deserialize as _;
use serde_json::Value;
use workqueue_test_support::{Sandbox, root, run_with_input};

#[test]
fn values_come_as_with_helm_from_several_files_and_from_standard_input() {
    let sandbox = Sandbox::new();
    sandbox.file("a.yaml", "commonLabels: {team: one, from: a}\n");
    sandbox.file("b.yaml", "commonLabels: {team: two}\n");
    let mut command = sandbox.command(&["render", "-f", "a.yaml,b.yaml", "-f", "-"]);
    let outcome = run_with_input(&mut command, b"commonAnnotations: {note: piped}\n").ok();
    outcome.prints("team: two").prints("from: a").prints("note: piped");
}

#[test]
fn quantities_are_strings_whatever_was_given() {
    let sets = "broker.resources.limits.cpu=2,broker.resources.requests.cpu=0.5";
    let outcome = Sandbox::new().run(&["render", "--set", sets]).ok();
    let all = documents(&outcome.stdout);
    let broker = all.iter().find(|object| object["kind"] == "StatefulSet").expect("a broker");
    let resources = &broker["spec"]["template"]["spec"]["containers"][0]["resources"];
    assert_eq!(resources["limits"]["cpu"], "2", "{resources}");
    assert_eq!(resources["requests"]["cpu"], "0.5", "{resources}");
}

fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text);
    documents
        .map(|document| Value::deserialize(document).expect("YAML"))
        .filter(|value| !value.is_null())
        .collect()
}

fn sorted(mut objects: Vec<Value>) -> Vec<Value> {
    objects.sort_by_key(|object| object["kind"].as_str().map(str::to_owned));
    objects
}

/// The preset `tutorial` renders the objects of the tutorial's text, parsed, and nothing else.
/// `tutorial/` holds the YAML blocks of the tutorial as they stand there.
#[test]
fn the_preset_is_the_tutorial() {
    let blocks = ["rabbitmq-service", "rabbitmq-controller", "job"].map(|name| {
        let path = root().join(format!("tests/cli/tutorial/{name}.yaml"));
        documents(&std::fs::read_to_string(path).expect("a fixture")).remove(0)
    });
    let outcome = Sandbox::new().run(&["render", "--preset", "tutorial"]).ok();
    let expected = Value::Array(sorted(blocks.to_vec()));
    assert_eq!(Value::Array(sorted(documents(&outcome.stdout))), expected);
}
