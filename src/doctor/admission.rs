//! Whether the server would admit the pods: they are created as a dry run, as they would be for real.
//!
//! This asks what no rule here knows: security policies of the cluster's own, and webhooks.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::finding::Finding;
use super::subject::{PodGroup, containers};
use crate::cluster::{self, Cluster};

const CHECK: &str = "admission";

/// A pod as the controller of its group would create it. What only the controller adds, such as the
/// volumes of a StatefulSet, is replaced by empty directories.
fn pod_of(group: &PodGroup, name: &str) -> Value {
    let mut template = json!(group.template);
    let spec = group.spec();
    let volumes: Vec<&str> = spec.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect();
    let mounts = containers(&spec).flat_map(|container| container.volume_mounts.iter().flatten());
    let mut missing: Vec<&str> =
        mounts.map(|mount| mount.name.as_str()).filter(|name| !volumes.contains(name)).collect();
    missing.sort_unstable();
    missing.dedup();
    let added = missing.iter().map(|name| json!({"name": name, "emptyDir": {}}));
    let mut all: Vec<Value> = template["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    all.extend(added);
    template["spec"]["volumes"] = json!(all);
    template["metadata"]["name"] = json!(name);
    template["apiVersion"] = json!("v1");
    template["kind"] = json!("Pod");
    template
}

/// What is known before.
pub(super) struct Tried<'a> {
    /// A broker runs already: another one need not fit into the quota.
    pub(super) running: bool,
    /// The checks that have found an error.
    pub(super) red: &'a [&'static str],
}

/// What the server says of a group's pods.
pub(super) struct Rehearsal {
    pub(super) finding: Finding,
    /// Containers that somebody adds; `None` if the pod was not admitted.
    pub(super) added: Option<Vec<String>>,
}

/// Lets the server admit a pod of a group, without creating it.
pub(super) async fn rehearse(
    cluster: &Cluster,
    group: &PodGroup,
    name: &str,
    tried: &Tried<'_>,
) -> Rehearsal {
    let answer = cluster.create(&pod_of(group, name), true).await;
    let added = answer.as_ref().ok().and_then(|object| Some(added(group, &object.clone().try_parse().ok()?)));
    Rehearsal { finding: judge(group.role.as_str(), answer.err().as_ref(), tried), added }
}

fn judge(role: &str, error: Option<&cluster::Error>, tried: &Tried<'_>) -> Finding {
    use cluster::Error as E;
    let message = match error {
        None => return Finding::ok(CHECK, format!("the server admits the {role}'s pods")),
        Some(E::Forbidden { rule: None, message, .. } | E::Immutable { message, .. }) => message,
        Some(E::Api { message, code: Some(400), .. }) if !message.contains("dry run") => message,
        Some(error) => return Finding::not_seen(CHECK, error),
    };
    match check_of(message) {
        Some("quota") if tried.running => Finding::unknown(
            CHECK,
            format!("the quota has no room to try another {role} beside the broker that runs"),
        ),
        Some(check) if tried.red.contains(&check) => {
            Finding::unknown(CHECK, format!("the server refuses the {role}'s pods because of the {check}"))
        }
        _ => Finding::error(CHECK, format!("the server refuses the {role}'s pods: {message}"), hint(message)),
    }
}

/// The check that a refusal belongs to.
fn check_of(message: &str) -> Option<&'static str> {
    let says = |words: &str| message.contains(words);
    if says("exceeded quota") || says("failed quota") {
        Some("quota")
    } else if says("usage per") {
        Some("limit-range")
    } else if says("violates PodSecurity") {
        Some("pod-security")
    } else {
        None
    }
}

/// What to do about a refusal, by its words.
fn hint(message: &str) -> &'static str {
    let says = |words: &str| message.contains(words);
    match check_of(message) {
        Some("quota") => {
            "see `kubectl describe quota`: ask for a larger one, or for fewer resources in the values"
        }
        Some("limit-range") => "see `kubectl describe limitrange`, and change the resources in the values",
        Some(_) => {
            "see podSecurityContext and securityContext in the chart's values, or use another namespace"
        }
        None if says("security context constraint") => {
            "set podSecurityContext.runAsUser, runAsGroup and fsGroup of broker and worker to null: the cluster \
             assigns them"
        }
        None if says("service account") || says("serviceaccount") => {
            "name one that exists with --set broker.serviceAccountName or worker.serviceAccountName"
        }
        None => "change the chart's values, or ask whoever runs the cluster about this rule",
    }
}

/// The containers that go on beside the pod's own. Those that the server restarts on their own end with
/// it.
fn added(group: &PodGroup, pod: &Pod) -> Vec<String> {
    let (own, spec) = (group.spec(), pod.spec.clone().unwrap_or_default());
    let is_own = |name: &str| own.containers.iter().any(|container| container.name == name);
    spec.containers.into_iter().map(|it| it.name).filter(|name| !is_own(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;
    use crate::doctor::subject::tests::subject;

    #[test]
    fn a_pod_has_all_volumes_that_it_mounts() {
        let pod: Pod = serde_json::from_value(pod_of(&subject(&[]).pods[0], "p")).expect("a pod");
        let spec = pod.spec.expect("it has one");
        let volumes: Vec<_> = spec.volumes.iter().flatten().map(|volume| volume.name.clone()).collect();
        assert!(volumes.contains(&"data".to_owned()), "{volumes:?}");
        assert_eq!(volumes.iter().filter(|name| *name == "data").count(), 1);
        assert!(added(&subject(&[]).pods[0], &Pod { spec: Some(spec), ..Pod::default() }).is_empty());
    }

    #[test]
    fn containers_that_are_added_are_named() {
        let group = &subject(&["worker.image=w"]).pods[1];
        let mut pod = pod_of(group, "p");
        let sidecar = json!({"name": "istio-proxy", "image": "i"});
        pod["spec"]["containers"].as_array_mut().expect("a list").insert(0, sidecar);
        assert_eq!(added(group, &serde_json::from_value(pod).expect("a pod")), ["istio-proxy"]);
    }

    fn refused(message: &str, running: bool, red: &[&'static str]) -> Finding {
        let (what, message) = ("creating".to_owned(), message.to_owned());
        let error = cluster::Error::Forbidden { what, message, rule: None };
        judge("broker", Some(&error), &Tried { running, red })
    }

    #[test]
    fn refusals_of_policies_are_red_and_those_of_roles_are_not() {
        let scc = refused("unable to validate against any security context constraint", false, &[]);
        assert_eq!(scc.state, State::Error);
        assert!(scc.hint.is_some_and(|hint| hint.contains("runAsUser")));
        let unauthorized = cluster::Error::Unauthorized { url: "u".to_owned() };
        let nothing = Tried { running: false, red: &[] };
        assert_eq!(judge("broker", Some(&unauthorized), &nothing).state, State::Unknown);
    }

    #[test]
    fn a_refusal_is_red_once() {
        let quota = "pods \"p\" is forbidden: exceeded quota: q";
        assert_eq!(refused(quota, false, &[]).state, State::Error, "the computation has missed something");
        assert_eq!(refused(quota, false, &["quota"]).state, State::Unknown);
        assert_eq!(refused(quota, true, &[]).state, State::Unknown);
        assert_eq!(refused("maximum cpu usage per Container is 1", true, &["quota"]).state, State::Error);
    }
}
