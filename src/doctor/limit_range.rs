//! Limit ranges: whether the chart's pods and volumes are within them.

use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem};

use super::finding::Finding;
use super::quantity::{self, Milli, show};
use super::resources::{Amounts, Asked, amounts, items, of_pod};
use super::subject::{Subject, containers};
use workqueue_core::words::count;

const CHECK: &str = "limit-range";

/// Compares limit ranges with what a release asks for.
pub(super) fn judge(ranges: &[LimitRange], subject: &Subject) -> Vec<Finding> {
    if ranges.is_empty() {
        return vec![Finding::ok(CHECK, "there are no limit ranges")];
    }
    let mut findings: Vec<Finding> = violations(ranges, subject).map(finding).collect();
    if findings.is_empty() {
        let within =
            format!("what the release asks for is within {}", count(ranges.len() as u64, "limit range"));
        findings.push(Finding::ok(CHECK, within));
    }
    findings
}

fn finding(violation: String) -> Finding {
    let hint = "change the resources in the chart's values (`kubectl describe limitrange` shows the bounds), or ask \
                for another limit range";
    Finding::error(CHECK, violation, hint)
}

fn violations(ranges: &[LimitRange], subject: &Subject) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    for group in &subject.pods {
        let (spec, role) = (group.spec(), group.role.as_str());
        for container in containers(&spec) {
            let (who, asked) =
                (format!("container {} of the {role}", container.name), Asked::by(container, ranges));
            found.extend(items(ranges, "Container").flat_map(|item| outside(item, &who, &asked)));
        }
        let (who, asked) = (format!("the {role}'s pod"), of_pod(&spec, ranges));
        found.extend(items(ranges, "Pod").flat_map(|item| outside(item, &who, &asked)));
    }
    for claims in &subject.claims {
        let size = claims.size().and_then(quantity::parse).map(|size| ("storage".to_owned(), size));
        let storage: Amounts = size.into_iter().collect();
        let asked = Asked { requests: storage.clone(), limits: storage };
        let of_item = |item| outside(item, "the broker's PVC", &asked);
        found.extend(items(ranges, "PersistentVolumeClaim").flat_map(of_item));
    }
    found.into_iter()
}

/// What is outside of an item's bounds. A bound refuses what is not given, too.
fn outside(item: &LimitRangeItem, who: &str, asked: &Asked) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |resource: &str, amount: Option<&Milli>, word: &str, bound: Milli| {
        let bound = show(resource, bound);
        found.push(match amount {
            Some(amount) => {
                format!("{who} asks for {} of {resource}, and the {word} is {bound}", show(resource, *amount))
            }
            None => format!("{who} does not limit its {resource}, and the {word} is {bound}"),
        });
    };
    for (resource, bound) in amounts(item.max.as_ref()) {
        let amount = asked.limits.get(&resource);
        if amount.is_none_or(|amount| *amount > bound) {
            note(&resource, amount, "maximum", bound);
        }
    }
    for (resource, bound) in amounts(item.min.as_ref()) {
        let amount = asked.requests.get(&resource);
        if amount.is_none_or(|amount| *amount < bound) {
            note(&resource, amount, "minimum", bound);
        }
    }
    for (resource, ratio) in amounts(item.max_limit_request_ratio.as_ref()) {
        let (limit, request) = (asked.limits.get(&resource), asked.requests.get(&resource));
        if let (Some(limit), Some(request)) = (limit, request)
            && limit * 1000 > ratio * request
        {
            let ratio = show("", ratio);
            found.push(format!("{who} limits its {resource} to more than {ratio} times what it requests"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;
    use crate::doctor::resources::tests::range;
    use crate::doctor::subject::tests::subject;
    use serde_json::{Value, json};

    fn judged(item: Value) -> Vec<String> {
        let findings = judge(&[range(item)], &subject(&[]));
        findings.into_iter().filter(|it| it.state == State::Error).map(|it| it.message).collect()
    }

    #[test]
    fn containers_pods_and_volumes_have_bounds() {
        let of_container = judged(json!({"type": "Container", "max": {"memory": "1Gi"}}));
        assert_eq!(of_container.len(), 2);
        assert_eq!(
            of_container[0],
            "container prepare of the broker asks for 2Gi of memory, and the maximum is 1Gi"
        );
        assert!(judged(json!({"type": "Container", "max": {"memory": "2Gi"}})).is_empty());
        assert_eq!(judged(json!({"type": "Container", "min": {"cpu": "200m"}})).len(), 2);
        assert_eq!(judged(json!({"type": "Container", "maxLimitRequestRatio": {"memory": "2"}})).len(), 2);
        assert_eq!(judged(json!({"type": "Pod", "max": {"memory": "1Gi"}})).len(), 1);
        let of_claim = judged(json!({"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}));
        assert_eq!(of_claim, ["the broker's PVC asks for 8Gi of storage, and the maximum is 1Gi"]);
    }

    #[test]
    fn a_maximum_refuses_containers_without_a_limit_unless_there_is_a_default() {
        let max = judged(json!({"type": "Container", "max": {"cpu": "2"}}));
        assert_eq!(max[0], "container prepare of the broker does not limit its cpu, and the maximum is 2");
        assert!(
            judged(json!({"type": "Container", "max": {"cpu": "2"}, "default": {"cpu": "1"}})).is_empty()
        );
    }
}
