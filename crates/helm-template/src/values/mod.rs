//! The values of a render: a chart's defaults, overridden by the user's values.

mod coalesce;
mod dependencies;
mod node;
mod sources;
mod strvals;

pub(crate) use coalesce::coalesce_values;
pub(crate) use dependencies::resolve;
pub(crate) use node::Node;
pub use sources::{ValueSources, ValuesFile};
