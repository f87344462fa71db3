//! The template language: from text to a syntax tree.

pub(crate) mod ast;
mod lexer;
mod number;
mod parser;
mod pipeline;
mod scan;
mod token;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::error::{Error, ErrorKind, Location};
use ast::{Node, Pos};

/// The text that templates were parsed from, for places in messages.
#[derive(Debug)]
pub(crate) struct Source {
    /// Path of the file, with the chart's name in front.
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Source {
    /// The place of a position, with the expression there if it is given.
    pub(crate) fn locate(&self, pos: Pos, expression: Option<&str>) -> Location {
        let before = self.text.get(..pos).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Location {
            template: self.name.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            expression: expression.map(shorten),
        }
    }
}

/// Keeps a quoted expression on one line of a message.
fn shorten(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// A named template.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) source: Rc<Source>,
    pub(crate) root: Vec<Node>,
}

/// The templates that can be called by name. `tpl` works on a scope inside another one: what
/// is defined there is not seen outside.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    parent: Option<Rc<Scope>>,
    templates: RefCell<HashMap<Rc<str>, Rc<Template>>>,
}

impl Scope {
    pub(crate) fn inside(parent: &Rc<Scope>) -> Self {
        Self { parent: Some(Rc::clone(parent)), templates: RefCell::default() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Rc<Template>> {
        let own = self.templates.borrow().get(name).cloned();
        own.or_else(|| self.parent.as_ref()?.get(name))
    }

    /// Parses a text, adds the templates that are defined in it and returns that of the text.
    pub(crate) fn parse(&self, name: &str, text: &str) -> Result<Rc<Template>, Error> {
        let source = Rc::new(Source { name: name.to_owned(), text: text.to_owned() });
        let parsed = parser::parse(&source.text).map_err(|error| {
            Error::new(ErrorKind::Parse, error.message).at(source.locate(error.pos, None))
        })?;
        for (defined, root) in parsed.defined {
            let source = Rc::clone(&source);
            self.add(defined, Template { source, root });
        }
        let root = parsed.root;
        Ok(Rc::new(Template { source, root }))
    }

    /// Parses a file, whose template can be called by the file's name.
    pub(crate) fn parse_file(&self, name: &str, text: &str) -> Result<Rc<Template>, Error> {
        let template = self.parse(name, text)?;
        self.templates.borrow_mut().insert(name.into(), Rc::clone(&template));
        Ok(template)
    }

    /// Adds a template unless it is empty and would replace one that is not.
    fn add(&self, name: Rc<str>, template: Template) {
        if !ast::is_empty(&template.root) || self.get(&name).is_none() {
            self.templates.borrow_mut().insert(name, Rc::new(template));
        }
    }
}
