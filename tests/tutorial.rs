//! The preset `tutorial` renders the objects of the tutorial's text, parsed, and nothing else.
//!
//! `tests/tutorial/` holds the YAML blocks of the tutorial as they stand there.

mod sandbox;

use sandbox::{Sandbox, root};
use serde::Deserialize as _;
use serde_json::Value;

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

#[test]
fn the_preset_is_the_tutorial() {
    let blocks = ["rabbitmq-service", "rabbitmq-controller", "job"].map(|name| {
        let path = root().join(format!("tests/tutorial/{name}.yaml"));
        documents(&std::fs::read_to_string(path).expect("a fixture")).remove(0)
    });
    let outcome = Sandbox::new().run(&["render", "--preset", "tutorial"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let expected = Value::Array(sorted(blocks.to_vec()));
    assert_eq!(Value::Array(sorted(documents(&outcome.stdout))), expected);
}
