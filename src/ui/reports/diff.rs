//! The report of `diff`.

use serde_json::Value;
use similar::TextDiff;

use crate::release::diff::ObjectDiff;

/// The difference between an object in the cluster and as rendered, as a unified diff of YAML.
pub fn unified(diff: &ObjectDiff) -> String {
    let yaml = |object: &Option<Value>| object.as_ref().map(helm_template::to_yaml).unwrap_or_default();
    let (before, after) = (yaml(&diff.before), yaml(&diff.after));
    let name = diff.object.to_string();
    let header = |object: &Option<Value>, side: &str| match object {
        Some(_) => format!("{side}/{name}"),
        None => "/dev/null".to_owned(),
    };
    TextDiff::from_lines(&before, &after)
        .unified_diff()
        .header(&header(&diff.before, "live"), &header(&diff.after, "rendered"))
        .to_string()
}
