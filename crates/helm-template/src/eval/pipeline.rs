//! Evaluates pipelines and calls functions.

use super::{Datum, State};
use crate::error::{Error, ErrorKind};
use crate::functions::{self, Body, Call, Function, Type};
use crate::template::ast::{Command, Operand, OperandKind, Pipeline, Span};
use crate::value::Value;

impl<'e> State<'e> {
    /// The value of the last command, which is assigned to the variables.
    pub(super) fn pipeline(&mut self, pipeline: &'e Pipeline<'e>, dot: &Datum) -> Result<Value, Error> {
        // Not left after an error, as it ends the render.
        self.engine.enter()?;
        let mut last = None;
        for command in &pipeline.commands {
            let value = self.command(command, dot, last.take())?;
            last = Some(value);
        }
        self.engine.leave();
        let value = last.unwrap_or_default();
        for name in &pipeline.variables {
            if !pipeline.assigns {
                self.variables.push((name, Datum::bare(value.clone())));
            } else if !self.assign(name, Datum::bare(value.clone())) {
                return Err(self.fail(pipeline.span, format!("undefined variable: {name}")));
            }
        }
        Ok(value)
    }

    fn command(
        &mut self,
        command: &'e Command<'e>,
        dot: &Datum,
        last: Option<Value>,
    ) -> Result<Value, Error> {
        self.engine.budget.step()?;
        let span = command.span;
        let operands = &command.arguments;
        let arguments = Arguments { operands, last, span };
        let found = match &command.first.kind {
            OperandKind::Function(id) => {
                return self.function(functions::get(*id), arguments, dot);
            }
            OperandKind::Field(path) => self.path(dot.clone(), path, arguments, dot)?,
            OperandKind::Variable(name, path) if !path.is_empty() => {
                let value = self.known_variable(name, span)?;
                self.path(value, path, arguments, dot)?
            }
            OperandKind::Chain(operand, path) => {
                let receiver = self.operand(operand, dot)?;
                self.path(receiver, path, arguments, dot)?
            }
            OperandKind::Nil => return Err(self.fail(command.first.span, "nil is not a command")),
            _ => {
                self.no_arguments(&command.first, &arguments)?;
                self.operand(&command.first, dot)?
            }
        };
        Ok(found.value)
    }

    pub(super) fn known_variable(&self, name: &str, span: Span) -> Result<Datum, Error> {
        self.variable(name).cloned().ok_or_else(|| self.fail(span, format!("undefined variable: {name}")))
    }

    fn no_arguments(&self, operand: &'e Operand<'e>, arguments: &Arguments<'_>) -> Result<(), Error> {
        if arguments.is_empty() {
            return Ok(());
        }
        let text = operand.span.text(self.template.source.text);
        let message = format!("can't give argument to non-function {text}");
        Err(self.fail(operand.span, message))
    }

    pub(super) fn function(
        &mut self,
        function: &'static Function,
        arguments: Arguments<'e>,
        dot: &Datum,
    ) -> Result<Value, Error> {
        let span = arguments.span;
        self.check_count(function, &arguments)?;
        if matches!(function.body, Body::And | Body::Or) {
            let is_or = matches!(function.body, Body::Or);
            return self.short_circuit(is_or, arguments, dot);
        }
        let values = self.values(|index| function.param(index), arguments, dot)?;
        let result = match function.body {
            Body::Plain(body) => body(&Call::new(&values, &self.engine.budget))
                .map_err(|message| Error::new(ErrorKind::Execute, message)),
            Body::Late(body) => body(self, &values),
            Body::And | Body::Or => Ok(Value::Nil),
        };
        let value = result.map_err(|error| self.place(span, name_function(function, error)))?;
        let produced = self.engine.budget.produce(size(&value));
        produced.map_err(|message| self.place(span, Error::new(ErrorKind::Limit, message)))?;
        Ok(value)
    }

    fn check_count(&self, function: &Function, arguments: &Arguments<'_>) -> Result<(), Error> {
        let (got, want) = (arguments.len(), function.params.len());
        let (fits, least) = match function.rest {
            Some(_) => (got >= want, "at least "),
            None => (got == want, ""),
        };
        if fits {
            return Ok(());
        }
        let name = function.name;
        let message = format!("wrong number of args for {name}: want {least}{want} got {got}");
        Err(self.fail(arguments.span, message))
    }

    /// The values of all arguments, checked against the types of the parameters.
    pub(super) fn values(
        &mut self,
        param: impl Fn(usize) -> Option<Type>,
        arguments: Arguments<'e>,
        dot: &Datum,
    ) -> Result<Vec<Value>, Error> {
        let mut values = Vec::with_capacity(arguments.len());
        for operand in arguments.operands {
            let wanted = param(values.len()).unwrap_or(Type::Any);
            values.push(self.argument(operand, wanted, dot)?);
        }
        if let Some(last) = arguments.last {
            let wanted = param(values.len()).unwrap_or(Type::Any);
            values.push(self.checked(Datum::bare(last), wanted, arguments.span)?);
        }
        Ok(values)
    }

    /// `and` and `or` evaluate only as many arguments as they need.
    fn short_circuit(&mut self, is_or: bool, arguments: Arguments<'e>, dot: &Datum) -> Result<Value, Error> {
        let mut value = Value::Nil;
        for operand in arguments.operands {
            value = self.argument(operand, Type::Any, dot)?;
            if value.is_true() == is_or {
                return Ok(value);
            }
        }
        Ok(arguments.last.unwrap_or(value))
    }
}

/// Adds the function's name to an error, unless the error comes from a template that it executed.
fn name_function(function: &Function, error: Error) -> Error {
    if error.location().is_some() || error.kind() == ErrorKind::Refused {
        return error;
    }
    let message = format!("error calling {}: {}", function.name, error.message());
    Error::new(error.kind(), message)
}

/// The arguments of a call: operands, and the value of the command before it in the pipeline.
pub(super) struct Arguments<'a> {
    pub(super) operands: &'a [Operand<'a>],
    pub(super) last: Option<Value>,
    /// The call, for messages.
    pub(super) span: Span,
}

impl Arguments<'_> {
    pub(super) fn none(span: Span) -> Self {
        Self { operands: &[], last: None, span }
    }

    pub(super) fn len(&self) -> usize {
        self.operands.len() + usize::from(self.last.is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Roughly how much memory a function's result takes.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::RawString(bytes) | Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => size_of_val(list.items()),
        Value::Map(map) => map.len() * size_of::<Value>() * 2,
        _ => 0,
    }
}
