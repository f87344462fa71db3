#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod capabilities;
mod error;
mod eval;
mod files;
mod functions;
mod glob;
mod golang;
mod json;
mod kube_version;
mod limits;
mod load;
mod lookup;
mod manifest;
mod nearest;
mod order;
mod print;
mod render;
mod schema;
mod semver;
mod template;
mod value;
mod values;
mod yaml;

pub use error::{Error, ErrorKind, Location, Result};
pub use kube_version::KubeVersion;
pub use load::Chart;
pub use lookup::{Lookup, NoCluster};
pub use manifest::Manifest;
pub use nearest::nearest;
pub use render::{CrdFile, Release, Rendered, render};
pub use values::{ValueSources, ValuesFile};

/// Writes an object as YAML, as `toYaml` does. Readers of YAML 1.1, such as kubectl and helm, read the
/// same object from it.
pub fn to_yaml(object: &serde_json::Value) -> String {
    // Only objects that are nested deeper than a server accepts have no YAML form here; JSON is YAML, too.
    yaml::to_yaml(&json::from_serde(object.clone())).unwrap_or_else(|_| object.to_string())
}
