//! Whether the images are for the nodes' operating systems and architectures.

use std::collections::BTreeSet;

use super::finding::{Finding, State};

const CHECK: &str = "platform";

/// Compares an image's platforms with those of the nodes; `role` is whose image it is.
pub(super) fn judge(
    role: &str,
    image: &str,
    platforms: &BTreeSet<String>,
    nodes: &BTreeSet<String>,
) -> Finding {
    let served: Vec<&String> = nodes.intersection(platforms).collect();
    let others: Vec<&str> = nodes.difference(platforms).map(String::as_str).collect();
    let list = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(" and ");
    if served.is_empty() {
        let (platforms, nodes_text) = (list(platforms), list(nodes));
        return Finding::error(
            CHECK,
            format!("the {role}'s image {image} is for {platforms}, and the nodes are {nodes_text}"),
            format!("build it with --platform {}", others.join(",")),
        );
    }
    if !others.is_empty() {
        let all: Vec<&str> = nodes.iter().map(String::as_str).collect();
        let others = others.join(" and ");
        return Finding::warning(
            CHECK,
            format!("the {role}'s image {image} is not for the nodes that are {others}"),
            format!(
                "build it with --platform {}, or keep pods away: --set '{role}.nodeSelector.kubernetes\\.io/arch={}'",
                all.join(","),
                served.first().and_then(|platform| platform.split('/').nth(1)).unwrap_or_default()
            ),
        );
    }
    Finding::ok(CHECK, format!("the {role}'s image {image} is for {}, as the nodes are", list(nodes)))
}

/// No node has the labels that the pods of a role ask for; without any, there is no node.
pub(super) fn no_node(role: &str, selector: &str) -> Finding {
    if selector.is_empty() {
        return Finding::error(CHECK, "there are no nodes", "`kubectl get nodes` shows when there are some");
    }
    Finding::error(
        CHECK,
        format!("no node has the labels of {role}.nodeSelector: {selector}"),
        format!(
            "`kubectl get nodes --show-labels` shows what they have; change the value {role}.nodeSelector"
        ),
    )
}

/// The registry does not say what an image is for: `reason`. What this machine has of that name, for the
/// platform `copy`, may be another image.
pub(super) fn not_known(
    role: &str,
    image: &str,
    reason: &str,
    copy: Option<&str>,
    nodes: &BTreeSet<String>,
) -> Finding {
    let copy_says = copy.map(|copy| format!("; this machine's copy is for {copy}")).unwrap_or_default();
    let message = format!("could not ask what the {role}'s image {image} is for: {reason}{copy_says}");
    let misfits = copy.is_some_and(|copy| !nodes.contains(copy));
    let state = if misfits { State::Warning } else { State::Unknown };
    let hint = match nodes.first().filter(|_| misfits) {
        Some(node) => format!("if that is the image, build it with --platform {node}"),
        None => "--docker names the container engine that is asked".to_owned(),
    };
    Finding { check: CHECK, state, message, hint: Some(hint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(image: &[&str], nodes: &[&str]) -> Finding {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        judge("worker", "w:1", &set(image), &set(nodes))
    }

    #[test]
    fn an_image_has_to_fit_the_nodes() {
        assert_eq!(judged(&["linux/amd64", "linux/arm64"], &["linux/amd64"]).state, State::Ok);
        let wrong = judged(&["linux/arm64"], &["linux/amd64"]);
        assert_eq!(wrong.state, State::Error);
        assert_eq!(wrong.message, "the worker's image w:1 is for linux/arm64, and the nodes are linux/amd64");
        assert_eq!(wrong.hint.as_deref(), Some("build it with --platform linux/amd64"));
        let mixed = judged(&["linux/amd64"], &["linux/amd64", "linux/arm64"]);
        assert_eq!(mixed.state, State::Warning);
        let hint = mixed.hint.expect("a hint");
        assert!(hint.starts_with("build it with --platform linux/amd64,linux/arm64, or"), "{hint}");
        assert!(hint.ends_with(r"--set 'worker.nodeSelector.kubernetes\.io/arch=amd64'"), "{hint}");
    }
    #[test]
    fn a_copy_on_this_machine_proves_nothing() {
        let nodes = ["linux/amd64".to_owned()].into();
        let state = |copy| not_known("worker", "w:1", "no such manifest", copy, &nodes).state;
        assert_eq!(state(None), State::Unknown);
        assert_eq!(state(Some("linux/amd64")), State::Unknown);
        assert_eq!(state(Some("linux/arm64")), State::Warning);
    }
}
