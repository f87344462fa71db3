//! Executes templates.

mod block;
mod environment;
mod field;
mod methods;
mod operand;
mod pipeline;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use super::error::{Error, ErrorKind};
use super::limits::{Budget, MAX_CALL_DEPTH, MAX_LEVELS};
use super::lookup::Lookup;
use super::template::ast::Span;
use super::template::{Scope, Template};
use super::value::Value;

/// What all templates of one render share.
pub(crate) struct Engine<'a> {
    budget: Budget,
    lookup: &'a dyn Lookup,
    /// How often each name is in the chain of includes.
    includes: RefCell<HashMap<String, usize>>,
    depth: Cell<usize>,
    /// How many nested blocks and pipelines are being executed.
    levels: Cell<usize>,
}

impl<'a> Engine<'a> {
    pub(crate) fn new(lookup: &'a dyn Lookup) -> Self {
        Self {
            budget: Budget::default(),
            lookup,
            includes: RefCell::default(),
            depth: Cell::new(0),
            levels: Cell::new(0),
        }
    }

    /// Enters a block or a pipeline; the caller leaves it with [`Engine::leave`].
    fn enter(&self) -> Result<(), Error> {
        let levels = self.levels.get() + 1;
        if levels > MAX_LEVELS {
            let message = format!("templates are nested deeper than {MAX_LEVELS} levels");
            return Err(Error::new(ErrorKind::Limit, message));
        }
        self.levels.set(levels);
        Ok(())
    }

    fn leave(&self) {
        self.levels.set(self.levels.get() - 1);
    }

    /// Executes a template on a value and returns what it prints.
    pub(crate) fn execute<'e>(
        &'e self,
        scope: &'e Scope<'e>,
        template: &'e Template<'e>,
        data: Value,
    ) -> Result<String, Error> {
        let depth = self.depth.get();
        if depth >= MAX_CALL_DEPTH {
            let message = format!("templates call each other more than {MAX_CALL_DEPTH} levels deep");
            return Err(Error::new(ErrorKind::Limit, message));
        }
        self.depth.set(depth + 1);
        let mut state = State {
            engine: self,
            scope,
            template,
            variables: vec![("$", Datum::bare(data.clone()))],
            out: String::new(),
        };
        let result = state.nodes(&template.root, &Datum::bare(data));
        self.depth.set(depth);
        result.map(|_| state.out)
    }
}

/// A value, and whether a nil is held by an interface. Taking a field of such a nil is an error in
/// Go; taking one of no value at all is not.
#[derive(Debug, Clone)]
struct Datum {
    value: Value,
    boxed: bool,
}

impl Datum {
    fn bare(value: Value) -> Self {
        Self { value, boxed: false }
    }

    /// The value of a map's entry or of a list's item.
    fn boxed(value: Value) -> Self {
        Self { value, boxed: true }
    }
}

/// One execution of one template.
struct State<'e> {
    engine: &'e Engine<'e>,
    scope: &'e Scope<'e>,
    template: &'e Template<'e>,
    variables: Vec<(&'e str, Datum)>,
    out: String,
}

impl State<'_> {
    /// An error at a part of this template.
    fn fail(&self, span: Span, message: impl Into<String>) -> Error {
        self.place(span, Error::new(ErrorKind::Execute, message))
    }

    /// Adds the place of a part of this template to an error.
    fn place(&self, span: Span, error: Error) -> Error {
        let source = &self.template.source;
        error.at(source.locate(span.start, Some(span.text(source.text))))
    }

    fn variable(&self, name: &str) -> Option<&Datum> {
        let mut variables = self.variables.iter().rev();
        variables.find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    fn assign(&mut self, name: &str, value: Datum) -> bool {
        let mut variables = self.variables.iter_mut().rev();
        let Some((_, slot)) = variables.find(|(own, _)| *own == name) else {
            return false;
        };
        *slot = value;
        true
    }
}
