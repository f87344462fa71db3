#![deny(missing_docs)]
//! Renders Helm charts: an evaluator of Go's template language with helm's functions, values and
//! output, equal to `helm template` of helm 4.1.4.
//!
//! The engine is pure: it asks no cluster and prints nothing.
//!
//! ```text
//! load      files of a chart          -> Chart
//! values    defaults and user values  -> the values that templates see
//! template  text                      -> syntax tree
//! eval      syntax tree and values    -> text, with the help of `functions`
//! manifest  text                      -> objects, split and sorted
//! ```

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
pub use render::{CrdFile, Release, Rendered, render};
pub use values::{ValueSources, ValuesFile};

/// An object as YAML that readers of YAML 1.1, kubectl and helm among them, take for the same.
pub fn to_yaml(object: &serde_json::Value) -> String {
    // The emitter refuses values nested deeper than any that a server sends.
    yaml::to_yaml(&json::from_serde(object.clone())).unwrap_or_else(|_| object.to_string())
}
