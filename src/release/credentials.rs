//! Which Secrets a release's broker needs that the chart does not render: one for each of the broker's users,
//! and one for the cookie of its nodes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cluster::broker_pod::secret_annotation;
use crate::cluster::rollout::Workload;
use crate::cluster::secret::{CredentialsSpec, Holds};
use crate::release::manifests::of_kind;

/// The administrator's name in a generated Secret; the other users' names begin with it.
const GENERATED_USERNAME: &str = "workqueue";

/// The Secrets that `up` has to create for the workloads: not those that the chart renders.
pub(crate) fn specs(objects: &[Value], workloads: &[Workload], values: &Value) -> Vec<CredentialsSpec> {
    let Some(service) = of_kind(objects, &["Service"]).find(|service| service["spec"]["clusterIP"] != "None")
    else {
        return Vec::new();
    };
    let mut specs = Vec::new();
    for Workload { manifest } in workloads {
        let Some(administrator) = secret_of(manifest) else { continue };
        let is_set = |path: &str| values.pointer(path).is_some_and(|name| name != "");
        let spec = |name: String, holds: Holds, path: &str| CredentialsSpec {
            name,
            labels: text_map(&service["metadata"]["labels"]),
            // A Secret that the user named is the user's to create.
            generate: !is_set(path),
            holds,
        };
        for user in ["look", "run", "workers"] {
            let Some(name) = annotated_secret(manifest, user) else { continue };
            let holds = user_of(service, &format!("{GENERATED_USERNAME}-{user}"), user);
            specs.push(spec(name, holds, &format!("/auth/existingSecrets/{user}")));
        }
        if let Some(name) = annotated_secret(manifest, "cookie") {
            let is_cluster = manifest["spec"]["replicas"].as_u64().is_some_and(|replicas| replicas > 1);
            let holds = Holds::Cookie { keep_from: is_cluster.then(|| administrator.clone()) };
            specs.push(spec(name, holds, "/auth/existingSecrets/cookie"));
        }
        let holds = user_of(service, GENERATED_USERNAME, "administrator");
        specs.insert(0, spec(administrator, holds, "/auth/existingSecret"));
    }
    let is_rendered = |name: &str| {
        of_kind(objects, &["Secret"]).any(|secret| secret["metadata"]["name"].as_str() == Some(name))
    };
    specs.retain(|spec| !is_rendered(&spec.name));
    specs
}

/// A user of the broker behind a Service.
fn user_of(service: &Value, username: &str, role: &str) -> Holds {
    let port = &service["spec"]["ports"][0];
    let name = service["metadata"]["name"].as_str().unwrap_or_default();
    Holds::User {
        username: username.to_owned(),
        // The first port is named after its scheme: amqps if the broker only accepts TLS.
        scheme: port["name"].as_str().unwrap_or("amqp").to_owned(),
        authority: format!("{name}:{}", port["port"].as_u64().unwrap_or(5672)),
        needs_url: role == "workers",
        makes_tokens: role == "run",
    }
}

/// The Secrets that a broker's pods refer to.
pub(crate) fn secrets_of(workload: &Value) -> Vec<String> {
    let others = ["look", "run", "workers", "cookie"].map(|name| annotated_secret(workload, name));
    secret_of(workload).into_iter().chain(others.into_iter().flatten()).collect()
}

/// The Secret with the login of the user who runs.
pub(crate) fn login_of(workload: &Value) -> Option<String> {
    annotated_secret(workload, "run").or_else(|| secret_of(workload))
}

/// The Secret that holds the password of a broker's administrator.
fn secret_of(workload: &Value) -> Option<String> {
    let containers = workload.pointer("/spec/template/spec/containers")?.as_array()?;
    let variables = containers.iter().filter_map(|container| container["env"].as_array()).flatten();
    let mut passwords = variables.filter(|variable| variable["name"] == "RABBITMQ_DEFAULT_PASS");
    passwords
        .find_map(|variable| variable.pointer("/valueFrom/secretKeyRef/name")?.as_str().map(str::to_owned))
}

/// A Secret that the pods of a workload name in an annotation.
fn annotated_secret(workload: &Value, name: &str) -> Option<String> {
    let annotations = workload.pointer("/spec/template/metadata/annotations")?;
    annotations[secret_annotation(name)].as_str().map(str::to_owned)
}

fn text_map(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}
