//! What pods ask for, in the names that quotas have for it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, LimitRange, LimitRangeItem, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::quantity::{self, Milli};
use super::subject::containers;

/// Amounts by resource: `cpu`, or `limits.cpu` for quotas.
pub(super) type Amounts = BTreeMap<String, Milli>;

/// Reads amounts; what is no quantity is left out.
pub(super) fn amounts(map: Option<&BTreeMap<String, Quantity>>) -> Amounts {
    let pairs = map.into_iter().flatten();
    pairs.filter_map(|(name, amount)| Some((name.clone(), quantity::parse(&amount.0)?))).collect()
}

/// What one container asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Asked {
    pub(super) requests: Amounts,
    pub(super) limits: Amounts,
}

impl Asked {
    /// What a container asks for, once the server and the limit ranges have set their defaults.
    pub(super) fn by(container: &Container, ranges: &[LimitRange]) -> Self {
        let resources = container.resources.as_ref();
        let limits = amounts(resources.and_then(|it| it.limits.as_ref()));
        let mut requests = amounts(resources.and_then(|it| it.requests.as_ref()));
        // The server does this before it looks at limit ranges.
        set_missing(&mut requests, limits.clone());
        let mut asked = Self { requests, limits };
        for item in items(ranges, "Container") {
            set_missing(&mut asked.limits, amounts(item.default.as_ref()));
            set_missing(&mut asked.requests, amounts(item.default_request.as_ref()));
        }
        asked
    }

    /// The amount that a quota counts as this resource; `None` if it is not given.
    pub(super) fn get(&self, resource: &str) -> Option<Milli> {
        match resource.split_once('.') {
            Some(("requests", name)) => self.requests.get(name).copied(),
            Some(("limits", name)) => self.limits.get(name).copied(),
            _ => self.requests.get(resource).copied(),
        }
    }
}

fn set_missing(amounts: &mut Amounts, defaults: Amounts) {
    for (name, amount) in defaults {
        amounts.entry(name).or_insert(amount);
    }
}

/// The items of limit ranges that are about a type, such as `Container`.
pub(super) fn items<'a>(ranges: &'a [LimitRange], kind: &str) -> impl Iterator<Item = &'a LimitRangeItem> {
    let items = ranges.iter().filter_map(|range| range.spec.as_ref()).flat_map(|spec| &spec.limits);
    items.filter(move |item| item.type_ == kind)
}

/// What a pod asks for. Init containers run before the others, one at a time, except those that are
/// restarted: they go on.
pub(super) fn of_pod(spec: &PodSpec, ranges: &[LimitRange]) -> Asked {
    let mut running = Asked::default();
    let mut highest = Asked::default();
    for container in spec.init_containers.iter().flatten() {
        let asked = Asked::by(container, ranges);
        if container.restart_policy.as_deref() == Some("Always") {
            merge(&mut running, &asked, |a, b| a + b);
        } else {
            let mut with_running = running.clone();
            merge(&mut with_running, &asked, |a, b| a + b);
            merge(&mut highest, &with_running, Milli::max);
        }
    }
    for container in &spec.containers {
        merge(&mut running, &Asked::by(container, ranges), |a, b| a + b);
    }
    merge(&mut highest, &running, Milli::max);
    highest
}

fn merge(into: &mut Asked, other: &Asked, combine: fn(Milli, Milli) -> Milli) {
    for (into, other) in [(&mut into.requests, &other.requests), (&mut into.limits, &other.limits)] {
        for (name, amount) in other {
            let old = into.get(name).copied().unwrap_or(0);
            into.insert(name.clone(), combine(old, *amount));
        }
    }
}

/// The containers of a pod that do not say how much they need of a resource that a quota counts. The
/// server refuses such a pod.
pub(super) fn silent_containers(spec: &PodSpec, ranges: &[LimitRange], resource: &str) -> Vec<String> {
    let silent = |container: &&Container| Asked::by(container, ranges).get(resource).is_none();
    containers(spec).filter(silent).map(|container| container.name.clone()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(in crate::doctor) fn range(item: Value) -> LimitRange {
        serde_json::from_value(json!({"metadata": {"name": "l"}, "spec": {"limits": [item]}})).expect("legal")
    }

    pub(in crate::doctor) fn pod(init: &[Value], main: &[Value]) -> PodSpec {
        let container = |resources: &Value| json!({"name": "c", "resources": resources});
        let init: Vec<Value> = init.iter().map(container).collect();
        let main: Vec<Value> = main.iter().map(container).collect();
        serde_json::from_value(json!({"initContainers": init, "containers": main})).expect("a pod")
    }

    #[test]
    fn a_pod_needs_its_containers_together_or_one_init_container() {
        let cpu = |text: &str| json!({"requests": {"cpu": text}});
        let asked = |init: &[Value], main: &[Value]| of_pod(&pod(init, main), &[]).get("cpu");
        assert_eq!(asked(&[cpu("1")], &[cpu("200m"), cpu("300m")]), Some(1000));
        assert_eq!(asked(&[cpu("100m")], &[cpu("200m"), cpu("300m")]), Some(500));
        assert_eq!(asked(&[], &[json!({})]), None);
    }

    #[test]
    fn limits_are_requests_and_limit_ranges_fill_the_gaps() {
        let only_limits = pod(&[], &[json!({"limits": {"cpu": "2"}})]);
        assert_eq!(of_pod(&only_limits, &[]).get("requests.cpu"), Some(2000));
        let silent = pod(&[json!({})], &[json!({"limits": {"memory": "1Ki"}})]);
        assert_eq!(silent_containers(&silent, &[], "limits.memory").len(), 1);
        let defaults = range(json!({"type": "Container", "default": {"memory": "5Ki"},
            "defaultRequest": {"memory": "1"}}));
        assert!(silent_containers(&silent, std::slice::from_ref(&defaults), "limits.memory").is_empty());
        assert_eq!(of_pod(&silent, &[defaults]).get("limits.memory"), quantity::parse("5Ki"));
    }
}
