//! The functions that execute templates or end the render.

use super::Type::{Any, String as Text};
use super::{Body, Function, Late, Type};
use crate::error::{Error, ErrorKind};
use crate::eval::State;
use crate::json;
use crate::limits::MAX_INCLUDES_OF_ONE_NAME;
use crate::template::{self, Scope};
use crate::value::Value;

const fn late(name: &'static str, params: &'static [Type], body: Late) -> Function {
    Function { name, params, rest: None, body: Body::Late(body) }
}

pub(super) const FUNCTIONS: &[Function] = &[
    late("include", &[Text, Any], include),
    late("tpl", &[Text, Any], tpl),
    late("required", &[Text, Any], required),
    late("fail", &[Text], |_, args| Err(refused(&text(args, 0)))),
    late("lookup", &[Text, Text, Text, Text], lookup),
];

fn text(args: &[Value], index: usize) -> String {
    match args.get(index) {
        Some(Value::String(text)) => text.to_string(),
        Some(Value::RawString(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}

fn refused(message: &str) -> Error {
    Error::new(ErrorKind::Refused, message)
}

/// Executes a named template and returns what it prints.
fn include(state: &mut State<'_>, args: &[Value]) -> Result<Value, Error> {
    let name = text(args, 0);
    let data = args.get(1).cloned().unwrap_or_default();
    let depth = {
        let mut includes = state.engine.includes.borrow_mut();
        let depth = includes.entry(name.clone()).or_default();
        *depth += 1;
        *depth
    };
    let result = if depth > MAX_INCLUDES_OF_ONE_NAME {
        let message = format!("rendering template has a nested reference name: {name}");
        Err(Error::new(ErrorKind::Limit, message))
    } else {
        match state.scope.get(&name) {
            Some(template) => state.engine.execute(state.scope, template, data),
            None => Err(Error::new(ErrorKind::Execute, format!("no template {name:?}"))),
        }
    };
    if let Some(depth) = state.engine.includes.borrow_mut().get_mut(&name) {
        *depth -= 1;
    }
    result.map(Value::from)
}

/// Parses a string as a template and executes it.
fn tpl(state: &mut State<'_>, args: &[Value]) -> Result<Value, Error> {
    let source = text(args, 0);
    let data = args.get(1).cloned().unwrap_or_default();
    let file = template::parse("tpl".into(), &source)?;
    let mut scope = Scope::inside(state.scope);
    for (name, template) in file.defined {
        scope.add(name, template);
    }
    let printed = state.engine.execute(&scope, &file.own, data)?;
    Ok(printed.replace("<no value>", "").into())
}

fn required(_: &mut State<'_>, args: &[Value]) -> Result<Value, Error> {
    match args.get(1) {
        None | Some(Value::Nil) => Err(refused(&text(args, 0))),
        Some(Value::String(text_of)) if text_of.is_empty() => Err(refused(&text(args, 0))),
        Some(value) => Ok(value.clone()),
    }
}

fn lookup(state: &mut State<'_>, args: &[Value]) -> Result<Value, Error> {
    let (version, kind) = (text(args, 0), text(args, 1));
    let (namespace, name) = (text(args, 2), text(args, 3));
    let found = state.engine.lookup.lookup(&version, &kind, &namespace, &name);
    let object = found.map_err(|message| Error::new(ErrorKind::Execute, message))?;
    Ok(json::from_cluster(object))
}
