//! Which pods a quota counts.

use k8s_openapi::api::core::v1::{PodSpec, ResourceQuota, ScopedResourceSelectorRequirement};

use super::subject::containers;

/// Whether a quota counts a pod: all of its scopes have to fit.
pub(super) fn applies(quota: &ResourceQuota, pod: &PodSpec) -> bool {
    let Some(spec) = &quota.spec else { return false };
    let plain = spec.scopes.iter().flatten().all(|scope| is_in(scope, "Exists", &[], pod));
    let selector =
        spec.scope_selector.iter().flat_map(|selector| selector.match_expressions.iter().flatten());
    let mut selector = selector.map(|it: &ScopedResourceSelectorRequirement| {
        is_in(&it.scope_name, &it.operator, it.values.as_deref().unwrap_or_default(), pod)
    });
    plain && selector.all(|fits| fits)
}

fn is_in(scope: &str, operator: &str, values: &[String], pod: &PodSpec) -> bool {
    let ends = pod.active_deadline_seconds.is_some();
    match scope {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => is_best_effort(pod),
        "NotBestEffort" => !is_best_effort(pod),
        "PriorityClass" => {
            let class = pod.priority_class_name.as_ref();
            match operator {
                "In" => class.is_some_and(|class| values.contains(class)),
                "NotIn" => class.is_none_or(|class| !values.contains(class)),
                "DoesNotExist" => class.is_none(),
                _ => class.is_some(),
            }
        }
        // Such as CrossNamespacePodAffinity, which the chart's pods do not have.
        _ => false,
    }
}

/// Whether no container asks for anything.
fn is_best_effort(pod: &PodSpec) -> bool {
    containers(pod).all(|container| {
        let resources = container.resources.as_ref();
        resources.is_none_or(|it| {
            [&it.requests, &it.limits].iter().all(|map| map.as_ref().is_none_or(|map| map.is_empty()))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn counts(spec: Value, pod: Value) -> bool {
        let quota = serde_json::from_value(json!({"spec": spec})).expect("a quota");
        applies(&quota, &serde_json::from_value(pod).expect("a pod"))
    }

    #[test]
    fn quotas_count_the_pods_of_their_scopes() {
        let (idle, busy) = (
            json!({"containers": [{"name": "c"}]}),
            json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}),
        );
        assert!(counts(json!({}), idle.clone()));
        assert!(counts(json!({"scopes": ["BestEffort", "NotTerminating"]}), idle.clone()));
        assert!(!counts(json!({"scopes": ["BestEffort"]}), busy.clone()));
        assert!(counts(json!({"scopes": ["NotBestEffort"]}), busy.clone()));
        assert!(!counts(json!({"scopes": ["Terminating"]}), busy));
        let class = |operator: &str, values: &[&str]| {
            json!({"scopeSelector": {"matchExpressions": [
                {"scopeName": "PriorityClass", "operator": operator, "values": values}]}})
        };
        let high = json!({"containers": [], "priorityClassName": "high"});
        assert!(counts(class("In", &["high"]), high.clone()) && !counts(class("In", &["low"]), high));
        assert!(!counts(class("In", &["high"]), idle.clone()) && counts(class("NotIn", &["high"]), idle));
    }
}
