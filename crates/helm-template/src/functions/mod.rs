//! The functions that templates can call, in a file for each theme. To add one, add it to the list
//! `FUNCTIONS` of its file.

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
mod function;
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
pub(crate) use function::{Body, Function, Type};

use super::template::ast::FunctionId;
use function::{Late, plain, variadic};

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
