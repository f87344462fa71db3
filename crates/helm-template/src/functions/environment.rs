//! What functions can ask of the render that they are part of.

use crate::error::Error;
use crate::lookup::Lookup;
use crate::value::Value;

/// A render, as seen by the functions that execute templates or query the cluster.
pub(crate) trait Environment {
    /// Executes the template of that name and returns what it prints.
    fn include(&mut self, name: &str, data: Value) -> Result<String, Error>;

    /// Parses a text as a template, executes it and returns what it prints.
    fn execute(&mut self, text: &str, data: Value) -> Result<String, Error>;

    /// What answers for the cluster.
    fn lookup(&self) -> &dyn Lookup;
}
