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

mod bundled;
mod capabilities;
mod error;
mod eval;
mod files;
mod functions;
mod glob;
mod golang;
mod json;
mod limits;
mod load;
mod lookup;
mod manifest;
mod order;
mod pieces;
mod render;
mod schema;
mod semver;
mod template;
mod value;
mod values;
mod yaml;

pub use bundled::{bundled_files, to_yaml};
pub use capabilities::KubeVersion;
pub use error::{Error, ErrorKind, Location, Result};
pub use load::Chart;
pub use lookup::{Lookup, NoCluster};
pub use manifest::Manifest;
pub use render::{CrdFile, Release, Rendered, render};
pub use values::{ValueSources, ValuesFile};
