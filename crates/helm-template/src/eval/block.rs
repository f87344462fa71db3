//! Executes blocks: text, conditions, loops and calls of templates.

use std::rc::Rc;

use super::{Datum, State};
use crate::error::{Error, ErrorKind};
use crate::print;
use crate::template::ast::{Branch, Node, Pipeline, Pos, Span};
use crate::value::Value;

/// Why the execution of a list of nodes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Normal,
    Break,
    Continue,
}

/// The indexes and items that a loop goes through.
type Items = Box<dyn Iterator<Item = (Value, Value)>>;

impl<'e> State<'e> {
    pub(super) fn nodes(&mut self, nodes: &'e [Node<'e>], dot: &Datum) -> Result<Flow, Error> {
        self.engine.enter()?;
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::Normal {
                self.engine.leave();
                return Ok(flow);
            }
        }
        self.engine.leave();
        Ok(Flow::Normal)
    }

    fn node(&mut self, node: &'e Node<'e>, dot: &Datum) -> Result<Flow, Error> {
        self.engine.budget.step()?;
        match node {
            Node::Text(text) => self.print(text)?,
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    self.print_value(&value, pipeline.span)?;
                }
            }
            Node::If(branch) => return self.condition(branch, dot, false),
            Node::With(branch) => return self.condition(branch, dot, true),
            Node::Range(branch) => return self.range(branch, dot),
            Node::Call { pos, name, argument } => self.call(*pos, name, argument.as_ref(), dot)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Normal)
    }

    fn print(&mut self, text: &str) -> Result<(), Error> {
        let budget = &self.engine.budget;
        budget.produce(text.len()).map_err(|message| Error::new(ErrorKind::Limit, message))?;
        self.out.push_str(text);
        Ok(())
    }

    fn print_value(&mut self, value: &Value, span: Span) -> Result<(), Error> {
        match value {
            // Removed from the output of a file in the end, as in helm.
            Value::Nil => self.print("<no value>"),
            Value::String(text) => self.print(text),
            // Only printing finds the String method, which needs an address.
            Value::KubeVersion(version) => self.print(version.normalized()),
            other => {
                let text = print::display(other).map_err(|message| self.fail(span, message))?;
                self.print(&text)
            }
        }
    }

    fn condition(&mut self, branch: &'e Branch<'e>, dot: &Datum, is_with: bool) -> Result<Flow, Error> {
        let visible = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let flow = match (value.is_true(), is_with) {
            (true, true) => self.nodes(&branch.body, &Datum::bare(value)),
            (true, false) => self.nodes(&branch.body, dot),
            (false, _) => self.nodes(&branch.otherwise, dot),
        };
        self.variables.truncate(visible);
        flow
    }

    fn range(&mut self, branch: &'e Branch<'e>, dot: &Datum) -> Result<Flow, Error> {
        let visible = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let mut empty = true;
        for (index, item) in self.items(&value, &branch.pipeline)? {
            empty = false;
            if self.iteration(branch, index, item)? == Flow::Break {
                break;
            }
        }
        // In the alternative, break and continue apply to an outer loop.
        let flow = if empty { self.nodes(&branch.otherwise, dot)? } else { Flow::Normal };
        self.variables.truncate(visible);
        Ok(flow)
    }

    fn items(&self, value: &Value, pipeline: &'e Pipeline<'e>) -> Result<Items, Error> {
        Ok(match value {
            Value::Nil => Box::new(std::iter::empty()),
            Value::List(list) => {
                let list = list.clone();
                Box::new((0..list.items().len()).map(move |index| {
                    // The loop stops at the list's length, so the index is in range.
                    (Value::Int(index as i64), list.items()[index].clone())
                }))
            }
            Value::Bytes(bytes) => {
                let bytes = Rc::clone(bytes);
                Box::new(
                    (0..bytes.len())
                        .map(move |index| (Value::Int(index as i64), Value::Int(bytes[index].into()))),
                )
            }
            Value::Map(map) => {
                let entries = map.entries().into_iter();
                Box::new(entries.map(|(key, item)| (Value::String(key), item)))
            }
            Value::Int(_) | Value::Int64(_) | Value::Uint64(_) if pipeline.variables.len() > 1 => {
                let message = "can't use a number to iterate over more than one variable";
                return Err(self.fail(pipeline.span, message));
            }
            Value::Int(count) => Box::new((0..*count).map(|n| (Value::Int(n), Value::Int(n)))),
            Value::Int64(count) => Box::new((0..*count).map(|n| (Value::Int64(n), Value::Int64(n)))),
            Value::Uint64(count) => Box::new((0..*count).map(|n| (Value::Uint64(n), Value::Uint64(n)))),
            other => {
                let text = print::display(other).unwrap_or_default();
                return Err(self.fail(pipeline.span, format!("range can't iterate over {text}")));
            }
        })
    }

    fn iteration(&mut self, branch: &'e Branch<'e>, index: Value, item: Value) -> Result<Flow, Error> {
        let visible = self.variables.len();
        let pipeline = &branch.pipeline;
        let values = match pipeline.variables.len() {
            0 => Vec::new(),
            1 => vec![item.clone()],
            _ => vec![index, item.clone()],
        };
        for (name, value) in pipeline.variables.iter().zip(values) {
            if !self.assign(name, Datum::boxed(value)) {
                return Err(self.fail(pipeline.span, format!("undefined variable: {name}")));
            }
        }
        let flow = self.nodes(&branch.body, &Datum::boxed(item));
        self.variables.truncate(visible);
        flow
    }

    /// `{{template "name" pipeline}}`
    fn call(
        &mut self,
        pos: Pos,
        name: &str,
        argument: Option<&'e Pipeline<'e>>,
        dot: &Datum,
    ) -> Result<(), Error> {
        let data = match argument {
            Some(pipeline) => self.pipeline(pipeline, dot)?,
            None => Value::Nil,
        };
        let span = Span { start: pos, end: pos };
        let Some(template) = self.scope.get(name) else {
            return Err(self.fail(span, format!("template {name:?} not defined")));
        };
        let text =
            self.engine.execute(self.scope, template, data).map_err(|error| self.place(span, error))?;
        self.print(&text)
    }
}
