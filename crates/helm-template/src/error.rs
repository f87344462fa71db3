//! The error type of the crate: what went wrong, and where.

use std::fmt;

/// How many places an error keeps.
const MAX_LOCATIONS: usize = 8;

/// The kind of an error, for callers that choose a hint or an exit code by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The chart itself cannot be read: a file is missing, or `Chart.yaml` is not valid.
    Chart,
    /// A values file or an argument such as that of `--set` cannot be read.
    Values,
    /// The values do not meet the chart's `values.schema.json`.
    Schema,
    /// A template does not parse.
    Parse,
    /// A template failed while it was executed.
    Execute,
    /// A template called `fail` or `required` with a message for the user.
    Refused,
    /// What a template printed is not a Kubernetes manifest.
    Manifest,
    /// The chart does not support the Kubernetes version.
    KubeVersion,
    /// A limit on size, depth or work was reached.
    Limit,
}

/// A place in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Path of the template, with the chart's name in front: `mychart/templates/job.yaml`.
    pub template: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The expression that was being evaluated, if any.
    pub expression: Option<String>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.template, self.line, self.column)?;
        if let Some(expression) = &self.expression {
            write!(f, " at <{expression}>")?;
        }
        Ok(())
    }
}

/// Why a chart could not be read or rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    locations: Vec<Location>,
    path: Option<String>,
}

/// The result of reading or rendering a chart.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes an error without a place.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), locations: Vec::new(), path: None }
    }

    /// Adds the place of the template that was being executed; the innermost comes first.
    pub(crate) fn at(mut self, location: Location) -> Self {
        // In an endless recursion only the innermost calls matter.
        if self.locations.len() < MAX_LOCATIONS {
            self.locations.push(location);
        }
        self
    }

    /// Names the file or the value that the error is about, unless it has one already.
    pub(crate) fn on(mut self, path: impl Into<String>) -> Self {
        self.path.get_or_insert_with(|| path.into());
        self
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The innermost place in a template, if the error occurred in one.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        self.locations.first()
    }

    /// The file or the path of the value that the error is about, if it is about one.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{path}: ")?;
        }
        if let Some(location) = self.locations.first() {
            write!(f, "{location}: ")?;
        }
        f.write_str(&self.message)?;
        for caller in self.locations.iter().skip(1) {
            write!(f, "\n  called from {caller}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
