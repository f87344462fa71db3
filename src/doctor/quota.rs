//! Quotas: whether what the chart asks for still fits.

use k8s_openapi::api::core::v1::{LimitRange, PodSpec, ResourceQuota};
use kube::ResourceExt as _;

use super::finding::Finding;
use super::quantity::{Milli, show};
use super::quota_scope::applies;
use super::resources::{Amounts, amounts, of_pod, silent_containers};
use super::subject::{PodGroup, Role};
use workqueue_core::words::count;

const CHECK: &str = "quota";

/// Resources that a quota counts only in pods that name them; it refuses all other pods.
const COMPUTE: [&str; 9] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];

/// The chart's own containers, whose resources are values.
const OWN: [&str; 4] = ["prepare", "rabbitmq", "inject-worker", "worker"];

/// What a release asks for.
pub(super) struct Demand<'a> {
    pub(super) pods: &'a [PodGroup],
    /// The broker's pods that exist: the quotas count them already.
    pub(super) running: &'a [PodSpec],
    /// Objects and storage that do not exist yet, in the names of quotas.
    pub(super) objects: &'a Amounts,
    pub(super) ranges: &'a [LimitRange],
}

/// Compares quotas with what a release asks for.
pub(super) fn judge(quotas: &[ResourceQuota], demand: &Demand<'_>) -> Vec<Finding> {
    if quotas.is_empty() {
        return vec![Finding::ok(CHECK, "there are no quotas")];
    }
    let mut findings: Vec<Finding> = quotas.iter().flat_map(|quota| demand.against(quota)).collect();
    if findings.is_empty() {
        let fits = format!("what the release asks for fits into {}", count(quotas.len() as u64, "quota"));
        findings.push(Finding::ok(CHECK, fits));
    }
    findings
}

impl Demand<'_> {
    fn against(&self, quota: &ResourceQuota) -> Vec<Finding> {
        let spec = quota.spec.as_ref();
        let hard = amounts(spec.and_then(|spec| spec.hard.as_ref()));
        let used = amounts(quota.status.as_ref().and_then(|status| status.used.as_ref()));
        let mut findings = Vec::new();
        for (resource, &hard) in &hard {
            let used = used.get(resource).copied().unwrap_or(0);
            let limit = Limit { quota, name: quota.name_any(), resource, hard, used };
            let silent = self.silent(&limit);
            if silent.is_empty() { findings.extend(self.excess(&limit)) } else { findings.extend(silent) }
        }
        findings
    }

    /// Containers that must name the resource, and do not.
    fn silent(&self, limit: &Limit<'_>) -> Vec<Finding> {
        if !COMPUTE.contains(&limit.resource) {
            return Vec::new();
        }
        let groups = self.pods.iter().filter(|group| applies(limit.quota, &group.spec()));
        let of_group = |group: &PodGroup| {
            let containers = silent_containers(&group.spec(), self.ranges, limit.resource);
            (!containers.is_empty()).then(|| limit.unnamed(group.role, &containers))
        };
        groups.filter_map(of_group).collect()
    }

    /// Brokers and objects that do not fit, and workers that do not fit beside them.
    fn excess(&self, limit: &Limit<'_>) -> Option<Finding> {
        let of_role = |role: Role| self.pods.iter().filter(move |group| group.role == role);
        let brokers: Milli = of_role(Role::Broker).map(|it| Milli::from(it.count) * self.of(it, limit)).sum();
        let running: Milli = self.running.iter().map(|spec| self.of_spec(spec, limit)).sum();
        let objects = self.objects.get(limit.resource).copied().unwrap_or(0);
        let objects = if is_scoped(limit.quota) { 0 } else { objects };
        let needed = (brokers - running).max(0) + objects;
        if needed > 0 && needed > limit.left() {
            let who = match of_role(Role::Broker).count() {
                0 => "a run",
                _ if brokers > 0 => "the broker",
                _ => "the release",
            };
            return Some(limit.too_small(who, needed));
        }
        let left = limit.left() - needed;
        let each = |group: &PodGroup| (group.count, self.of(group, limit));
        let (pods, each) = of_role(Role::Worker).map(each).find(|(_, each)| *each > 0)?;
        let fit = (left.max(0) / each).min(pods.into());
        (fit < pods.into()).then(|| limit.few_workers(fit, pods, each))
    }

    fn of(&self, group: &PodGroup, limit: &Limit<'_>) -> Milli {
        self.of_spec(&group.spec(), limit)
    }

    /// What one pod counts for.
    fn of_spec(&self, spec: &PodSpec, limit: &Limit<'_>) -> Milli {
        match limit.resource {
            _ if !applies(limit.quota, spec) => 0,
            "pods" | "count/pods" => 1000,
            resource => of_pod(spec, self.ranges).get(resource).unwrap_or(0),
        }
    }
}

fn is_scoped(quota: &ResourceQuota) -> bool {
    quota.spec.as_ref().is_some_and(|spec| spec.scopes.is_some() || spec.scope_selector.is_some())
}

/// One line of a quota.
struct Limit<'a> {
    quota: &'a ResourceQuota,
    name: String,
    resource: &'a str,
    hard: Milli,
    used: Milli,
}

impl Limit<'_> {
    fn left(&self) -> Milli {
        self.hard - self.used
    }

    /// `quota q allows 1Gi of limits.memory, and 512Mi is used`.
    fn says(&self) -> String {
        let (hard, used) = (show(self.resource, self.hard), show(self.resource, self.used));
        format!("quota {} allows {hard} of {}, and {used} is used", self.name, self.resource)
    }

    fn too_small(&self, who: &str, needed: Milli) -> Finding {
        let (more, hard) = (show(self.resource, needed), show(self.resource, self.used + needed));
        let lower = value_of(Role::Broker, self.resource);
        let lower = lower.map(|value| format!(", or lower the value {value}")).unwrap_or_default();
        Finding::error(
            CHECK,
            format!("{}: {who} needs {more} more", self.says()),
            format!("ask for a quota of at least {hard} of {}{lower}", self.resource),
        )
    }

    fn few_workers(&self, fit: Milli, pods: u32, each: Milli) -> Finding {
        let (says, each) = (self.says(), show(self.resource, each));
        let lower = value_of(Role::Worker, self.resource);
        let lower = lower.map(|value| format!(", or lower the value {value}")).unwrap_or_default();
        if fit == 0 {
            let message =
                format!("{says}: a worker's pod needs {each}, which is more than the broker leaves");
            return Finding::error(CHECK, message, format!("ask for a larger quota{lower}"));
        }
        let message = format!("{says}: only {fit} of {pods} worker pods fit at the same time");
        Finding::warning(CHECK, message, format!("use a lower --parallelism, ask for a larger quota{lower}"))
    }

    fn unnamed(&self, role: Role, containers: &[String]) -> Finding {
        let (who, resource) = (role.as_str(), self.resource);
        let names = containers.join(" and ");
        let message = format!(
            "quota {} refuses pods that do not say their {resource}: container {names} of the {who} does not",
            self.name
        );
        let is_own = containers.iter().all(|name| OWN.contains(&name.as_str()));
        let set = match value_of(role, resource).filter(|_| is_own) {
            Some(value) => format!("set the value {value}"),
            None => "give it resources in the values".to_owned(),
        };
        Finding::error(
            CHECK,
            message,
            format!("{set}, or create a LimitRange with a default for it in this namespace"),
        )
    }
}

/// The chart's value that determines how much pods ask for.
fn value_of(role: Role, resource: &str) -> Option<String> {
    if resource == "requests.storage" {
        return Some("broker.persistence.size".to_owned());
    }
    let requests = if resource.contains('.') { "" } else { "requests." };
    COMPUTE.contains(&resource).then(|| format!("{}.resources.{requests}{resource}", role.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;
    use crate::doctor::subject::tests::subject;
    use serde_json::{Value, json};

    fn judged(hard: Value, used: Value, settings: &[&str], running: &[PodSpec]) -> Vec<Finding> {
        let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": hard}, "status": {"used": used}});
        let quota = serde_json::from_value(quota).expect("a quota");
        let subject = subject(settings);
        let objects = Amounts::from([("requests.storage".to_owned(), 8_i128 << 30)]);
        let demand = Demand { pods: &subject.pods, running, objects: &objects, ranges: &[] };
        judge(&[quota], &demand)
    }

    #[test]
    fn a_quota_that_forbids_the_broker_is_an_error() {
        let findings = judged(json!({"limits.memory": "3Gi"}), json!({"limits.memory": "1.5Gi"}), &[], &[]);
        assert_eq!(findings.len(), 1);
        assert_eq!(
            findings[0].message,
            "quota q allows 3Gi of limits.memory, and 1536Mi is used: the broker needs 2Gi more"
        );
        let hint = findings[0].hint.as_deref().expect("a hint");
        assert!(hint.contains("3584Mi") && hint.contains("broker.resources.limits.memory"), "{hint}");
        assert_eq!(judged(json!({"pods": "0"}), json!({}), &[], &[])[0].state, State::Error);
        assert_eq!(judged(json!({"pods": "1"}), json!({}), &[], &[])[0].state, State::Ok);
    }

    #[test]
    fn a_broker_that_runs_is_counted_once() {
        let running = subject(&[]).pods[0].spec();
        let (hard, used) = (json!({"limits.memory": "2Gi"}), json!({"limits.memory": "2Gi"}));
        assert_eq!(
            judged(hard.clone(), used.clone(), &[], std::slice::from_ref(&running))[0].state,
            State::Ok
        );
        let larger = ["broker.resources.limits.memory=3Gi"];
        let findings = judged(hard, used, &larger, &[running]);
        assert!(findings[0].message.ends_with("the broker needs 1Gi more"), "{findings:?}");
    }

    #[test]
    fn containers_that_do_not_say_what_they_need_are_refused() {
        let findings = judged(json!({"limits.cpu": "100"}), json!({}), &[], &[]);
        assert!(findings[0].message.contains("container prepare and rabbitmq of the broker"), "{findings:?}");
        let settings = [
            "worker.image=w",
            "worker.initContainers[0].name=mine",
            "worker.initContainers[0].image=i",
            "broker.resources.limits.cpu=1",
            "worker.resources.limits.cpu=1",
        ];
        let findings = judged(json!({"limits.cpu": "100"}), json!({}), &settings, &[]);
        assert!(findings[0].message.contains("container mine of the worker"), "{findings:?}");
        assert!(findings[0].hint.as_deref().is_some_and(|hint| hint.starts_with("give it resources")));
    }

    #[test]
    fn workers_get_what_the_broker_leaves() {
        let settings = ["worker.image=w", "worker.parallelism=4"];
        let findings = judged(json!({"pods": "3"}), json!({}), &settings, &[]);
        assert_eq!(findings[0].state, State::Warning);
        assert!(findings[0].message.ends_with("only 2 of 4 worker pods fit at the same time"));
        assert_eq!(judged(json!({"pods": "1"}), json!({}), &settings, &[])[0].state, State::Error);
    }

    #[test]
    fn storage_is_counted_too() {
        let findings = judged(json!({"requests.storage": "1Mi"}), json!({}), &[], &[]);
        assert!(findings[0].hint.as_deref().is_some_and(|hint| hint.contains("broker.persistence.size")));
    }
}
