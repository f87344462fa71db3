//! The values of a render: a chart's defaults, and what the user says instead.

mod coalesce;
mod dependencies;
mod node;
mod sources;
mod strvals;

pub(crate) use coalesce::coalesce_values;
pub(crate) use dependencies::resolve;
pub(crate) use node::Node;
pub use sources::{ValueSources, ValuesFile};
