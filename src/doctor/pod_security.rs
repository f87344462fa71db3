//! The namespace's Pod Security level, and whether the chart's pods fit.
//!
//! <https://kubernetes.io/docs/concepts/security/pod-security-standards/>

use k8s_openapi::api::core::v1::{Container, Namespace, PodSpec};
use kube::ResourceExt as _;

use super::finding::Finding;
use super::subject::{PodGroup, containers};

const CHECK: &str = "pod-security";

/// The label that names the level, from Kubernetes 1.23 on.
const LABEL: &str = "pod-security.kubernetes.io/enforce";
const SINCE: u32 = 23;

/// Compares the level of a namespace with the pods of a release. `minor` is the server's version.
pub(super) fn judge(namespace: &Namespace, minor: u32, pods: &[PodGroup]) -> Vec<Finding> {
    let level = namespace.labels().get(LABEL).map(String::as_str);
    let Some(level) = level.filter(|_| minor >= SINCE) else {
        let why = match minor {
            minor if minor < SINCE => format!("Kubernetes 1.{minor} has no Pod Security levels"),
            _ => "the namespace has no Pod Security label: the cluster's default applies".to_owned(),
        };
        return vec![Finding::ok(CHECK, why)];
    };
    let misfits = pods.iter().filter_map(|group| {
        let broken = violations(&group.spec(), level);
        (!broken.is_empty()).then(|| (group.role.as_str(), broken.join(", ")))
    });
    let mut findings: Vec<Finding> = misfits
        .map(|(role, broken)| {
            let message = format!("the namespace enforces Pod Security level {level}, which refuses the {role}: {broken}");
            let hint = format!(
                "set {role}.podSecurityContext and {role}.securityContext as the chart's values have them, or label \
                 another namespace: `kubectl label namespace NAME {LABEL}=baseline`"
            );
            Finding::error(CHECK, message, hint)
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, format!("the pods fit the Pod Security level {level}")));
    }
    findings
}

/// What a level refuses about a pod.
fn violations(spec: &PodSpec, level: &str) -> Vec<&'static str> {
    let all = |holds: fn(&PodSpec, &Container) -> bool| containers(spec).all(|it| holds(spec, it));
    let mut broken = Vec::new();
    if !matches!(level, "baseline" | "restricted") {
        return broken;
    }
    if [spec.host_network, spec.host_pid, spec.host_ipc].contains(&Some(true)) {
        broken.push("it uses namespaces of its node");
    }
    if spec.volumes.iter().flatten().any(|volume| volume.host_path.is_some()) {
        broken.push("it mounts a hostPath");
    }
    if !all(|_, container| container.security_context.as_ref().is_none_or(|it| it.privileged != Some(true))) {
        broken.push("a container is privileged");
    }
    if level == "baseline" {
        return broken;
    }
    if !all(runs_as_non_root) {
        broken.push("runAsNonRoot is not true");
    }
    if !all(forbids_escalation) {
        broken.push("allowPrivilegeEscalation is not false");
    }
    if !all(drops_all) {
        broken.push("capabilities are not dropped");
    }
    if !all(has_seccomp) {
        broken.push("there is no seccompProfile");
    }
    broken
}

fn runs_as_non_root(spec: &PodSpec, container: &Container) -> bool {
    let of_pod = spec.security_context.as_ref().and_then(|it| it.run_as_non_root);
    container.security_context.as_ref().and_then(|it| it.run_as_non_root).or(of_pod) == Some(true)
}

fn forbids_escalation(_: &PodSpec, container: &Container) -> bool {
    container.security_context.as_ref().and_then(|it| it.allow_privilege_escalation) == Some(false)
}

fn drops_all(_: &PodSpec, container: &Container) -> bool {
    let capabilities = container.security_context.as_ref().and_then(|it| it.capabilities.as_ref());
    capabilities.is_some_and(|it| it.drop.iter().flatten().any(|name| name == "ALL"))
}

fn has_seccomp(spec: &PodSpec, container: &Container) -> bool {
    let of_pod = spec.security_context.as_ref().and_then(|it| it.seccomp_profile.as_ref());
    let of_container = container.security_context.as_ref().and_then(|it| it.seccomp_profile.as_ref());
    of_container.or(of_pod).is_some_and(|profile| profile.type_ != "Unconfined")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;
    use crate::doctor::subject::tests::subject;
    use serde_json::json;

    fn judged(level: &str, minor: u32, settings: &[&str]) -> Finding {
        let namespace = json!({"metadata": {"name": "n", "labels": {LABEL: level}}});
        let namespace = serde_json::from_value(namespace).expect("a namespace");
        judge(&namespace, minor, &subject(settings).pods).remove(0)
    }

    #[test]
    fn the_charts_pods_fit_the_strictest_level() {
        assert_eq!(judged("restricted", 30, &["worker.image=w", "worker.inject.image=i"]).state, State::Ok);
        assert!(judged("restricted", 22, &[]).message.contains("1.22 has no Pod Security levels"));
    }

    #[test]
    fn pods_without_a_security_context_are_refused() {
        let finding =
            judged("restricted", 30, &["broker.podSecurityContext=null", "broker.securityContext=null"]);
        assert_eq!(finding.state, State::Error);
        for broken in ["runAsNonRoot", "allowPrivilegeEscalation", "capabilities", "seccompProfile"] {
            assert!(finding.message.contains(broken), "{}", finding.message);
        }
        let finding = judged("baseline", 30, &["broker.securityContext.privileged=true"]);
        assert!(finding.message.ends_with("a container is privileged"), "{}", finding.message);
        assert_eq!(judged("privileged", 30, &["broker.securityContext=null"]).state, State::Ok);
    }
}
