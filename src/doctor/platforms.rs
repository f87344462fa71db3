//! Whether the images are for the nodes' operating systems and architectures.

use std::collections::BTreeSet;

use super::finding::Finding;

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
            format!("build it with --platform {}", others.first().unwrap_or(&"")),
        );
    }
    if !others.is_empty() {
        let others = others.join(" and ");
        return Finding::warning(
            CHECK,
            format!("the {role}'s image {image} is not for the nodes that are {others}"),
            format!(
                "build it for all of them, or keep pods away: --set '{role}.nodeSelector.kubernetes\\.io/arch={}'",
                served.first().and_then(|platform| platform.split('/').nth(1)).unwrap_or_default()
            ),
        );
    }
    Finding::ok(CHECK, format!("the {role}'s image {image} is for {}, as the nodes are", list(nodes)))
}

/// The platforms are not known.
pub(super) fn not_known(role: &str, image: &str, reason: &str) -> Finding {
    let message = format!("could not ask what the {role}'s image {image} is for: {reason}");
    let hint = Some("--docker names the container engine that is asked".to_owned());
    Finding { hint, ..Finding::unknown(CHECK, message) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

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
        assert!(hint.ends_with(r"--set 'worker.nodeSelector.kubernetes\.io/arch=amd64'"), "{hint}");
    }
}
