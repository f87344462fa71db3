//! Takes fields and methods from values.

use std::rc::Rc;

use super::methods::{self, Method};
use super::pipeline::Arguments;
use super::{Datum, State};
use crate::capabilities::{HELM_CLIENT_VERSION, HELM_COMMIT, HELM_GO_VERSION, HELM_VERSION};
use crate::error::{Error, ErrorKind};
use crate::functions::Call;
use crate::value::{Map, MapKind, Value};

impl<'e> State<'e> {
    /// Follows a path of names; the arguments go to the last one.
    pub(super) fn path(
        &mut self,
        mut receiver: Datum,
        path: &'e [&'e str],
        arguments: Arguments<'e>,
        dot: &Datum,
    ) -> Result<Datum, Error> {
        let Some((last, names)) = path.split_last() else {
            return Ok(receiver);
        };
        for name in names {
            receiver = self.field(receiver, name, Arguments::none(arguments.span), dot)?;
        }
        self.field(receiver, last, arguments, dot)
    }

    fn field(
        &mut self,
        receiver: Datum,
        name: &str,
        arguments: Arguments<'e>,
        dot: &Datum,
    ) -> Result<Datum, Error> {
        let span = arguments.span;
        let Datum { value, boxed } = receiver;
        if value.is_nil() {
            if boxed {
                let message = format!("nil pointer evaluating interface {{}}.{name}");
                return Err(self.fail(span, message));
            }
            return Ok(Datum::bare(Value::Nil));
        }
        if let Some(method) = methods::find(&value, name) {
            return self.method(&value, method, arguments, dot).map(Datum::boxed);
        }
        let member = match &value {
            Value::Map(map) => entry(map, name),
            other => structure_field(other, name).ok_or_else(|| {
                let kind = other.type_name();
                self.fail(span, format!("can't evaluate field {name} in type {kind}"))
            })?,
        };
        if !arguments.is_empty() {
            return Err(self.fail(span, format!("{name} is not a method but has arguments")));
        }
        Ok(Datum::boxed(member))
    }

    fn method(
        &mut self,
        receiver: &Value,
        method: &'static Method,
        arguments: Arguments<'e>,
        dot: &Datum,
    ) -> Result<Value, Error> {
        let span = arguments.span;
        let name = method.name;
        let (got, want) = (arguments.len(), method.params.len());
        if got != want {
            let message = format!("wrong number of args for {name}: want {want} got {got}");
            return Err(self.fail(span, message));
        }
        let values = self.values(|index| method.params.get(index).copied(), arguments, dot)?;
        let call = Call::new(&values, &self.engine.budget);
        (method.body)(receiver, &call).map_err(|message| {
            let message = format!("error calling {name}: {message}");
            self.place(span, Error::new(ErrorKind::Execute, message))
        })
    }
}

/// A map's entry, or the zero value of its type.
fn entry(map: &Map, name: &str) -> Value {
    map.get(name).unwrap_or_else(|| match map.kind() {
        MapKind::Strings => "".into(),
        MapKind::Files => Value::Bytes(Rc::from([])),
        MapKind::Any | MapKind::Values => Value::Nil,
    })
}

fn structure_field(value: &Value, name: &str) -> Option<Value> {
    Some(match (value, name) {
        (Value::Capabilities(capabilities), "KubeVersion") => {
            Value::KubeVersion(Rc::new(capabilities.kube.clone()))
        }
        (Value::Capabilities(_), "APIVersions") => Value::api_versions(),
        (Value::Capabilities(_), "HelmVersion") => Value::HelmVersion,
        (Value::KubeVersion(version), "Version") => version.version().into(),
        (Value::KubeVersion(version), "Major") => version.major().to_string().into(),
        (Value::KubeVersion(version), "Minor") => version.minor().to_string().into(),
        (Value::HelmVersion, "Version") => HELM_VERSION.into(),
        (Value::HelmVersion, "GitCommit") => HELM_COMMIT.into(),
        (Value::HelmVersion, "GitTreeState") => "clean".into(),
        (Value::HelmVersion, "GoVersion") => HELM_GO_VERSION.into(),
        (Value::HelmVersion, "KubeClientVersion") => HELM_CLIENT_VERSION.into(),
        _ => return None,
    })
}
