//! The functions that execute templates or end the render.

use super::Type::{Any, String as Text};
use super::{Body, Environment, Function, Late, Type};
use crate::error::{Error, ErrorKind};
use crate::json;
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

fn include(environment: &mut dyn Environment, args: &[Value]) -> Result<Value, Error> {
    let data = args.get(1).cloned().unwrap_or_default();
    environment.include(&text(args, 0), data).map(Value::from)
}

fn tpl(environment: &mut dyn Environment, args: &[Value]) -> Result<Value, Error> {
    let data = args.get(1).cloned().unwrap_or_default();
    let printed = environment.execute(&text(args, 0), data)?;
    Ok(printed.replace("<no value>", "").into())
}

fn required(_: &mut dyn Environment, args: &[Value]) -> Result<Value, Error> {
    match args.get(1) {
        None | Some(Value::Nil) => Err(refused(&text(args, 0))),
        Some(Value::String(text_of)) if text_of.is_empty() => Err(refused(&text(args, 0))),
        Some(value) => Ok(value.clone()),
    }
}

fn lookup(environment: &mut dyn Environment, args: &[Value]) -> Result<Value, Error> {
    let (version, kind) = (text(args, 0), text(args, 1));
    let (namespace, name) = (text(args, 2), text(args, 3));
    let found = environment.lookup().lookup(&version, &kind, &namespace, &name);
    let object = found.map_err(|message| Error::new(ErrorKind::Execute, message))?;
    Ok(json::from_cluster(object))
}
