//! The functions that templates can call, grouped by theme.

mod builtin;
mod call;
mod case;
mod certificates;
mod compare;
mod convert;
mod crypto;
mod data;
mod dates;
mod dicts;
mod durations;
mod encoding;
mod environment;
mod lists;
mod logic;
mod math;
mod merge;
mod passwords;
mod paths;
mod random;
mod reflection;
mod regexes;
mod render;
mod semvers;
mod strings;
mod toml;
mod urls;
mod words;

use std::collections::HashMap;
use std::sync::LazyLock;

pub(crate) use call::Call;
pub(crate) use convert::to_text;
pub(crate) use environment::Environment;

use super::error::Error;
use super::template::ast::FunctionId;
use super::value::Value;

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
const fn plain(name: &'static str, params: &'static [Type], body: Plain) -> Function {
    Function { name, params, rest: None, body: Body::Plain(body) }
}

/// A function that takes further arguments of one type.
const fn variadic(name: &'static str, params: &'static [Type], rest: Type, body: Plain) -> Function {
    Function { name, params, rest: Some(rest), body: Body::Plain(body) }
}

/// All functions by theme.
const THEMES: &[&[Function]] = &[
    builtin::FUNCTIONS,
    case::FUNCTIONS,
    certificates::FUNCTIONS,
    compare::FUNCTIONS,
    convert::FUNCTIONS,
    crypto::FUNCTIONS,
    data::FUNCTIONS,
    dates::FUNCTIONS,
    dicts::FUNCTIONS,
    durations::FUNCTIONS,
    encoding::FUNCTIONS,
    lists::FUNCTIONS,
    logic::FUNCTIONS,
    math::FUNCTIONS,
    merge::FUNCTIONS,
    passwords::FUNCTIONS,
    paths::FUNCTIONS,
    random::FUNCTIONS,
    reflection::FUNCTIONS,
    regexes::FUNCTIONS,
    render::FUNCTIONS,
    semvers::FUNCTIONS,
    strings::FUNCTIONS,
    urls::FUNCTIONS,
    words::FUNCTIONS,
];

static ALL: LazyLock<Vec<&'static Function>> =
    LazyLock::new(|| THEMES.iter().flat_map(|theme| theme.iter()).collect());

static BY_NAME: LazyLock<HashMap<&'static str, FunctionId>> = LazyLock::new(|| {
    ALL.iter().enumerate().map(|(index, function)| (function.name, FunctionId(index))).collect()
});

/// Finds a function by its name.
pub(crate) fn find(name: &str) -> Option<FunctionId> {
    BY_NAME.get(name).copied()
}

/// The function that `find` found.
pub(crate) fn get(id: FunctionId) -> &'static Function {
    ALL[id.0]
}
