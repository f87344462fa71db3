//! What a function is: its name, the types of its arguments, and what it does.

use super::{Call, Environment};
use crate::error::Error;
use crate::value::Value;

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Any,
    String,
    Int,
    Float,
    Bool,
    Map,
    Time,
    Version,
}

impl Type {
    /// The type's name in Go, for messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::String => "string",
            Self::Int => "int",
            Self::Float => "float64",
            Self::Bool => "bool",
            Self::Map => "map[string]interface {}",
            Self::Time => "time.Time",
            Self::Version => "*semver.Version",
        }
    }
}

/// The body of a function without access to the render.
pub(crate) type Plain = fn(&Call<'_>) -> Result<Value, String>;
/// The body of a function that executes templates or ends the render.
pub(crate) type Late = fn(&mut dyn Environment, &[Value]) -> Result<Value, Error>;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Body {
    Plain(Plain),
    Late(Late),
    /// `and`, which evaluates its arguments itself.
    And,
    /// `or`, which does the same.
    Or,
}

/// A function of the template language.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [Type],
    /// The type of further arguments, if it takes any.
    pub(crate) rest: Option<Type>,
    pub(crate) body: Body,
}

impl Function {
    /// The type of an argument, if there is one of this index.
    pub(crate) fn param(&self, index: usize) -> Option<Type> {
        self.params.get(index).copied().or(self.rest)
    }
}

/// A function with a fixed number of arguments.
pub(super) const fn plain(name: &'static str, params: &'static [Type], body: Plain) -> Function {
    Function { name, params, rest: None, body: Body::Plain(body) }
}

/// A function that takes further arguments of one type.
pub(super) const fn variadic(
    name: &'static str,
    params: &'static [Type],
    rest: Type,
    body: Plain,
) -> Function {
    Function { name, params, rest: Some(rest), body: Body::Plain(body) }
}
