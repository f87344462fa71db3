//! The sentence for an image that nodes cannot run.

use std::collections::BTreeSet;

use crate::notice::UnfitNodes;

/// Nodes that are named; of more, only their number is said.
const NAMED: usize = 3;

/// Says which nodes an image is not for, and the flag that builds one for them.
pub fn sentence(image: &BTreeSet<String>, nodes: &[UnfitNodes<'_>], fits_some: bool) -> String {
    let platforms = |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(" and ");
    let image_text = platforms(&mut image.iter().map(String::as_str));
    if !fits_some {
        let node_text = platforms(&mut nodes.iter().map(|group| group.platform));
        let flag = flag(nodes.iter().map(|group| group.platform));
        return format!("the image is for {image_text}, but the nodes are {node_text}: build it with {flag}");
    }
    let groups: Vec<String> =
        nodes.iter().map(|group| format!("{} ({})", named(group.names), group.platform)).collect();
    let flag = flag(image.iter().map(String::as_str).chain(nodes.iter().map(|group| group.platform)));
    format!(
        "the image is for {image_text}, and its pods fail on {}: build it with {flag}, or keep pods off these nodes",
        groups.join(" and ")
    )
}

fn named(names: &[String]) -> String {
    let first = names[..names.len().min(NAMED)].join(", ");
    match names.len() {
        1 => format!("node {first}"),
        ..=NAMED => format!("nodes {first}"),
        all => format!("nodes {first} and {} more", all - NAMED),
    }
}

/// Images are built for Linux.
fn flag<'a>(platforms: impl Iterator<Item = &'a str>) -> String {
    let platforms: BTreeSet<&str> = platforms.filter(|platform| platform.starts_with("linux/")).collect();
    format!("--platform {}", platforms.into_iter().collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(image: &[&str], nodes: &[(&str, &[&str])], fits_some: bool) -> String {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let names: Vec<Vec<String>> = nodes.iter().map(|(_, names)| owned(names)).collect();
        let groups: Vec<UnfitNodes<'_>> = nodes
            .iter()
            .zip(&names)
            .map(|((platform, _), names)| UnfitNodes { platform, names: names.as_slice() })
            .collect();
        sentence(&owned(image).into_iter().collect(), &groups, fits_some)
    }

    #[test]
    fn an_image_that_fits_no_node_is_named_with_the_flag_that_builds_one() {
        let nodes: [(&str, &[&str]); 2] = [("linux/amd64", &["n1"]), ("linux/arm64", &["n2"])];
        assert_eq!(
            said(&["linux/s390x"], &nodes, false),
            "the image is for linux/s390x, but the nodes are linux/amd64 and linux/arm64: build it with --platform \
             linux/amd64,linux/arm64"
        );
    }

    #[test]
    fn nodes_that_an_image_does_not_fit_are_named() {
        assert_eq!(
            said(&["linux/amd64"], &[("linux/arm64", &["n2"])], true),
            "the image is for linux/amd64, and its pods fail on node n2 (linux/arm64): build it with --platform \
             linux/amd64,linux/arm64, or keep pods off these nodes"
        );
        let many = said(&["linux/amd64"], &[("linux/arm64", &["n2", "n3", "n4", "n5", "n6"])], true);
        assert!(many.contains("on nodes n2, n3, n4 and 2 more (linux/arm64)"), "{many}");
    }
}
