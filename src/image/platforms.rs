//! The platforms of an image, from what engines print about its manifest.

use std::collections::BTreeSet;

use serde_json::Value;

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
