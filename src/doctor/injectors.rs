//! Webhooks that put containers of their own into pods. A Job does not end while one of them runs.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::{MutatingWebhook, MutatingWebhookConfiguration};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt as _;

use super::finding::Finding;

const CHECK: &str = "injectors";

/// Labels and annotations of a namespace that ask a service mesh for sidecars.
const ASKING: [(&str, &str); 4] = [
    ("istio-injection", "enabled"),
    ("linkerd.io/inject", "enabled"),
    ("kuma.io/sidecar-injection", "enabled"),
    ("consul.hashicorp.com/connect-inject", "true"),
];
const ISTIO_REVISION: &str = "istio.io/rev";

const HINT: &str = "exempt the workers with --set worker.podLabels or worker.podAnnotations, in the words of the webhook, \
                    or use a namespace without it";

/// Judges by what was added to a worker's pod in a dry run, the surest sign.
pub(super) fn judge_added(added: &[String], role: &str) -> Finding {
    if added.is_empty() {
        return Finding::ok(CHECK, format!("nobody adds containers to the {role}'s pods"));
    }
    let names = added.join(" and ");
    if role == "worker" {
        let message =
            format!("container {names} is added to the worker's pods: a run does not end while it runs");
        return Finding::warning(CHECK, message, HINT);
    }
    Finding::ok(CHECK, format!("container {names} is added to the {role}'s pods"))
}

/// Judges by what the namespace and the webhooks say.
pub(super) fn judge(namespace: &Namespace, webhooks: &[MutatingWebhookConfiguration]) -> Finding {
    let marks = [namespace.labels(), namespace.annotations()];
    let has =
        |(name, value): &(&str, &str)| marks.iter().any(|map| map.get(*name).is_some_and(|it| it == value));
    let mesh = ASKING.iter().find(|mark| has(mark)).map(|(name, _)| *name);
    let mesh = mesh.or_else(|| namespace.labels().contains_key(ISTIO_REVISION).then_some(ISTIO_REVISION));
    if let Some(mark) = mesh {
        // The chart's own annotations exempt workers from these.
        return Finding::ok(
            CHECK,
            format!(
                "the namespace asks for sidecars ({mark}); worker.disableMeshSidecars keeps Istio's and Linkerd's away"
            ),
        );
    }
    let labels = namespace.labels();
    let concerned = webhooks.iter().flat_map(|configuration| configuration.webhooks.iter().flatten());
    let names: Vec<&str> =
        concerned.filter(|webhook| is_about(webhook, labels)).map(|webhook| webhook.name.as_str()).collect();
    if names.is_empty() {
        return Finding::ok(CHECK, "no webhook changes pods in this namespace");
    }
    let message = format!("webhook {} may change the pods in this namespace", names.join(" and "));
    Finding::unknown(CHECK, message)
}

/// Whether a webhook is called when a pod is created in a namespace with these labels.
fn is_about(webhook: &MutatingWebhook, labels: &BTreeMap<String, String>) -> bool {
    let names = |list: &Option<Vec<String>>, name: &str| {
        list.iter().flatten().any(|it| it == "*" || it.eq_ignore_ascii_case(name))
    };
    let mut rules = webhook.rules.iter().flatten();
    rules.any(|rule| names(&rule.operations, "create") && names(&rule.resources, "pods"))
        && webhook.namespace_selector.as_ref().is_none_or(|selector| selects(selector, labels))
}

fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let same = selector.match_labels.iter().flatten().all(|(name, value)| labels.get(name) == Some(value));
    let mut expressions = selector.match_expressions.iter().flatten();
    same && expressions.all(|it| {
        let value = labels.get(&it.key);
        let among = value.is_some_and(|value| it.values.iter().flatten().any(|other| other == value));
        match it.operator.as_str() {
            "In" => among,
            "NotIn" => !among,
            "Exists" => value.is_some(),
            _ => value.is_none(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;
    use serde_json::{Value, json};

    fn namespace(labels: Value) -> Namespace {
        serde_json::from_value(json!({"metadata": {"name": "n", "labels": labels}})).expect("a namespace")
    }

    fn webhook(selector: Value, resource: &str) -> MutatingWebhookConfiguration {
        let rule = json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": [resource]});
        serde_json::from_value(
            json!({"webhooks": [{"name": "w.example", "rules": [rule], "sideEffects": "None",
            "clientConfig": {}, "admissionReviewVersions": [], "namespaceSelector": selector}]}),
        )
        .expect("a configuration")
    }

    #[test]
    fn a_sidecar_that_keeps_a_run_from_ending_is_a_warning() {
        let added = ["istio-proxy".to_owned()];
        assert_eq!(judge_added(&added, "worker").state, State::Warning);
        assert_eq!(judge_added(&added, "broker").state, State::Ok);
        assert_eq!(judge_added(&[], "worker").state, State::Ok);
    }

    #[test]
    fn webhooks_count_if_they_select_the_namespace_and_pods() {
        let plain = namespace(json!({}));
        let state = |selector: Value, resource: &str, namespace: &Namespace| {
            judge(namespace, &[webhook(selector, resource)]).state
        };
        assert_eq!(state(json!({}), "pods", &plain), State::Unknown);
        assert_eq!(state(json!({}), "services", &plain), State::Ok);
        let injected = json!({"matchLabels": {"inject": "yes"}});
        assert_eq!(state(injected.clone(), "pods", &plain), State::Ok);
        assert_eq!(state(injected, "*", &namespace(json!({"inject": "yes"}))), State::Unknown);
        let absent = json!({"matchExpressions": [{"key": "control-plane", "operator": "DoesNotExist"}]});
        assert_eq!(state(absent, "pods", &plain), State::Unknown);
        let mesh = judge(&namespace(json!({"istio-injection": "enabled"})), &[]);
        assert!(mesh.message.contains("istio-injection"), "{}", mesh.message);
    }
}
