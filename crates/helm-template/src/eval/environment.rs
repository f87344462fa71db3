//! What functions can ask of a render.

use super::State;
use crate::error::{Error, ErrorKind};
use crate::functions::{self, Environment};
use crate::limits::MAX_INCLUDES_OF_ONE_NAME;
use crate::lookup::Lookup;
use crate::template::{self, Scope};
use crate::value::Value;

impl Environment for State<'_> {
    fn include(&mut self, name: &str, data: Value) -> Result<String, Error> {
        let depth = {
            let mut includes = self.engine.includes.borrow_mut();
            let depth = includes.entry(name.to_owned()).or_default();
            *depth += 1;
            *depth
        };
        let result = if depth > MAX_INCLUDES_OF_ONE_NAME {
            let message = format!("rendering template has a nested reference name: {name}");
            Err(Error::new(ErrorKind::Limit, message))
        } else {
            match self.scope.get(name) {
                Some(template) => self.engine.execute(self.scope, template, data),
                None => Err(Error::new(ErrorKind::Execute, format!("no template {name:?}"))),
            }
        };
        if let Some(depth) = self.engine.includes.borrow_mut().get_mut(name) {
            *depth -= 1;
        }
        result
    }

    fn execute(&mut self, text: &str, data: Value) -> Result<String, Error> {
        let file = template::parse("tpl".into(), text, functions::find)?;
        let mut scope = Scope::inside(self.scope);
        for (name, template) in file.defined {
            scope.add(name, template);
        }
        self.engine.execute(&scope, &file.own, data)
    }

    fn lookup(&self) -> &dyn Lookup {
        self.engine.lookup
    }
}
