//! The charts that take part in a render.

use super::sources;
use crate::error::{Error, ErrorKind, Result};
use crate::load::{Chart, Dependency};
use crate::value::Map;

/// A chart that takes part in a render.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub(crate) chart: &'a Chart,
    /// The chart's name, or its alias.
    pub(crate) name: String,
    /// The chart's declarations of the dependencies that take part.
    pub(crate) declared: Vec<&'a Dependency>,
    /// The defaults, with imported values.
    pub(crate) values: Map,
    pub(crate) dependencies: Vec<Node<'a>>,
}

impl<'a> Node<'a> {
    pub(super) fn new(chart: &'a Chart, name: &str) -> Result<Self> {
        let values = sources::read(&chart.values)
            .map_err(|message| Error::new(ErrorKind::Chart, message).on(format!("{name}/values.yaml")))?;
        let dependencies = chart.dependencies.iter().map(|own| Node::new(own, own.name()));
        Ok(Self {
            chart,
            name: name.to_owned(),
            declared: chart.metadata.dependencies.iter().collect(),
            values,
            dependencies: dependencies.collect::<Result<_>>()?,
        })
    }
}
