//! Evaluates operands and checks them against the types that functions want.

use super::pipeline::Arguments;
use super::{Datum, State};
use crate::error::Error;
use crate::functions::{self, Type};
use crate::template::ast::{Number, Operand, OperandKind, Span};
use crate::value::{MapKind, Value};

/// A literal number where any type will do.
fn constant(number: Number) -> Value {
    match (number.int, number.float) {
        (Some(value), _) if !number.is_float => Value::Int(value),
        (_, Some(value)) => Value::Float(value),
        _ => Value::Nil,
    }
}

impl<'e> State<'e> {
    /// The value of an operand without arguments.
    pub(super) fn operand(&mut self, operand: &'e Operand<'e>, dot: &Datum) -> Result<Datum, Error> {
        let none = Arguments::none(operand.span);
        Ok(match &operand.kind {
            OperandKind::Dot => dot.clone(),
            OperandKind::Nil => Datum::bare(Value::Nil),
            OperandKind::Bool(value) => Datum::bare(Value::Bool(*value)),
            OperandKind::Number(number) => Datum::bare(constant(*number)),
            OperandKind::String(bytes) => Datum::bare(Value::string_of(bytes)),
            OperandKind::Field(path) => self.path(dot.clone(), path, none, dot)?,
            OperandKind::Variable(name, path) => {
                let value = self.known_variable(name, operand.span)?;
                self.path(value, path, none, dot)?
            }
            OperandKind::Chain(inner, path) => {
                let receiver = self.operand(inner, dot)?;
                self.path(receiver, path, none, dot)?
            }
            OperandKind::Function(id) => Datum::boxed(self.function(functions::get(*id), none, dot)?),
            OperandKind::Parenthesized(pipeline) => Datum::bare(self.pipeline(pipeline, dot)?),
        })
    }

    /// The value of an argument of the wanted type.
    pub(super) fn argument(
        &mut self,
        operand: &'e Operand<'e>,
        wanted: Type,
        dot: &Datum,
    ) -> Result<Value, Error> {
        let literal = match (&operand.kind, wanted) {
            (OperandKind::Nil, Type::Any | Type::Map) => Ok(Value::Nil),
            (OperandKind::Nil, _) => {
                let message = format!("cannot assign nil to {}", wanted.name());
                return Err(self.fail(operand.span, message));
            }
            (OperandKind::Number(number), Type::Int) => number.int.map(Value::Int).ok_or("integer"),
            (OperandKind::Number(number), Type::Float) => number.float.map(Value::Float).ok_or("float"),
            (OperandKind::Number(_) | OperandKind::Bool(_), Type::String) => Err("string"),
            (OperandKind::String(_) | OperandKind::Bool(_), Type::Int) => Err("integer"),
            (OperandKind::String(_) | OperandKind::Bool(_), Type::Float) => Err("float"),
            (OperandKind::String(_) | OperandKind::Number(_), Type::Bool) => Err("bool"),
            _ => {
                let datum = self.operand(operand, dot)?;
                return self.checked(datum, wanted, operand.span);
            }
        };
        literal.map_err(|what| {
            let text = operand.span.text(self.template.source.text);
            self.fail(operand.span, format!("expected {what}; found {text}"))
        })
    }

    /// Refuses a value that is not of the wanted type.
    pub(super) fn checked(&self, datum: Datum, wanted: Type, span: Span) -> Result<Value, Error> {
        let Datum { value, boxed } = datum;
        let fits = match (wanted, &value) {
            (Type::Any, _)
            | (Type::String, Value::String(_) | Value::RawString(_))
            | (Type::Int, Value::Int(_))
            | (Type::Float, Value::Float(_))
            | (Type::Bool, Value::Bool(_))
            | (Type::Time, Value::Time(_))
            | (Type::Version, Value::Version(_)) => true,
            (Type::Map, Value::Map(map)) => matches!(map.kind(), MapKind::Any | MapKind::Values),
            // No value becomes an empty map; a nil in an interface has a type.
            (Type::Map, Value::Nil) => !boxed,
            _ => false,
        };
        if fits {
            return Ok(value);
        }
        let name = wanted.name();
        let message = match (&value, boxed) {
            (Value::Nil, false) => format!("invalid value; expected {name}"),
            (Value::Nil, true) => {
                format!("wrong type for value; expected {name}; got interface {{}}")
            }
            (other, _) => {
                let got = other.type_name();
                format!("wrong type for value; expected {name}; got {got}")
            }
        };
        Err(self.fail(span, message))
    }
}
