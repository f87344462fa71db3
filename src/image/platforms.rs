//! The platforms of an image, from what engines print about its manifest.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

/// Whether a registry is reached over loopback.
pub(super) fn is_on_this_machine(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Reads `manifest inspect`. Docker's `--verbose` prints an entry with a `Descriptor`, or a list of them;
/// without it there is an image index with `manifests`. Attestations have no platform.
pub(super) fn read(text: &str) -> BTreeSet<String> {
    let Ok(document) = serde_json::from_str::<Value>(text) else { return BTreeSet::new() };
    let entries = match (document.as_array(), document["manifests"].as_array()) {
        (Some(entries), _) | (_, Some(entries)) => entries.clone(),
        _ => vec![document],
    };
    entries.iter().filter_map(platform).collect()
}

fn platform(entry: &Value) -> Option<String> {
    let platform = entry.pointer("/Descriptor/platform").or_else(|| entry.get("platform"))?;
    let (os, architecture) = (platform["os"].as_str()?, platform["architecture"].as_str()?);
    let is_known = !["", "unknown"].contains(&os) && !["", "unknown"].contains(&architecture);
    is_known.then(|| format!("{os}/{architecture}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_on_this_machine_are_known_by_their_address() {
        for local in ["127.0.0.1:5000", "localhost:5000", "localhost", "[::1]:5000"] {
            assert!(is_on_this_machine(local), "{local}");
        }
        for other in ["docker.io", "localhost.example:5000", "10.0.0.1:5000"] {
            assert!(!is_on_this_machine(other), "{other}");
        }
    }

    #[test]
    fn all_forms_of_a_manifest_are_read() {
        let amd64 = r#"{"Descriptor": {"platform": {"os": "linux", "architecture": "amd64"}}}"#;
        let none = r#"{"Descriptor": {"platform": {"os": "unknown", "architecture": "unknown"}}}"#;
        let index =
            r#"{"manifests": [{"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}]}"#;
        let platforms = |text: &str| read(text).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(platforms(amd64), "linux/amd64");
        assert_eq!(platforms(&format!("[{amd64}, {none}]")), "linux/amd64");
        assert_eq!(platforms(index), "linux/arm64");
        assert_eq!(platforms("{\"config\": {}}"), "");
        assert_eq!(platforms("no JSON"), "");
    }
}
