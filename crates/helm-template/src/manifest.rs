//! The manifests that templates print: split into documents, parsed, sorted.

use super::error::{Error, ErrorKind, Result};
use super::json;
use super::order::compare_kinds;
use super::value::{Map, Value};
use super::yaml::{self, Numbers};

/// The annotation that makes an object a hook.
const HOOK: &str = "helm.sh/hook";
const HOOK_EVENTS: &[&str] = &[
    "pre-install",
    "post-install",
    "pre-delete",
    "post-delete",
    "pre-upgrade",
    "post-upgrade",
    "pre-rollback",
    "post-rollback",
    "test",
    "test-success",
];

/// One object that a template prints.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The path of the template, with the chart's name in front.
    pub source: String,
    /// The YAML text, without a separator.
    pub text: String,
    /// The parsed object; null for a document of comments.
    pub object: serde_json::Value,
}

impl Manifest {
    /// The object's kind; empty if it has none.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or("")
    }

    /// The document with its header, as `helm template` prints it.
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str("---\n# Source: ");
        out.push_str(&self.source);
        out.push('\n');
        out.push_str(&self.text);
        out.push('\n');
    }
}

/// Manifests in the order of installation, and hooks apart from them.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    pub(crate) manifests: Vec<Manifest>,
    pub(crate) hooks: Vec<Manifest>,
}

/// What a template printed.
pub(crate) struct Printed {
    /// The path of the template, with the chart's name in front.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Reads and sorts what templates printed. Of several errors, that of the first path is returned.
pub(crate) fn sort(mut printed: Vec<Printed>) -> Result<Sorted> {
    printed.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let mut sorted = Sorted::default();
    for Printed { path, text } in &printed {
        split(text).into_iter().try_for_each(|document| sorted.add(path, document))?;
    }
    sorted.manifests.sort_by(|a, b| compare_kinds(a.kind(), b.kind()));
    sorted.hooks.sort_by(|a, b| compare_kinds(a.kind(), b.kind()));
    Ok(sorted)
}

impl Sorted {
    fn add(&mut self, source: &str, text: &str) -> Result<()> {
        let invalid = |message: String| {
            let message = format!("YAML parse error: {message}");
            Error::new(ErrorKind::Manifest, message).on(source)
        };
        let value = yaml::parse(text, Numbers::Exact).map_err(invalid)?;
        let annotations = check_head(&value).map_err(invalid)?;
        let manifest =
            Manifest { source: source.to_owned(), text: text.to_owned(), object: json::to_serde(&value) };
        let Some(hook) = annotations.and_then(|annotations| annotations.get(HOOK)) else {
            self.manifests.push(manifest);
            return Ok(());
        };
        let events = super::functions::to_text(&hook).map(|text| match text {
            Value::String(text) => text.to_lowercase(),
            _ => String::new(),
        });
        // Helm drops hooks with unknown events.
        let known = |event: &str| HOOK_EVENTS.contains(&event.trim());
        if events.unwrap_or_default().split(',').all(known) {
            self.hooks.push(manifest);
        }
        Ok(())
    }
}

/// Splits a stream at its separators, just as helm does: a separator includes the white space
/// around it, so that one directly after another is not recognized.
pub(crate) fn split(stream: &str) -> Vec<&str> {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}');
    let mut rest = stream.trim();
    let mut documents = Vec::new();
    if let Some(behind) = rest.strip_prefix("---") {
        rest = behind.trim_start_matches(is_space);
    }
    loop {
        let Some(at) = rest.find("\n---") else {
            documents.push(rest);
            break;
        };
        documents.push(rest[..at].trim_end_matches(is_space));
        rest = rest[at + 4..].trim_start_matches(is_space);
    }
    documents.retain(|document| !document.is_empty());
    documents.into_iter().map(str::trim).collect()
}

/// Checks that the value can be a manifest, and returns its annotations.
fn check_head(value: &Value) -> Result<Option<Map>, String> {
    let head = match value {
        Value::Nil => return Ok(None),
        Value::Map(map) => map,
        other => {
            return Err(format!("a manifest must be a map, not a {}", other.kind_name()));
        }
    };
    check_scalar(head, "apiVersion")?;
    check_scalar(head, "kind")?;
    let metadata = match head.get("metadata") {
        None | Some(Value::Nil) => return Ok(None),
        Some(Value::Map(map)) => map,
        Some(other) => {
            return Err(format!("metadata must be a map, not a {}", other.kind_name()));
        }
    };
    check_scalar(&metadata, "name")?;
    let annotations = match metadata.get("annotations") {
        None | Some(Value::Nil) => return Ok(None),
        Some(Value::Map(map)) => map,
        Some(other) => {
            return Err(format!("metadata.annotations must be a map, not a {}", other.kind_name()));
        }
    };
    for (key, _) in annotations.entries() {
        check_scalar(&annotations, &key)?;
    }
    Ok(Some(annotations))
}

fn check_scalar(map: &Map, key: &str) -> Result<(), String> {
    match map.get(key) {
        Some(value @ (Value::Map(_) | Value::List(_))) => {
            Err(format!("{key} must be a string, not a {}", value.kind_name()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted<const N: usize>(printed: [(&str, &str); N]) -> Result<Sorted> {
        let printed = printed.map(|(path, text)| Printed { path: path.to_owned(), text: text.to_owned() });
        sort(printed.into())
    }

    #[test]
    fn kinds_come_in_the_order_of_installation_and_of_their_files() {
        let sorted = sorted([("c/b.yaml", "kind: Service\n---\nkind: Secret"), ("c/a.yaml", "kind: Secret")]);
        let sorted = sorted.expect("they are manifests");
        let found: Vec<_> = sorted.manifests.iter().map(|m| (m.kind(), &*m.source)).collect();
        assert_eq!(found, [("Secret", "c/a.yaml"), ("Secret", "c/b.yaml"), ("Service", "c/b.yaml")]);
    }

    #[test]
    fn of_several_errors_the_one_of_the_first_path_counts() {
        let error = sorted([("c/b.yaml", "- no map"), ("c/a.yaml", "- no map")]).expect_err("lists are none");
        assert!(error.to_string().contains("c/a.yaml"), "{error}");
    }
}
