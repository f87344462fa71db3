//! Credential plugins of the kubeconfig on a real cluster.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;
use workqueue_test_support::{Bed, Sandbox, run_with_input};

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_credential_plugin_that_reads_takes_no_items() {
    let bed = Bed::with_release("plugin");
    let files = Sandbox::new();
    let mut config = bed.kubectl(&["config", "view", "--raw", "--minify", "-o", "json"]).ok().json();
    let user = config["users"][0]["user"].clone();
    let pem = |name: &str| {
        let data = user[format!("{name}-data")].as_str().map(base64_decode);
        data.unwrap_or_else(|| {
            fs::read_to_string(user[name].as_str().expect("a certificate")).expect("it is there")
        })
    };
    let status = match user["token"].as_str() {
        Some(token) => json!({"token": token}),
        None => {
            json!({"clientCertificateData": pem("client-certificate"), "clientKeyData": pem("client-key")})
        }
    };
    files.file("answer", json!({"kind": "ExecCredential", "status": status}).to_string());
    let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho run >> runs\ncat > eaten\ncat answer\n";
    let plugin = files.file("plugin", script);
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).expect("ours");
    config["users"][0]["user"] = json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": plugin, "interactiveMode": "IfAvailable",
    }});
    let kubeconfig = files.file("kubeconfig", config.to_string());

    let mut enqueue = bed.command(&["enqueue", "-f", "-"]);
    run_with_input(enqueue.env("KUBECONFIG", kubeconfig), b"1\n2\n3\n4\n5\n")
        .ok()
        .says("5 items read, 5 confirmed");
    assert_eq!(files.read("eaten"), "");
    assert_eq!(files.read("runs"), "run\n", "it runs once a command");
    assert_eq!(bed.messages("job1"), 5);
}

fn base64_decode(text: &str) -> String {
    let mut decoder = std::process::Command::new("base64");
    run_with_input(decoder.arg("-d"), text.as_bytes()).ok().stdout
}
